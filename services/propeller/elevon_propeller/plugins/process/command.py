"""What a task's container runs, and how that is run here."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from elevon_idl.core import v1 as core
from google.protobuf import struct_pb2

from elevon_propeller.plugins.contract import Attempt
from elevon_propeller.plugins.process import warm
from elevon_propeller.plugins.process.refusal import Refusal
from elevon_propeller.plugins.process.warm.entry import ENTRY_POINTS

_FAST = "pyflyte-fast-execute"
_LONGEST_LINE = 200
_PYTHON = re.compile(r"python(\d+(\.\d+)*)?")

# What an interpreter reads only when it starts, so that a forked one would not heed it.
_READ_AT_START = re.compile(
    r"LD_\w+|PYTHON(HASHSEED|HOME|OPTIMIZE|MALLOC|MALLOCSTATS|DEVMODE|UTF8|WARNINGS|FAULTHANDLER|TRACEMALLOC|INSPECT"
    r"|PLATLIBDIR|NOUSERSITE|INTMAXSTRDIGITS|COERCECLOCALE|IOENCODING|DONTWRITEBYTECODE|PYCACHEPREFIX)"
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run: an entry point of flytekit with its arguments, or, with an empty `entry`, a whole program.

    `distribution` is the URI of code to unpack into the working folder first.
    """

    entry: str
    arguments: tuple[str, ...]
    distribution: str = ""


def container_of(attempt: Attempt) -> core.Container:
    """The container of a task, or the primary one of its pod or of its node's; raises Refusal when there is none."""
    task, overrides = attempt.task, attempt.overrides
    if overrides is not None and overrides.pod_template.HasField("pod_spec"):
        return _primary(overrides.pod_template, task)
    target = task.WhichOneof("target")
    if target == "container":
        return task.container
    if target == "k8s_pod":
        return _primary(task.k8s_pod, task)
    raise Refusal(
        "UnsupportedTaskType",
        f"no plugin runs tasks of type {task.type!r}, and this one has no container that could run as a process",
    )


def parse(words: Sequence[str], image: str = "") -> Command:
    """Take a command line apart; `pyflyte-fast-execute` is resolved into its distribution and the command inside.

    Where the inner command names a resolver, the distribution is named to it, so that dynamic children get it as well.
    The destination is passed on as registered: whatever it says, code is unpacked into the working folder.
    Raises Refusal when there is nothing to run.
    """
    if not words:
        raise Refusal(
            "BadTaskSpecification",
            f"the container has neither command nor args; what its image {image!r} would run is not known outside of a "
            "container. Give the task a command, or run this task type on Kubernetes",
        )
    program = os.path.basename(words[0])
    if program == _FAST:
        return _fast(list(words[1:]), image)
    if program in ENTRY_POINTS:
        return Command(program, tuple(words[1:]))
    return Command("", tuple(words))


def runnable(command: Command, python: Path, environment: Mapping[str, str], image: str = "") -> Command:
    """The command as it can be run here, with the given Python of the tasks.

    Interpreters given by an absolute path are those of an image: the Python of the tasks stands in for them. Entry
    points run as programs where the environment has variables that only a new interpreter reads. Raises Refusal for
    a program that is not installed.
    """
    if command.entry:
        if not any(_READ_AT_START.fullmatch(name) for name in environment):
            return command
        words = (str(python), warm.RUN, warm.ANEW, command.entry, *command.arguments)
        return replace(command, entry="", arguments=words)
    program, rest = command.arguments[0], command.arguments[1:]
    located = _located(program, python, environment["PATH"])
    if not located:
        raise _not_found(command, python, image)
    return replace(command, arguments=(located, *rest))


def _located(program: str, python: Path, path: str) -> str:
    """What to run for a program; empty when it is not installed."""
    name = os.path.basename(program)
    if os.path.isabs(program):
        if _PYTHON.fullmatch(name):
            return str(python)
        if os.access(program, os.X_OK):
            return program
        neighbour = python.parent / name
        if os.access(neighbour, os.X_OK):
            return str(neighbour)
    elif os.sep in program:
        return program  # relative to the working folder, which may be filled by a distribution
    elif shutil.which(program, path=path):
        return program
    return ""


def _not_found(command: Command, python: Path, image: str) -> Refusal:
    line = " ".join(command.arguments)
    return Refusal(
        "CommandNotFound",
        f"the task runs {command.arguments[0]!r}, which is not installed on this machine: its command is "
        f"`{line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + '…'}` in the image {image!r}. Install the "
        f"program (a Python tool: into the environment of {python}), or run this task type on Kubernetes",
    )


def _fast(words: list[str], image: str) -> Command:
    options = {"--additional-distribution": "", "--dest-dir": "."}
    while words and words[0] != "--":
        option, _, value = words.pop(0).partition("=")
        if option not in options:
            words.insert(0, option)
            break
        options[option] = value or (words.pop(0) if words else "")
    inner = words[1:] if words[:1] == ["--"] else words
    distribution = options["--additional-distribution"]
    if distribution:
        inner = _told(inner, distribution, options["--dest-dir"])
    return replace(parse(inner, image), distribution=distribution)


def _told(words: Sequence[str], distribution: str, destination: str) -> list[str]:
    told: list[str] = []
    for word in words:
        if word == "--resolver":
            told += ["--dynamic-addl-distro", distribution, "--dynamic-dest-dir", destination]
        told.append(word)
    return told


def _primary(pod: core.K8sPod, task: core.TaskTemplate) -> core.Container:
    found = [value.struct_value for value in pod.pod_spec.fields["containers"].list_value.values]
    wanted = pod.primary_container_name or task.config.get("primary_container_name", "")
    for container in found:
        if not wanted or container.fields["name"].string_value == wanted:
            return _converted(container)
    raise Refusal("PrimaryContainerNotFound", f"the pod of the task has no container named {wanted!r}")


def _converted(container: struct_pb2.Struct) -> core.Container:
    result = core.Container(image=container.fields["image"].string_value)
    result.command.extend(value.string_value for value in container.fields["command"].list_value.values)
    result.args.extend(value.string_value for value in container.fields["args"].list_value.values)
    for entry in container.fields["env"].list_value.values:
        variable = entry.struct_value.fields
        if "value" in variable:  # others come from the cluster, which is not here
            result.env.add(key=variable["name"].string_value, value=variable["value"].string_value)
    return result


def image_of(attempt: Attempt, container: core.Container) -> str:
    """The image an attempt is to run in: that of its node, else that of the task."""
    overridden = attempt.overrides.container_image if attempt.overrides is not None else ""
    return overridden or container.image
