"""One suite for every `AdminService`: the fake, and a real admin over a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_core import identifiers
from elevon_core.compiler import LaunchPlanInterface
from elevon_core.errors import AlreadyExists, FailedPrecondition, NotFound, Unavailable
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.grpc_client import channel
from elevon_propeller.drivers.admin_service import GrpcAdminService
from elevon_propeller.drivers.admin_service_memory import MemoryAdminService
from elevon_propeller.ports import AdminService, ChildOutcome
from elevon_propeller.simulation import closures
from flyteidl.admin import signal_pb2
from flyteidl.core import execution_pb2, identifier_pb2, literals_pb2

from tests.integration.admin_executions import harness
from tests.integration.admin_registry.harness import plan_id, task_id

pytestmark = pytest.mark.schema(MIGRATIONS)

Workflow = core.WorkflowExecution
PROJECT, DOMAIN = harness.PROJECT, harness.DOMAIN
End = Callable[[core.WorkflowExecutionIdentifier, ChildOutcome], Awaitable[None]]
SetSignal = Callable[[core.WorkflowExecutionIdentifier, str, core.Literal], Awaitable[None]]


@dataclass
class Side:
    """An implementation, what is registered there, and how its executions are ended."""

    service: AdminService
    plan: core.Identifier
    task: core.Identifier
    end: End
    set_signal: SetSignal


def ours(identifier: Any) -> core.Identifier:
    """An identifier of the official stubs as ours."""
    return core.Identifier.FromString(identifier.SerializeToString())


def memory() -> Side:
    """The fake with a task and a launch plan."""
    service = MemoryAdminService()
    plan, task = ours(plan_id("w")), ours(task_id("t"))
    variable = core.Variable(type=closures.INTEGER)
    parameters = core.ParameterMap(parameters={"a": core.Parameter(var=variable, required=True)})
    service.launch_plans[identifiers.key(plan)] = LaunchPlanInterface(parameters, core.VariableMap())
    service.tasks[identifiers.key(task)] = core.CompiledTask(template=core.TaskTemplate(id=task))

    async def end(child: core.WorkflowExecutionIdentifier, outcome: ChildOutcome) -> None:
        service.end(child, outcome)

    async def set_signal(execution: core.WorkflowExecutionIdentifier, name: str, value: core.Literal) -> None:
        service.values[(execution.project, execution.domain, execution.name), name] = value

    return Side(service, plan, task, end, set_signal)


async def real(running: harness.Admin, service: GrpcAdminService) -> Side:
    """A real admin with a task and a launch plan; executions are ended by events."""
    plan = ours(await running.register("w"))

    async def end(child: core.WorkflowExecutionIdentifier, outcome: ChildOutcome) -> None:
        fields: dict[str, Any] = {}
        if outcome.error is not None:
            fields["error"] = execution_pb2.ExecutionError.FromString(outcome.error.SerializeToString())
        if outcome.outputs is not None:
            fields["output_data"] = literals_pb2.LiteralMap.FromString(outcome.outputs.SerializeToString())
        name = identifier_pb2.WorkflowExecutionIdentifier.FromString(child.SerializeToString())
        await running.report(name, Workflow.RUNNING)
        await running.report(name, outcome.phase, 5, **fields)

    async def set_signal(execution: core.WorkflowExecutionIdentifier, name: str, value: core.Literal) -> None:
        identifier = core.SignalIdentifier(signal_id=name, execution_id=execution).SerializeToString()
        official = identifier_pb2.SignalIdentifier.FromString(identifier)
        given = literals_pb2.Literal.FromString(value.SerializeToString())
        await running.signals.SetSignal(signal_pb2.SignalSetRequest(id=official, value=given))

    return Side(service, plan, ours(task_id("t")), end, set_signal)


@pytest.fixture(params=["memory", "grpc"])
async def side(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> AsyncIterator[Side]:
    """Every implementation in turn."""
    if request.param == "memory":
        yield memory()
        return
    async with harness.serving(sqlite_url, tmp_path / "blobs") as running:
        opened = channel(running.app.grpc_address)
        try:
            yield await real(running, GrpcAdminService(opened))
        finally:
            await opened.close()


def child(name: str) -> core.WorkflowExecutionIdentifier:
    """An execution of the test's project."""
    return core.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=name)


def launch(plan: core.Identifier, name: str) -> admin.ExecutionCreateRequest:
    """What creates an execution of a launch plan."""
    return admin.ExecutionCreateRequest(
        project=PROJECT,
        domain=DOMAIN,
        name=name,
        spec=admin.ExecutionSpec(launch_plan=plan, metadata=admin.ExecutionMetadata()),
        inputs=closures.integers(a=1),
    )


def absent(kind: core.ResourceType.ValueType) -> core.Identifier:
    """An identifier of nothing."""
    return core.Identifier(resource_type=kind, project=PROJECT, domain=DOMAIN, name="absent", version="v")


async def test_an_execution_is_created_once(side: Side) -> None:
    await side.service.launch(launch(side.plan, "one"))
    with pytest.raises(AlreadyExists):
        await side.service.launch(launch(side.plan, "one"))


async def test_nothing_is_created_of_an_absent_plan(side: Side) -> None:
    with pytest.raises(NotFound, match="absent"):
        await side.service.launch(launch(absent(core.LAUNCH_PLAN), "two"))
    with pytest.raises(NotFound):
        await side.service.outcome(child("two"))


async def test_an_execution_has_no_outcome_while_it_runs(side: Side) -> None:
    await side.service.launch(launch(side.plan, "runs"))
    assert await side.service.outcome(child("runs")) is None


@pytest.mark.parametrize(
    "outcome",
    [
        ChildOutcome(Workflow.SUCCEEDED, outputs=closures.integers(x=3)),
        ChildOutcome(Workflow.FAILED, error=core.ExecutionError(code="C", message="m", kind=core.ExecutionError.USER)),
    ],
)
async def test_the_outcome_tells_how_an_execution_ended(side: Side, outcome: ChildOutcome) -> None:
    await side.service.launch(launch(side.plan, "ends"))
    await side.end(child("ends"), outcome)
    assert await side.service.outcome(child("ends")) == outcome


async def test_what_is_terminated_is_not_terminated_when_it_has_ended(side: Side) -> None:
    await side.service.launch(launch(side.plan, "stops"))
    await side.service.terminate(child("stops"), "enough")
    await side.service.launch(launch(side.plan, "ended"))
    await side.end(child("ended"), ChildOutcome(Workflow.SUCCEEDED))
    with pytest.raises(FailedPrecondition):
        await side.service.terminate(child("ended"), "too late")
    with pytest.raises(NotFound):
        await side.service.terminate(child("unknown"), "never was")


async def test_entities_are_found_or_absent(side: Side) -> None:
    found = await side.service.launch_plan(side.plan)
    assert found.expected_inputs.parameters["a"].required
    assert (await side.service.task(side.task)).template.id == side.task
    with pytest.raises(NotFound, match="absent"):
        await side.service.launch_plan(absent(core.LAUNCH_PLAN))
    with pytest.raises(NotFound, match="absent"):
        await side.service.task(absent(core.TASK))


async def test_an_execution_is_recovered_once(side: Side) -> None:
    await side.service.launch(launch(side.plan, "breaks"))
    await side.end(child("breaks"), ChildOutcome(Workflow.FAILED, error=core.ExecutionError(code="C")))
    request = admin.ExecutionRecoverRequest(id=child("breaks"), name="again")
    await side.service.recover(request)
    assert await side.service.outcome(child("again")) is None
    with pytest.raises(AlreadyExists):
        await side.service.recover(request)
    with pytest.raises(NotFound):
        await side.service.recover(admin.ExecutionRecoverRequest(id=child("unknown"), name="never"))


async def test_of_an_original_without_nodes_nothing_is_known(side: Side) -> None:
    await side.service.launch(launch(side.plan, "early"))
    original = await side.service.original(child("early"))
    assert (original.name, dict(original.nodes), dict(original.signals)) == ("early", {}, {})
    with pytest.raises(NotFound):
        await side.service.original(child("unknown"))


async def test_a_signal_is_registered_once_and_has_one_type(side: Side) -> None:
    await side.service.launch(launch(side.plan, "waits"))
    for _ in range(2):
        assert await side.service.register_signal(child("waits"), "go", closures.INTEGER) is None
    with pytest.raises(AlreadyExists, match="type"):
        await side.service.register_signal(child("waits"), "go", closures.INTEGERS)
    await side.set_signal(child("waits"), "go", closures.integers(x=2).literals["x"])
    value = await side.service.register_signal(child("waits"), "go", closures.INTEGER)
    assert value == closures.integers(x=2).literals["x"]
    with pytest.raises(NotFound):
        await side.service.register_signal(child("unknown"), "go", closures.INTEGER)


async def test_an_admin_out_of_reach_is_unavailable() -> None:
    opened = channel("127.0.0.1:1")
    try:
        with pytest.raises(Unavailable):
            await GrpcAdminService(opened, timeout=60).outcome(child("any"))
    finally:
        await opened.close()
