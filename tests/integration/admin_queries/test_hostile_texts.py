"""No text in any field of any request is a defect of ours: PostgreSQL refuses NUL, whatever it is compared with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_idl.admin.v1 import event_service_pb2
from elevon_idl.core import v1 as core
from elevon_kit.grpc_server import find_service
from flyteidl.admin import event_pb2, execution_pb2, project_pb2, signal_pb2
from flyteidl.core import identifier_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tests.integration.admin_executions.harness import (
    DOMAIN,
    NODE,
    PROJECT,
    TASK,
    WORKFLOW,
    Admin,
    execution_id,
    execution_request,
    node_event,
    serving,
    task_event,
    workflow_event,
)
from tests.integration.admin_queries.messages import text_fields, usual, with_text
from tests.integration.admin_registry.harness import INTEGER, plan, plan_id, task, workflow

OURS = ("INTERNAL", "UNKNOWN")
UNNAMED = "the database cannot take a value of this request"
"""What is answered where no field can be named. Of events, most of which hold nothing of the sort, that is enough."""
HOSTILE = "a\0b"
TEXTS = {"filters": "eq(name,a\0b)", "flyte_url": f"flyte://v1/{PROJECT}/{DOMAIN}/a\0b/n0/o", "key": "name\0"}
WORDS: dict[str, Any] = {
    "project": PROJECT,
    "domain": DOMAIN,
    "name": "x",
    "version": "v1",
    "node_id": "n0",
    "signal_id": "s",
    "workflow": "w",
    "launch_plan": "w",
    "limit": 10,
    "filename": "f",
    "id": "p",
    "cause": "c",
    "filename_root": "r",
    "artifact_type": 1,
}
TYPES = {"Task": core.TASK, "Workflow": core.WORKFLOW, "LaunchPlan": core.LAUNCH_PLAN, "Scheduled": core.LAUNCH_PLAN}


@pytest.fixture
async def admin(database_url: str, tmp_path: Path) -> AsyncIterator[Admin]:
    """A service with an execution that has a node, an attempt and a signal."""
    async with serving(database_url, tmp_path) as running:
        identifier = await running.launch(await running.register(), "x")
        await running.report(identifier, WORKFLOW.RUNNING)
        await running.report_node(identifier, "n0", NODE.RUNNING)
        await running.report_task(identifier, "n0", TASK.RUNNING)
        signal = identifier_pb2.SignalIdentifier(signal_id="s", execution_id=identifier)
        await running.signals.GetOrCreateSignal(signal_pb2.SignalGetOrCreateRequest(id=signal, type=INTEGER))
        yield running


def methods(admin: Admin) -> Iterator[tuple[str, MethodDescriptor]]:
    """Every RPC that is served under our own names, with its path."""
    server = admin.app._grpc
    for name in server._services:
        if name.startswith("elevon."):
            for method in find_service(None, name).methods:
                yield f"/{name}/{method.name}", method


def request_of(method: MethodDescriptor) -> Any:
    """A request that is taken, or nearly."""
    message = message_factory.GetMessageClass(method.input_type)()
    written = WRITTEN.get(method.name)
    if written is not None:
        return type(message).FromString(written.SerializeToString())
    usual(message, WORDS)
    complete(message, method.name)
    kind = next((number for part, number in TYPES.items() if part in method.name), core.TASK)
    identified(message, core.TASK if "Execution" in method.name else kind)
    return message


def complete(message: Any, name: str) -> None:
    """Add what a request must have beside names."""
    if "Attributes" in name and "Update" in name:
        message.attributes.matching_attributes.cluster_assignment.cluster_pool_name = "c"
    elif name == "GetOrCreateSignal":
        message.type.simple = core.INTEGER
    elif name == "SetSignal":
        message.value.scalar.primitive.integer = 1
    elif name == "UpdateNamedEntity":
        message.metadata.description = "d"


def identified(message: Any, kind: int) -> None:
    """Say of which kind the names in a request are."""
    for field, value in message.ListFields():
        if not field.is_repeated and field.message_type is not None:
            identified(value, kind)
    if "resource_type" in message.DESCRIPTOR.fields_by_name and "workflow" not in message.DESCRIPTOR.fields_by_name:
        message.resource_type = kind


def batch() -> Message:
    """An event of each kind."""
    request = event_service_pb2.RecordEventsRequest()
    for event, name in (
        (workflow_event(execution_id("x"), WORKFLOW.RUNNING), "workflow"),
        (node_event(execution_id("x"), "n0", NODE.RUNNING), "node"),
        (task_event(execution_id("x"), "n0", TASK.RUNNING), "task"),
    ):
        getattr(request.events.add(), name).MergeFromString(event.SerializeToString())
    return request


WRITTEN: dict[str, Any] = {
    "CreateTask": task("other"),
    "CreateWorkflow": workflow("other"),
    "CreateLaunchPlan": plan("other", of=workflow("w").id),
    "CreateExecution": execution_request(plan_id("w")),
    "RegisterProject": project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id="p", name="p")),
    "TerminateExecution": execution_pb2.ExecutionTerminateRequest(id=execution_id("y"), cause="c"),
    "CreateWorkflowEvent": event_pb2.WorkflowExecutionEventRequest(
        event=workflow_event(execution_id("x"), WORKFLOW.RUNNING)
    ),
    "CreateNodeEvent": event_pb2.NodeExecutionEventRequest(event=node_event(execution_id("x"), "n0", NODE.RUNNING)),
    "CreateTaskEvent": event_pb2.TaskExecutionEventRequest(event=task_event(execution_id("x"), "n0", TASK.RUNNING)),
    "RecordEvents": batch(),
}


async def answer(channel: grpc.aio.Channel, path: str, method: MethodDescriptor, request: Message) -> str:
    """The code of a call: OK also for a stream that has not ended after its first message, or after a moment."""
    calls: Any = channel.unary_stream if method.server_streaming else channel.unary_unary
    call = calls(path)(request.SerializeToString(), timeout=30)
    try:
        if method.server_streaming:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await call.read()
            call.cancel()
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    return "OK"


async def test_no_text_in_any_request_is_a_defect_of_ours(admin: Admin) -> None:
    found: list[str] = []
    async with grpc.aio.insecure_channel(admin.app.grpc_address) as channel:
        for path, method in methods(admin):
            request = request_of(method)
            for fields in text_fields(method.input_type):
                changed = with_text(request, fields, TEXTS.get(fields[-1].name, HOSTILE))
                code = await answer(channel, path, method, changed)
                blamed = UNNAMED in code and "Event" not in method.name
                if code.startswith(OURS) or blamed:
                    found.append(f"{path} {'.'.join(field.name for field in fields)}: {code}")
    assert not found, "\n".join(found)
