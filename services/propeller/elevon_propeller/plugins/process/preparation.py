"""Everything that must be known of an attempt before it is launched."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core

from elevon_propeller.plugins import templates
from elevon_propeller.plugins.contract import Attempt, AttemptPaths
from elevon_propeller.plugins.environment import task_environment
from elevon_propeller.plugins.process.command import Command, container_of, image_of, parse, runnable
from elevon_propeller.plugins.process.copilot import Copilot, copilot_of
from elevon_propeller.plugins.process.folder import AttemptFolder
from elevon_propeller.plugins.process.refusal import Refusal
from elevon_propeller.plugins.process.secrets import secret_variables
from elevon_propeller.plugins.process.servers import python_of
from elevon_propeller.plugins.process.sweep import MARK
from elevon_propeller.plugins.settings import LiteralOffloadingSettings, ProcessSettings


@dataclass(frozen=True, slots=True)
class Preparation:
    """A command and what surrounds it."""

    command: Command
    python: Path
    environment: dict[str, str]
    working_folder: Path
    log: Path
    limits: dict[str, int]
    needs_task_template: bool
    copilot: Copilot | None

    def spec(self) -> dict[str, Any]:
        """What the fork server is told."""
        return {
            "entry": self.command.entry,
            "arguments": list(self.command.arguments),
            "environment": self.environment,
            "working_folder": str(self.working_folder),
            "log": str(self.log),
            "limits": self.limits,
        }


def prepare(
    attempt: Attempt,
    folder: AttemptFolder,
    settings: ProcessSettings,
    offloading: LiteralOffloadingSettings | None = None,
) -> Preparation:
    """Find out how an attempt is run here; changes nothing. Raises Refusal when it cannot be."""
    container = container_of(attempt)
    copilot = copilot_of(attempt.task, folder.path)
    words = [*container.command, *container.args]
    rendered = _rendered(words, attempt)
    image = image_of(attempt, container)
    command = parse([copilot.translated(word) for word in rendered] if copilot else rendered, image)
    python = settings.images.get(image) or python_of(settings)
    given = task_environment(attempt, container.env, defaults=settings.environment, offloading=offloading)
    environment = _environment(attempt, given, folder, settings, python, command)
    if copilot:
        environment |= {pair.key: copilot.translated(environment[pair.key]) for pair in container.env}
    return Preparation(
        command=runnable(command, python, environment, image),
        python=python,
        environment=environment,
        working_folder=folder.work,
        log=folder.log,
        limits=settings.limits.as_rlimits(),
        needs_task_template=templates.needs_task_template(words),
        copilot=copilot,
    )


def _rendered(words: list[str], attempt: Attempt) -> list[str]:
    try:
        return templates.render_all(words, replace(attempt, paths=as_local_paths(attempt.paths)))
    except InvalidArgument as error:
        raise Refusal("FailedToBuildResource", f"the command cannot be rendered: {error.message}") from error


def as_local_paths(paths: AttemptPaths) -> AttemptPaths:
    """The same places, local ones without `file://`: SDKs make folders for plain paths only."""
    return AttemptPaths(
        paths.data_prefix.removeprefix("file://"),
        paths.output_prefix.removeprefix("file://"),
        paths.raw_output_prefix.removeprefix("file://"),
        tuple(each.removeprefix("file://") for each in paths.earlier_checkpoints),
    )


def _environment(
    attempt: Attempt,
    given: dict[str, str],
    folder: AttemptFolder,
    settings: ProcessSettings,
    python: Path,
    command: Command,
) -> dict[str, str]:
    """The whole environment of the process, made from nothing."""
    environment = {name: os.environ[name] for name in settings.inherited_variables if name in os.environ}
    environment.setdefault("LANG", "C.UTF-8")
    environment["VIRTUAL_ENV"] = str(python.parent.parent)
    if settings.platform_url:
        environment["FLYTE_PLATFORM_URL"] = settings.platform_url
        environment["FLYTE_PLATFORM_INSECURE"] = str(settings.platform_insecure).lower()
    environment |= given
    environment |= secret_variables(_secrets(attempt), settings.secrets_folder)
    environment["PATH"] = os.pathsep.join([str(python.parent), environment.get("PATH") or settings.path])
    environment["PYTHONPATH"] = _python_path(environment.get("PYTHONPATH", ""), folder, settings, command)
    if not environment["PYTHONPATH"]:
        del environment["PYTHONPATH"]
    environment["HOME"] = str(folder.home)
    environment["TMPDIR"] = str(folder.temporary)
    environment["PWD"] = str(folder.work)
    environment[MARK] = str(folder.path)
    return environment


def _python_path(given: str, folder: AttemptFolder, settings: ProcessSettings, command: Command) -> str:
    parts = [given, *(str(path.absolute()) for path in settings.python_path)]
    if command.distribution:
        parts.append(str(folder.work))
    return os.pathsep.join(part for part in parts if part)


def _secrets(attempt: Attempt) -> list[core.Secret]:
    """What the task asks for, and what its execution does."""
    of_execution = attempt.security_context.secrets if attempt.security_context is not None else ()
    return [*attempt.task.security_context.secrets, *of_execution]
