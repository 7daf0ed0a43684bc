"""Attempts of real flytekit tasks, for tests and for the process they kill."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from elevon_core import naming
from elevon_idl.core import v1 as core
from elevon_kit.blobs_obstore import ObjectBlobStore
from elevon_propeller.plugins.clock import system_clock
from elevon_propeller.plugins.contract import Attempt, AttemptPaths, Report
from elevon_propeller.plugins.process.plugin import ProcessPlugin
from elevon_propeller.plugins.settings import ProcessSettings

SAMPLES = Path(__file__).parent / "samples"

Templates = dict[str, core.TaskTemplate]
"""Those of the samples' tasks by their names."""

Names = Callable[[], str]
"""Answers a name that no attempt has had."""


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def described(python: Path, module: str, *arguments: str, folder: Path = SAMPLES) -> dict[str, core.TaskTemplate]:
    """The templates of a module's tasks, made by the real flytekit."""
    script = SAMPLES / "describe_tasks.py"
    command = [str(python), str(script), module, *arguments]
    environment = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder, env=environment).stdout
    found = (line.split(" ", 1) for line in output.splitlines() if line)
    return {name: core.TaskTemplate.FromString(base64.b64decode(data)) for name, data in found}


def literal(value: Any) -> core.Literal:
    """A primitive or a list of them as a literal."""
    if isinstance(value, list):
        return core.Literal(collection=core.LiteralCollection(literals=[literal(item) for item in value]))
    primitive = core.Primitive()
    kinds = {bool: "boolean", int: "integer", float: "float_value", str: "string_value"}
    setattr(primitive, kinds[type(value)], value)
    return core.Literal(scalar=core.Scalar(primitive=primitive))


def plain(found: core.Literal) -> Any:
    """The other way round."""
    kind = found.WhichOneof("value")
    if kind == "collection":
        return [plain(item) for item in found.collection.literals]
    if kind == "map":
        return {name: plain(item) for name, item in found.map.literals.items()}
    primitive = found.scalar.primitive
    name = primitive.WhichOneof("value")
    return getattr(primitive, name) if name else None


@dataclass(frozen=True)
class Place:
    """A folder for a plugin and its blobs."""

    folder: Path
    python: Path

    def settings(self, **more: Any) -> ProcessSettings:
        """Settings for this place: everything short, and the samples importable."""
        values: dict[str, Any] = {
            "python": self.python,
            "python_path": [SAMPLES],
            "kill_grace": timedelta(seconds=0.3),
            "grace": timedelta(seconds=30),
            "slots": 4,
        }
        return ProcessSettings(**(values | more))

    def plugin(self, outputs_limit: int = 1024 * 1024, **more: Any) -> ProcessPlugin:
        """A plugin, not yet open."""
        return ProcessPlugin(self.settings(**more), ObjectBlobStore(), self.folder, outputs_limit=outputs_limit)

    def attempt(
        self,
        task: core.TaskTemplate,
        inputs: Mapping[str, Any] | None = None,
        name: str = "x-n0-0",
        environment: Mapping[str, str] | None = None,
    ) -> Attempt:
        """An attempt whose files lie in this place."""
        metadata = f"file://{self.folder}/metadata/{name}/data"
        raw = f"file://{self.folder}/raw/{naming.raw_output_shard(name)}/{name}"
        return Attempt(
            name=name,
            execution_id=core.WorkflowExecutionIdentifier(project="flytesnacks", domain="development", name="x"),
            workflow_name="w",
            node_id=name.split("-")[1],
            spec_node_id="n0",
            number=0,
            task=task,
            inputs=core.LiteralMap(literals={key: literal(value) for key, value in (inputs or {}).items()}),
            paths=AttemptPaths(metadata, f"{metadata}/0", raw),
            started_at=system_clock(),
            environment=environment or {},
        )


class Listener:
    """A sink that can be waited on."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._changed = asyncio.Event()

    def __call__(self, report: Report) -> None:
        self.reports.append(report)
        self._changed.set()

    async def until(self, reached: Any) -> Report:
        """Wait for a report that fits."""
        while True:
            for report in self.reports:
                if reached(report):
                    return report
            self._changed.clear()
            await self._changed.wait()

    async def final(self) -> Report:
        """Wait for the end."""
        return await self.until(lambda report: report.phase.is_final)


async def run(plugin: ProcessPlugin, attempt: Attempt) -> Report:
    """Start an attempt and wait for its end."""
    listener = Listener()
    await plugin.start(attempt, listener)
    return await listener.final()


async def appears(path: Path) -> None:
    """Wait for a file."""
    while not path.exists():
        await asyncio.sleep(0.01)


def with_command(task: core.TaskTemplate, *words: str) -> core.TaskTemplate:
    """The task with another command."""
    changed = core.TaskTemplate()
    changed.CopyFrom(task)
    changed.container.ClearField("command")
    del changed.container.args[:]
    changed.container.args.extend(words)
    return changed


__all__ = ["Listener", "Place", "appears", "described", "json", "literal", "plain", "replace", "run", "with_command"]
