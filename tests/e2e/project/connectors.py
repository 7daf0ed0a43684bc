"""Connectors written with flytekit: jobs that stand as files in a folder say, and answers within the call."""

from __future__ import annotations

import json
import time
import typing
from dataclasses import dataclass
from pathlib import Path

from flyteidl.core.execution_pb2 import TaskExecution, TaskLog
from flytekit import FlyteContextManager
from flytekit.core import utils
from flytekit.core.type_engine import TypeEngine
from flytekit.extend.backend.base_connector import (
    AsyncConnectorBase,
    ConnectorRegistry,
    Resource,
    ResourceMeta,
    SyncConnectorBase,
)
from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate


def given(inputs: LiteralMap | None) -> tuple[Path, str]:
    values = {name: literal.scalar.primitive.string_value for name, literal in inputs.literals.items()}
    return Path(values["folder"]), values["behaviour"]


@dataclass
class JobMeta(ResourceMeta):
    folder: str
    name: str
    behaviour: str
    output_prefix: str


class JobConnector(AsyncConnectorBase):
    """Notes every call in the job's folder; a job runs until there is a file `go`."""

    name = "Job Connector"

    def __init__(self) -> None:
        super().__init__(task_type_name="job", metadata_type=JobMeta)

    async def create(
        self, task_template: TaskTemplate, output_prefix: str, inputs: LiteralMap, task_execution_metadata, **kwargs
    ) -> JobMeta:
        folder, behaviour = given(inputs)
        if behaviour == "refuse":
            raise ValueError("no such warehouse: adjust the task's configuration")
        attempt = task_execution_metadata.task_execution_id
        name = f"{attempt.node_execution_id.node_id}-{attempt.retry_attempt}"
        note(folder, "created", name)
        return JobMeta(str(folder), name, behaviour, output_prefix)

    async def get(self, resource_meta: JobMeta, **kwargs) -> Resource:
        folder = Path(resource_meta.folder)
        links = [TaskLog(uri=f"http://jobs.example/{resource_meta.name}", name="Job page", message_format=TaskLog.JSON)]
        info = {"name": resource_meta.name, "behaviour": resource_meta.behaviour}
        if not (folder / "go").exists():
            return Resource(TaskExecution.RUNNING, "working on it", links, custom_info=info)
        if resource_meta.behaviour == "fail":
            return Resource(TaskExecution.FAILED, "table `orders` does not exist", links, custom_info=info)
        if resource_meta.behaviour == "fail once" and resource_meta.name.endswith("-0"):
            return Resource(TaskExecution.RETRYABLE_FAILED, "not today", links, custom_info=info)
        outputs = self.outputs(resource_meta)
        return Resource(TaskExecution.SUCCEEDED, "all done", links, outputs, info)

    def outputs(self, meta: JobMeta) -> dict[str, typing.Any] | None:
        if meta.behaviour == "wrong type":
            return {"answer": "a word"}
        if meta.behaviour == "nothing":
            return None
        if meta.behaviour == "file":
            context = FlyteContextManager.current_context()
            literals = TypeEngine.dict_to_literal_map(context, {"answer": 21}, {"answer": int})
            utils.write_proto_to_file(literals.to_flyte_idl(), f"{meta.output_prefix}/outputs.pb")
            return None
        return {"answer": 21}

    async def delete(self, resource_meta: JobMeta, **kwargs) -> None:
        note(Path(resource_meta.folder), "deleted", resource_meta.name)


class AskConnector(SyncConnectorBase):
    """Answers within the call."""

    name = "Ask Connector"

    def __init__(self) -> None:
        super().__init__(task_type_name="ask")

    def do(self, task_template: TaskTemplate, output_prefix: str, inputs: LiteralMap, **kwargs) -> Resource:
        folder, behaviour = given(inputs)
        note(folder, "asked", "it")
        if behaviour == "refuse":
            raise ValueError("nobody knows")
        while behaviour == "wait" and not (folder / "go").exists():
            time.sleep(0.05)
        if behaviour == "fail":
            return Resource(TaskExecution.FAILED, "the answer is forbidden")
        return Resource(TaskExecution.SUCCEEDED, outputs={"answer": 4})


def note(folder: Path, what: str, name: str) -> None:
    with open(folder / "calls.jsonl", "a") as calls:
        calls.write(json.dumps([what, name]) + "\n")


ConnectorRegistry.register(JobConnector())
ConnectorRegistry.register(AskConnector())
