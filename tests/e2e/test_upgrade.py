"""What an early version has written is read, and what it has left running is finished, by this one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import schedule_service_pb2_grpc
from flyteidl.admin import (
    common_pb2,
    description_entity_pb2,
    execution_pb2,
    launch_plan_pb2,
    matchable_resource_pb2,
    node_execution_pb2,
    project_domain_attributes_pb2,
    project_pb2,
    signal_pb2,
    task_execution_pb2,
    task_pb2,
)
from flyteidl.core import catalog_pb2, identifier_pb2
from flyteidl.service import signal_pb2_grpc

from tests.e2e.harness import DOMAIN, PROJECT, Phase, Plane, inputs, integer, until
from tests.upgrades.foundation import SERVICES, Foundation, padded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

EXECUTIONS = {
    "done": Phase.SUCCEEDED,
    "from-cache": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "gated-aborted": Phase.ABORTED,
    "gated-one": Phase.RUNNING,
    "gated-two": Phase.RUNNING,
    "parent": Phase.RUNNING,
    "parent-child-0": Phase.RUNNING,
}
CACHED = (catalog_pb2.CACHE_HIT, catalog_pb2.CACHE_POPULATED)


@pytest.fixture(params=["sqlite", "postgresql"])
def upgraded(request: pytest.FixtureRequest, fresh_postgres_database: Callable[[], str]) -> Iterator[Plane]:
    """A control plane of this version on the data of an early one."""
    with tempfile.TemporaryDirectory(prefix="elevon-") as folder:
        foundation = Foundation(padded(Path(folder)))
        foundation.root.mkdir()
        urls = {name: f"sqlite+aiosqlite:///{foundation.root / name}.sqlite" for name in SERVICES}
        environment = {}
        if request.param == "postgresql":
            urls = {name: fresh_postgres_database() for name in SERVICES}
            environment = {f"ELEVON_{name.upper()}_DATABASE__URL": url for name, url in urls.items()}
        foundation.write_files()
        for name, url in urls.items():
            asyncio.run(foundation.load(name, url))
        plane = Plane(foundation.root, environment)
        try:
            yield plane
        finally:
            plane.close()


def place(name: str = "") -> common_pb2.NamedEntityIdentifier:
    return common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=name)


def listing(**fields: Any) -> common_pb2.ResourceListRequest:
    return common_pb2.ResourceListRequest(**{"id": place(), "limit": 100, **fields})


def test_everything_is_read_and_what_ran_is_finished(upgraded: Plane) -> None:
    the_registry_is_read(upgraded)
    executions_are_read(upgraded)
    schedules_and_attributes_are_there(upgraded)
    registering_again_is_known(upgraded)
    what_ran_is_finished(upgraded)
    what_had_ended_runs_again(upgraded)


def the_registry_is_read(plane: Plane) -> None:
    stub = plane.admin
    projects = stub.ListProjects(project_pb2.ProjectListRequest(limit=100)).projects
    assert "older" in [project.id for project in projects]
    ids = common_pb2.NamedEntityIdentifierListRequest(project=PROJECT, domain=DOMAIN, limit=100)
    tasks = stub.ListTasks(listing()).tasks
    assert sorted(f"{task.id.name}:{task.id.version}" for task in tasks) == [
        "cached:v1",
        "echo:v1",
        "echo:v2",
        "failing:v1",
    ]
    workflows = stub.ListWorkflows(listing()).workflows
    assert sorted(each.id.name for each in workflows) == ["failing", "gated", "parent", "steps"]
    plans = stub.ListLaunchPlans(listing()).launch_plans
    assert sorted(each.id.name for each in plans) == ["failing", "gated", "parent", "steps", "yearly"]
    for rows, get, kind in (
        (tasks, stub.GetTask, identifier_pb2.TASK),
        (workflows, stub.GetWorkflow, identifier_pb2.WORKFLOW),
        (plans, stub.GetLaunchPlan, identifier_pb2.LAUNCH_PLAN),
    ):
        assert all(get(common_pb2.ObjectGetRequest(id=row.id)).id == row.id for row in rows)
        entities = common_pb2.NamedEntityListRequest(resource_type=kind, project=PROJECT, domain=DOMAIN, limit=100)
        assert {each.id.name for each in stub.ListNamedEntities(entities).entities} == {row.id.name for row in rows}
    assert len(stub.ListTaskIds(ids).entities) == 3
    assert len(stub.ListWorkflowIds(ids).entities) == 4
    assert len(stub.ListLaunchPlanIds(ids).entities) == 5
    active = stub.GetActiveLaunchPlan(launch_plan_pb2.ActiveLaunchPlanRequest(id=place("yearly")))
    assert active.closure.state == launch_plan_pb2.ACTIVE
    request = description_entity_pb2.DescriptionEntityListRequest(
        resource_type=identifier_pb2.TASK, id=place("echo"), limit=100
    )
    described = stub.ListDescriptionEntities(request).descriptionEntities
    assert [each.short_description for each in described] == ["An early task"] * 2


def executions_are_read(plane: Plane) -> None:
    stub = plane.admin
    found = {each.id.name: each for each in stub.ListExecutions(listing()).executions}
    assert {name: each.closure.phase for name, each in found.items()} == EXECUTIONS
    for name, execution in found.items():
        alone = plane.execution(execution.id)
        assert (alone.spec, alone.closure.phase) == (execution.spec, execution.closure.phase)
        data = stub.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=execution.id))
        assert data.full_inputs == inputs(a=5)
        assert data.full_outputs == (inputs(o0=5) if EXECUTIONS[name] == Phase.SUCCEEDED else inputs())
        spans = stub.GetExecutionMetrics(execution_pb2.WorkflowExecutionGetMetricsRequest(id=execution.id, depth=10))
        assert spans.span.HasField("start_time")
        nodes_are_read(plane, execution.id)
    tagged = stub.ListExecutions(listing(filters="eq(execution_tag.key,team)+eq(workflow.name,steps)")).executions
    assert [each.id.name for each in tagged] == ["done"]
    assert found["failed"].closure.error.code == "UnsupportedTaskType"
    assert found["gated-aborted"].closure.abort_metadata.cause == "changed my mind"
    statuses = [plane.nodes(found[name].id)["n0"] for name in ("done", "from-cache")]
    assert [node.closure.task_node_metadata.cache_status for node in statuses] == [*reversed(CACHED)]


def nodes_are_read(plane: Plane, execution: identifier_pb2.WorkflowExecutionIdentifier) -> None:
    stub, nodes = plane.admin, plane.nodes(execution)
    assert nodes
    for node in nodes.values():
        alone = stub.GetNodeExecution(node_execution_pb2.NodeExecutionGetRequest(id=node.id))
        assert (alone.id, alone.closure.phase) == (node.id, node.closure.phase)
        data = stub.GetNodeExecutionData(node_execution_pb2.NodeExecutionGetDataRequest(id=node.id))
        if node.id.node_id in ("n0", "first"):
            assert data.full_inputs == inputs(a=5)
        for attempt in plane.attempts(node):
            read = stub.GetTaskExecution(task_execution_pb2.TaskExecutionGetRequest(id=attempt.id))
            assert (read.id, read.closure.phase) == (attempt.id, attempt.closure.phase)
            stub.GetTaskExecutionData(task_execution_pb2.TaskExecutionGetDataRequest(id=attempt.id))


def schedules_and_attributes_are_there(plane: Plane) -> None:
    schedules: Any = schedule_service_pb2_grpc.ScheduleServiceStub(plane.channel)
    request = admin.ListSchedulesRequest(project=PROJECT, domain=DOMAIN, limit=100)
    assert [each.launch_plan_id.name for each in schedules.ListSchedules(request).schedules] == ["yearly"]
    wanted = project_domain_attributes_pb2.ProjectDomainAttributesGetRequest(
        project=PROJECT, domain=DOMAIN, resource_type=matchable_resource_pb2.TASK_RESOURCE
    )
    found = plane.admin.GetProjectDomainAttributes(wanted).attributes.matching_attributes
    assert found.task_resource_attributes.defaults.cpu == "1"


def registering_again_is_known(plane: Plane) -> None:
    (task,) = plane.admin.ListTasks(listing(filters="eq(name,cached)")).tasks
    request = task_pb2.TaskCreateRequest(id=task.id, spec={"template": task.closure.compiled_task.template})
    request.spec.description.short_description = task.short_description
    with pytest.raises(grpc.RpcError) as raised:
        plane.admin.CreateTask(request)
    assert raised.value.code() is grpc.StatusCode.ALREADY_EXISTS


def what_ran_is_finished(plane: Plane) -> None:
    signals = signal_pb2_grpc.SignalServiceStub(plane.channel)
    for name in ("gated-one", "parent-child-0"):
        execution = plane.execution_named(name)
        go = the_signal(signals, execution)
        assert go.signal_id == "go"
        signals.SetSignal(signal_pb2.SignalSetRequest(id=go, value=integer(7)))
    for name in ("gated-one", "parent-child-0", "parent"):
        execution = plane.execution_named(name)
        ended = plane.wait(execution)
        assert ended.closure.phase == Phase.SUCCEEDED, ended.closure.error
        assert plane.outputs(execution)["o0"] == integer(7)
    request = execution_pb2.ExecutionTerminateRequest(id=plane.execution_named("gated-two"), cause="enough")
    plane.admin.TerminateExecution(request)
    assert plane.wait(request.id).closure.phase == Phase.ABORTED


def the_signal(
    signals: signal_pb2_grpc.SignalServiceStub, execution: identifier_pb2.WorkflowExecutionIdentifier
) -> identifier_pb2.SignalIdentifier:
    """The one that an execution waits for, as soon as the engine has asked for it."""
    wanted = signal_pb2.SignalListRequest(workflow_execution_id=execution, limit=10)
    (signal,) = until(lambda: signals.ListSignals(wanted).signals, 60, f"the gate of {execution.name}")
    return signal.id


def what_had_ended_runs_again(plane: Plane) -> None:
    done = plane.execution_named("done")
    again = plane.admin.RelaunchExecution(execution_pb2.ExecutionRelaunchRequest(id=done, name="again"))
    assert plane.wait(again.id).closure.phase == Phase.SUCCEEDED
    assert plane.nodes(again.id)["n0"].closure.task_node_metadata.cache_status == catalog_pb2.CACHE_HIT
    aborted = plane.execution_named("gated-aborted")
    recovered = plane.admin.RecoverExecution(execution_pb2.ExecutionRecoverRequest(id=aborted, name="recovered"))
    signals = signal_pb2_grpc.SignalServiceStub(plane.channel)
    go = the_signal(signals, recovered.id)
    signals.SetSignal(signal_pb2.SignalSetRequest(id=go, value=integer(8)))
    assert plane.wait(recovered.id).closure.phase == Phase.SUCCEEDED
