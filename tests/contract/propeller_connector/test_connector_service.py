"""What the plugin relies on: of the fake, and of a server of the published stubs behind the gRPC adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from elevon_core.errors import (
    DeadlineExceeded,
    ElevonError,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.connector.fake import FakeConnectorService
from elevon_propeller.plugins.connector.grpc_service import GrpcConnectorService
from elevon_propeller.plugins.connector.service import ConnectorService
from elevon_propeller.plugins.connector.settings import EndpointSettings

from tests.contract.propeller_connector.official_server import served

Phase = core.TaskExecution


@dataclass
class Subject:
    service: ConnectorService
    behind: FakeConnectorService


@pytest.fixture(params=["fake", "grpc"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    behind = FakeConnectorService()
    if request.param == "fake":
        yield Subject(behind, behind)
        return
    async with served(behind) as (port, _):
        service = GrpcConnectorService("default", EndpointSettings(address=f"127.0.0.1:{port}"))
        yield Subject(service, behind)
        await service.close()


def literals(**values: int) -> core.LiteralMap:
    made = core.LiteralMap()
    for name, value in values.items():
        made.literals[name].scalar.primitive.integer = value
    return made


async def test_agents_are_listed_whole(subject: Subject) -> None:
    agent = connector.Agent(
        name="Sensor",
        supported_task_types=["sensor"],
        supported_task_categories=[connector.TaskCategory(name="sensor", version=2)],
        is_sync=True,
    )
    subject.behind.agents.append(agent)
    assert list(await subject.service.list_agents()) == [agent]


async def test_a_job_is_made_looked_at_and_deleted(subject: Subject) -> None:
    request = connector.CreateTaskRequest(
        inputs=literals(x=1),
        template=core.TaskTemplate(type="sensor", task_type_version=3),
        output_prefix="/data/0",
        task_execution_metadata=connector.TaskExecutionMetadata(namespace="p-d", labels={"project": "p"}),
    )
    meta = await subject.service.create_task(request)
    assert subject.behind.created == [request]
    resource = connector.Resource(phase=Phase.RUNNING, message="half way", outputs=literals(o=2))
    resource.log_links.add(uri="http://logs", name="Logs")
    resource.custom_info["page"] = "here"
    resource.agent_error.code = "Slow"
    subject.behind.set(meta, resource)
    looked_at = connector.GetTaskRequest(
        task_type="sensor", resource_meta=meta, task_category=connector.TaskCategory(name="sensor", version=3)
    )
    assert await subject.service.get_task(looked_at) == resource
    assert subject.behind.looked_at == [looked_at]
    deleted = connector.DeleteTaskRequest(resource_meta=meta, task_category=looked_at.task_category)
    await subject.service.delete_task(deleted)
    assert subject.behind.deleted == [deleted]
    with pytest.raises(NotFound):
        await subject.service.get_task(looked_at)


async def test_a_synchronous_job_gets_header_and_inputs_and_answers_with_outputs(subject: Subject) -> None:
    seen = []

    def double(header: connector.CreateRequestHeader, inputs: core.LiteralMap) -> connector.Resource:
        seen.append((header, inputs))
        return connector.Resource(
            phase=Phase.SUCCEEDED, outputs=literals(o=2 * inputs.literals["x"].scalar.primitive.integer)
        )

    subject.behind.sync_script = double
    header = connector.CreateRequestHeader(
        template=core.TaskTemplate(type="webhook"), output_prefix="/data/0", max_dataset_size_bytes=10
    )
    answer = await subject.service.execute_task_sync(header, literals(x=21))
    assert answer == connector.Resource(phase=Phase.SUCCEEDED, outputs=literals(o=42))
    assert seen == [(header, literals(x=21))]


@pytest.mark.parametrize(
    "error",
    [
        InvalidArgument("no such table"),
        NotFound("no connector"),
        FailedPrecondition("not now"),
        PermissionDenied("not you"),
        ResourceExhausted("too many"),
        Unimplemented("not here"),
        Internal("a trace"),
        DeadlineExceeded("slow"),
        Unavailable("away"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_errors_keep_kind_and_message(subject: Subject, error: ElevonError) -> None:
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "ListAgents": subject.service.list_agents,
        "CreateTask": lambda: subject.service.create_task(connector.CreateTaskRequest()),
        "GetTask": lambda: subject.service.get_task(connector.GetTaskRequest()),
        "DeleteTask": lambda: subject.service.delete_task(connector.DeleteTaskRequest()),
        "ExecuteTaskSync": lambda: subject.service.execute_task_sync(
            connector.CreateRequestHeader(), core.LiteralMap()
        ),
    }
    for method, call in calls.items():
        subject.behind.fail(method, type(error)(error.message))
        with pytest.raises(ElevonError, match=error.message) as raised:
            await call()
        assert raised.value.kind is error.kind


async def test_it_is_connected_once_it_is_there(subject: Subject) -> None:
    await subject.service.connected()
    await subject.service.list_agents()
