"""A whole propeller over loopback sockets: a real database, a real admin-side EventService, the echo plugin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from elevon_core.errors import Unavailable
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import event_service_pb2_grpc
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_kit.grpc_client import channel
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.migrations import Migrations
from elevon_kit.settings import GrpcSettings
from elevon_propeller.app import MIGRATIONS, App, build
from elevon_propeller.drivers.admin_events import MemoryAdminEvents
from elevon_propeller.drivers.admin_service_memory import MemoryAdminService
from elevon_propeller.drivers.catalog_memory import MemoryCatalog
from elevon_propeller.plugins.fake import FakePlugin
from elevon_propeller.settings import PropellerSettings
from elevon_propeller.simulation import closures

from tests.integration.propeller_engine.engines import Begin, Engine, plugin


class Recorder(event_service_pb2_grpc.EventServiceServicer):
    """Admin's side: keeps events; while `down` it is out of reach."""

    def __init__(self) -> None:
        self.down = False
        self.batches: list[admin.RecordEventsRequest] = []

    async def RecordEvents(
        self, request: admin.RecordEventsRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> admin.RecordEventsResponse:
        """Keep a batch."""
        if self.down:
            raise Unavailable("admin is down")
        self.batches.append(request)
        outcome = admin.EventOutcome(result=admin.EventOutcome.RESULT_RECORDED)
        return admin.RecordEventsResponse(outcomes=[outcome] * len(request.events))

    @property
    def events(self) -> list[admin.ExecutionEvent]:
        """Everything recorded, in order."""
        return [event for batch in self.batches for event in batch.events]

    def phases(self, name: str) -> list[str]:
        """What was told of one execution, readable: `workflow RUNNING`, `n0 QUEUED`, `n0[0] SUCCEEDED`."""
        told = [describe(event) for event in self.events]
        return [text for execution, text in told if execution == name]


def describe(event: admin.ExecutionEvent) -> tuple[str, str]:
    """Execution name and what happened."""
    if event.HasField("workflow"):
        phase = core.WorkflowExecution.Phase.Name(event.workflow.phase)
        return event.workflow.execution_id.name, f"workflow {phase}"
    if event.HasField("node"):
        identifier = event.node.id
        return identifier.execution_id.name, f"{identifier.node_id} {core.NodeExecution.Phase.Name(event.node.phase)}"
    node = event.task.parent_node_execution_id
    phase = core.TaskExecution.Phase.Name(event.task.phase)
    return node.execution_id.name, f"{node.node_id}[{event.task.retry_attempt}] {phase}"


class Client:
    """A propeller that runs, and calls to it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._channel = channel(app.grpc_address)
        self.stub = cast(
            "propeller_service_pb2_grpc.PropellerServiceAsyncStub",
            propeller_service_pb2_grpc.PropellerServiceStub(self._channel),
        )

    async def create(
        self,
        name: str,
        closure: core.CompiledWorkflowClosure | None,
        *,
        digest: bytes = b"",
        options: propeller.ExecutionOptions | None = None,
    ) -> propeller.CreateExecutionResponse:
        """Create an execution with the input x = 1."""
        request = propeller.CreateExecutionRequest(
            execution_id=identifier(name),
            closure=closure,
            closure_digest=digest,
            inputs=closures.integers(x=1),
            options=options,
        )
        return await self.stub.CreateExecution(request)

    async def abort(self, name: str, cause: str) -> bool:
        """Abort an execution; tells whether it was known."""
        request = propeller.AbortExecutionRequest(execution_id=identifier(name), cause=cause)
        return (await self.stub.AbortExecution(request)).known

    async def describe(self, name: str) -> propeller.ExecutionView:
        """The engine's view of an execution."""
        request = propeller.DescribeExecutionRequest(execution_id=identifier(name))
        return (await self.stub.DescribeExecution(request)).execution

    async def watch(self, name: str) -> list[propeller.ExecutionView]:
        """All views until the end."""
        request = propeller.WatchExecutionRequest(execution_id=identifier(name))
        return [response.execution async for response in self.stub.WatchExecution(request)]

    async def wait(self, name: str) -> str:
        """The phase an execution ends with."""
        return core.WorkflowExecution.Phase.Name((await self.watch(name))[-1].phase)

    async def close(self) -> None:
        """Disconnect."""
        await self._channel.close()


def identifier(name: str) -> core.WorkflowExecutionIdentifier:
    """An execution of the test's project."""
    return core.WorkflowExecutionIdentifier(project="flytesnacks", domain="development", name=name)


Starter = Callable[..., Awaitable[Client]]


@pytest.fixture
def schema() -> Migrations:
    """What propeller would make of an empty database."""
    return MIGRATIONS


@pytest.fixture
async def recorder_address() -> AsyncIterator[tuple[Recorder, str]]:
    """An admin that only takes events."""
    recorder = Recorder()
    server = GrpcServer(GrpcSettings(), "elevon.admin")
    server.add(recorder, "elevon.admin.v1.EventService")
    await server.start()
    try:
        yield recorder, server.address
    finally:
        await server.stop()


@pytest.fixture
def recorder(recorder_address: tuple[Recorder, str]) -> Recorder:
    """The admin's side."""
    return recorder_address[0]


@pytest.fixture
async def start(recorder_address: tuple[Recorder, str], sqlite_url: str, tmp_path: Path) -> AsyncIterator[Starter]:
    """Starts a propeller on the test's database (or another `url`); several may run at once."""
    clients: list[Client] = []

    async def starter(url: str = "", http: dict[str, object] | None = None, **engine: object) -> Client:
        settings = PropellerSettings.load(
            [],
            database={"url": url or sqlite_url, "migrate": True},
            blobs={"container": str(tmp_path / "store")},
            http=http or {"enabled": False},
            admin={"address": recorder_address[1]},
            engine={"lease_seconds": 1.0, **engine},
            plugins={"process": {"enabled": False}},
            data_folder=str(tmp_path / "data"),
        )
        app = await build(settings)
        await app.start()
        clients.append(Client(app))
        return clients[-1]

    yield starter
    for client in clients:
        await client.close()
        await client.app.stop()


async def eventually(check: Callable[[], bool]) -> None:
    """Wait until something is so; the test's own time limit ends the wait."""
    while not check():
        await asyncio.sleep(0.01)


@pytest.fixture
async def begin(database_url: str) -> AsyncIterator[Begin]:
    """Starts replicas that share a database, an admin, a catalog and files."""
    await MIGRATIONS.upgrade(database_url)
    shared = {
        "admin": MemoryAdminEvents(),
        "catalog": MemoryCatalog(),
        "blobs": MemoryBlobStore(),
        "service": MemoryAdminService(),
    }
    engines: list[Engine] = []

    async def start(script: Any = None, **options: Any) -> Engine:
        engine = Engine(database_url, script if isinstance(script, FakePlugin) else plugin(script), shared, **options)
        await engine.database.open()
        await engine.runtime.start()
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        await engine.stop(dead=True)
