"""An admin service with a small PropellerService beside it, and short ways to launch, report and read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from elevon_admin.app import App, build
from elevon_admin.drivers.engine_memory import MemoryEngine
from elevon_admin.settings import AdminSettings
from elevon_core.errors import ElevonError
from elevon_idl.admin import v1 as admin_v1
from elevon_idl.admin.v1 import event_service_pb2_grpc
from elevon_idl.propeller import v1 as propeller
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.grpc_status import to_number
from elevon_kit.settings import GrpcSettings
from flyteidl.admin import common_pb2, event_pb2, execution_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.event import event_pb2 as events
from flyteidl.service import admin_pb2_grpc, dataproxy_pb2_grpc, signal_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from tests.integration.admin_registry.harness import plan, plan_id, task, task_id, workflow

PROJECT, DOMAIN = "flytesnacks", "development"
WORKFLOW, NODE, TASK = core_execution.WorkflowExecution, core_execution.NodeExecution, core_execution.TaskExecution
EPOCH = 1_700_000_000
AnyEvent: TypeAlias = events.WorkflowExecutionEvent | events.NodeExecutionEvent | events.TaskExecutionEvent


class FakePropeller:
    """PropellerService over the fake engine."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.forgotten: list[propeller.ForgetExecutionRequest] = []

    async def CreateExecution(
        self, request: propeller.CreateExecutionRequest, context: object
    ) -> propeller.CreateExecutionResponse:
        """Take over an execution."""
        return await self.engine.create(request)

    async def CreateExecutions(
        self, request: propeller.CreateExecutionsRequest, context: object
    ) -> propeller.CreateExecutionsResponse:
        """Take over several executions."""
        response = propeller.CreateExecutionsResponse()
        for each in request.executions:
            outcome = response.outcomes.add()
            try:
                outcome.response.CopyFrom(await self.engine.create(each))
            except ElevonError as error:
                outcome.error.code, outcome.error.message = to_number(error), error.message
        return response

    async def AbortExecution(
        self, request: propeller.AbortExecutionRequest, context: object
    ) -> propeller.AbortExecutionResponse:
        """Stop an execution."""
        known = await self.engine.abort(request.execution_id, request.cause)
        return propeller.AbortExecutionResponse(known=known)

    async def TellEnd(self, request: propeller.TellEndRequest, context: object) -> propeller.TellEndResponse:
        """Hear of an end."""
        await self.engine.tell_end(request.execution_id)
        return propeller.TellEndResponse()

    async def SetSignal(self, request: propeller.SetSignalRequest, context: object) -> propeller.SetSignalResponse:
        """Take a signal."""
        known = await self.engine.set_signal(request.execution_id, request.signal_id, request.value)
        return propeller.SetSignalResponse(known=known)

    async def ForgetExecution(
        self, request: propeller.ForgetExecutionRequest, context: object
    ) -> propeller.ForgetExecutionResponse:
        """Forget an execution, unless calls are to fail."""
        if self.engine.failures:
            raise self.engine.failures.pop(0)
        self.forgotten.append(request)
        return propeller.ForgetExecutionResponse()


@contextlib.asynccontextmanager
async def fake_propeller(
    engine: MemoryEngine, port: int = 0, servicer: FakePropeller | None = None
) -> AsyncIterator[str]:
    """Serve the fake engine; answers the address."""
    server = GrpcServer(GrpcSettings(port=port, drain_seconds=0), "propeller")
    server.add(servicer or FakePropeller(engine), "elevon.propeller.v1.PropellerService")
    await server.start()
    try:
        yield server.address
    finally:
        await server.stop()


@dataclass
class Admin:
    """A running service, stubs for it, and the engine it hands executions to."""

    app: App
    engine: MemoryEngine
    stub: Any
    data: Any
    signals: Any
    batches: Any

    async def register(self, name: str = "w", **plan_fields: Any) -> identifier_pb2.Identifier:
        """A task `t`, a workflow and a launch plan of one name, with an input `a` of type integer."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self.stub.CreateTask(task("t"))
        await self.stub.CreateWorkflow(workflow(name))
        await self.stub.CreateLaunchPlan(plan(name, **plan_fields))
        return plan_id(name)

    async def launch(
        self, target: identifier_pb2.Identifier, name: str = "", inputs: Any = None, **spec: Any
    ) -> identifier_pb2.WorkflowExecutionIdentifier:
        """Create an execution."""
        request = execution_request(target, name, inputs, **spec)
        return (await self.stub.CreateExecution(request)).id

    async def get(self, identifier: identifier_pb2.WorkflowExecutionIdentifier) -> execution_pb2.Execution:
        """Read an execution."""
        return await self.stub.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=identifier))

    async def report(
        self, identifier: identifier_pb2.WorkflowExecutionIdentifier, phase: int, seconds: int = 0, **fields: Any
    ) -> None:
        """Send a workflow event."""
        reported = workflow_event(identifier, phase, seconds, **fields)
        await self.stub.CreateWorkflowEvent(event_pb2.WorkflowExecutionEventRequest(event=reported))

    async def report_node(self, identifier: Any, node_id: str, phase: int, seconds: int = 0, **fields: Any) -> None:
        """Send a node event."""
        reported = node_event(identifier, node_id, phase, seconds, **fields)
        await self.stub.CreateNodeEvent(event_pb2.NodeExecutionEventRequest(event=reported))

    async def report_task(self, identifier: Any, node_id: str, phase: int, seconds: int = 0, **fields: Any) -> None:
        """Send a task event."""
        reported = task_event(identifier, node_id, phase, seconds, **fields)
        await self.stub.CreateTaskEvent(event_pb2.TaskExecutionEventRequest(event=reported))


@contextlib.asynccontextmanager
async def serving(
    database_url: str, folder: Path, engine: MemoryEngine | None = None, propeller_address: str = "", **flags: Any
) -> AsyncIterator[Admin]:
    """Run admin on a database and a folder, with a fake propeller unless an address is given."""
    async with contextlib.AsyncExitStack() as stack:
        engine = engine or MemoryEngine()
        address = propeller_address or await stack.enter_async_context(fake_propeller(engine))
        settings = AdminSettings.load(
            [],
            database={"url": database_url, "migrate": True},
            propeller_address=address,
            **{"blobs": {"container": str(folder)}, **flags},
        )
        app = await build(settings)
        await app.start()
        stack.push_async_callback(app.stop)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(app.grpc_address))
        yield Admin(
            app,
            engine,
            admin_pb2_grpc.AdminServiceStub(channel),
            dataproxy_pb2_grpc.DataProxyServiceStub(channel),
            signal_pb2_grpc.SignalServiceStub(channel),
            event_service_pb2_grpc.EventServiceStub(channel),
        )


async def record(admin: Admin, reported: Sequence[AnyEvent]) -> list[int]:
    """Send a batch; answers the results."""
    request = admin_v1.RecordEventsRequest(producer_id="propeller")
    for one in reported:
        wrapped = request.events.add()
        if isinstance(one, events.WorkflowExecutionEvent):
            wrapped.workflow.ParseFromString(one.SerializeToString())
        elif isinstance(one, events.NodeExecutionEvent):
            wrapped.node.ParseFromString(one.SerializeToString())
        else:
            wrapped.task.ParseFromString(one.SerializeToString())
    response = await admin.batches.RecordEvents(request)
    return [outcome.result for outcome in response.outcomes]


async def delivered(admin: Admin, name: str) -> propeller.CreateExecutionRequest:
    """What the engine was told about an execution, once it was told."""
    await eventually(lambda: any(key.name == name for key in admin.engine.created), f"{name} is handed over")
    return next(request for key, request in admin.engine.created.items() if key.name == name)


async def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until something is true; fails after half a minute."""
    for _ in range(3_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"did not happen: {what}")


def moment(seconds: int) -> Timestamp:
    """A time of the tests, counted from a fixed one."""
    return Timestamp(seconds=EPOCH + seconds)


def integer(value: int) -> literals_pb2.Literal:
    """An integer literal."""
    primitive = literals_pb2.Primitive(integer=value)
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive))


def literals(**values: int) -> literals_pb2.LiteralMap:
    """Integers by name."""
    return literals_pb2.LiteralMap(literals={name: integer(value) for name, value in values.items()})


def execution_request(
    target: identifier_pb2.Identifier, name: str = "", inputs: Any = None, **spec: Any
) -> execution_pb2.ExecutionCreateRequest:
    """A request as flytekit sends it."""
    fields = {"metadata": execution_pb2.ExecutionMetadata(principal="placeholder"), **spec}
    return execution_pb2.ExecutionCreateRequest(
        project=PROJECT,
        domain=DOMAIN,
        name=name,
        spec=execution_pb2.ExecutionSpec(launch_plan=target, **fields),
        inputs=literals(a=1) if inputs is None else inputs,
    )


def listing(limit: int = 100, filters: str = "", token: str = "", **fields: Any) -> common_pb2.ResourceListRequest:
    """A list request for the executions of the project."""
    place = common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN)
    return common_pb2.ResourceListRequest(id=place, limit=limit, filters=filters, token=token, **fields)


def execution_id(name: str) -> identifier_pb2.WorkflowExecutionIdentifier:
    """The identifier of an execution."""
    return identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=name)


def node_id_of(identifier: Any, node_id: str) -> identifier_pb2.NodeExecutionIdentifier:
    """The identifier of a node execution."""
    return identifier_pb2.NodeExecutionIdentifier(node_id=node_id, execution_id=identifier)


def task_execution_id(identifier: Any, node_id: str, attempt: int = 0) -> identifier_pb2.TaskExecutionIdentifier:
    """The identifier of a task execution of task `t`."""
    return identifier_pb2.TaskExecutionIdentifier(
        task_id=task_id("t"), node_execution_id=node_id_of(identifier, node_id), retry_attempt=attempt
    )


def workflow_event(identifier: Any, phase: int, seconds: int = 0, **fields: Any) -> events.WorkflowExecutionEvent:
    """A workflow event."""
    return events.WorkflowExecutionEvent(execution_id=identifier, phase=phase, occurred_at=moment(seconds), **fields)


def node_event(identifier: Any, node_id: str, phase: int, seconds: int = 0, **fields: Any) -> events.NodeExecutionEvent:
    """A node event."""
    fields = {"event_version": 1, "spec_node_id": node_id, **fields}
    return events.NodeExecutionEvent(
        id=node_id_of(identifier, node_id), phase=phase, occurred_at=moment(seconds), **fields
    )


def task_event(identifier: Any, node_id: str, phase: int, seconds: int = 0, **fields: Any) -> events.TaskExecutionEvent:
    """A task event of task `t`."""
    return events.TaskExecutionEvent(
        task_id=task_id("t"),
        parent_node_execution_id=node_id_of(identifier, node_id),
        phase=phase,
        occurred_at=moment(seconds),
        **fields,
    )
