"""Launch-plan nodes and dynamic tasks of real flytekit, on a whole control plane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flyteidl.admin import execution_pb2, node_execution_pb2
from flyteidl.core import catalog_pb2, identifier_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2

from tests.e2e.harness import Id, Plane, inputs, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "nested"
Phase = core_execution_pb2.WorkflowExecution
Node = core_execution_pb2.NodeExecution
SESSION = Path(__file__).parent / "nested_session.py"


@pytest.fixture(scope="module")
def registered(plane: Plane) -> Plane:
    """The control plane with the nested workflows."""
    plane.register("nested", VERSION)
    return plane


def run(plane: Plane, name: str, **values: int | str) -> execution_pb2.Execution:
    """Launch a workflow's default plan and wait for its end."""
    return plane.wait(plane.launch(f"nested.{name}", VERSION, inputs(**values)))


def children(plane: Plane, execution: Id, parent: str) -> dict[str, node_execution_pb2.NodeExecution]:
    """The node executions below a node."""
    request = node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=execution, limit=1000, unique_parent_id=parent
    )
    return {node.id.node_id: node for node in plane.admin.ListNodeExecutions(request).node_executions}


def child_of(plane: Plane, node: node_execution_pb2.NodeExecution) -> execution_pb2.Execution:
    """The execution that a launch-plan node has started."""
    return plane.execution(node.closure.workflow_node_metadata.executionId)


def dynamic_workflow(plane: Plane, execution: Id, node_id: str) -> node_execution_pb2.NodeExecutionGetDataResponse:
    """What a node tells of the graph that it has yielded."""
    identifier = identifier_pb2.NodeExecutionIdentifier(node_id=node_id, execution_id=execution)
    request = node_execution_pb2.NodeExecutionGetDataRequest(id=identifier)
    return plane.admin.GetNodeExecutionData(request).dynamic_workflow


def test_launch_plan_nodes_run_executions_of_their_own(registered: Plane) -> None:
    plane = registered
    ended = run(plane, "parent", a=3)
    assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
    values = [literal.scalar.primitive.integer for _, literal in sorted(plane.outputs(ended.id).items())]
    assert values == [12, 96]
    nodes = plane.nodes(ended.id)
    launched = [node for node in nodes.values() if node.closure.workflow_node_metadata.executionId.name]
    assert len(launched) == 2
    for node in launched:
        started = child_of(plane, node)
        assert started.closure.phase == Phase.SUCCEEDED
        assert started.spec.metadata.mode == execution_pb2.ExecutionMetadata.CHILD_WORKFLOW
        assert started.spec.metadata.nesting == 1
        assert started.spec.metadata.parent_node_execution.node_id == node.id.node_id
        assert len(started.id.name) <= 20
        assert not node.metadata.is_parent_node


def test_the_failure_of_a_child_is_the_failure_of_its_node(registered: Plane) -> None:
    ended = run(registered, "parent_of_failure", a=4)
    assert ended.closure.phase == Phase.FAILED
    assert "4 is no good" in ended.closure.error.message
    node = registered.nodes(ended.id)["n0"]
    assert node.closure.phase == Node.FAILED
    started = child_of(registered, node)
    assert node.closure.error.code == started.closure.error.code


def test_an_abort_reaches_the_children_of_children(registered: Plane, tmp_path: Path) -> None:
    plane, witness = registered, tmp_path / "witness"
    top = plane.launch("nested.slow_grandparent", VERSION, inputs(witness=str(witness), seconds=60))
    until(lambda: witness.exists() and "began" in witness.read_text(), 60, "the task to begin")
    plane.admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=top, cause="no longer wanted"))
    assert plane.wait(top).closure.phase == Phase.ABORTED
    middle = child_of(plane, plane.nodes(top)["n0"])
    bottom = child_of(plane, plane.nodes(middle.id)["n0"])
    for started, parent in ((middle, top), (bottom, middle.id)):
        ended = plane.wait(started.id)
        assert ended.closure.phase == Phase.ABORTED
        cause = ended.closure.abort_metadata.cause
        assert cause.startswith(f"cascading abort as parent execution id [{parent.name}] aborted, reason ["), cause
    assert "ended" not in witness.read_text()


def test_an_aborted_child_fails_its_node(registered: Plane, tmp_path: Path) -> None:
    plane, witness = registered, tmp_path / "witness"
    top = plane.launch("nested.slow_parent", VERSION, inputs(witness=str(witness), seconds=60))
    until(lambda: witness.exists(), 60, "the task to begin")
    started = until(
        lambda: (node := plane.nodes(top).get("n0")) and node.closure.workflow_node_metadata.executionId,
        30,
        "the child to be told",
    )
    plane.admin.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=started, cause="not this one"))
    ended = plane.wait(top)
    assert ended.closure.phase == Phase.FAILED
    assert ended.closure.error.code == "RemoteChildWorkflowExecutionFailed"
    assert started.name in ended.closure.error.message


def test_a_dynamic_task_runs_the_graph_it_yields(registered: Plane) -> None:
    plane = registered
    ended = run(plane, "fan_wf", count=4)
    assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
    assert plane.outputs(ended.id)["o0"].scalar.primitive.integer == 12
    node = plane.nodes(ended.id)["n0"]
    assert node.metadata.is_parent_node
    assert node.metadata.is_dynamic
    below = children(plane, ended.id, "n0")
    assert set(below) == {"n0-0-start-node", "n0-0-end-node", *(f"n0-0-dn{number}" for number in range(5))}
    assert all(child.closure.phase == Node.SUCCEEDED for child in below.values())
    told = dynamic_workflow(plane, ended.id, "n0")
    assert len(told.compiled_workflow.primary.template.nodes) == 7
    assert told.id.name == "dynamic_n0"
    assert told.dynamic_job_spec_uri.endswith("/n0/data/0/futures.pb")


def test_dynamic_tasks_nest(registered: Plane) -> None:
    ended = run(registered, "fan_of_fans_wf", count=3)
    assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
    assert registered.outputs(ended.id)["o0"].scalar.primitive.integer == 2 * (0 + 2 + 6)
    below = children(registered, ended.id, "n0")
    assert below["n0-0-dn0"].metadata.is_dynamic
    assert "n0-0-dn0-0-dn0" in children(registered, ended.id, "n0-0-dn0")


def test_a_dynamic_task_launches_plans_and_runs_sub_workflows(registered: Plane) -> None:
    plane = registered
    ended = run(plane, "launches_wf", a=2)
    assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
    values = [literal.scalar.primitive.integer for literal in plane.outputs(ended.id)["o0"].collection.literals]
    assert values == [8, 12]
    below = children(plane, ended.id, "n0")
    assert child_of(plane, below["n0-0-dn0"]).closure.phase == Phase.SUCCEEDED
    assert below["n0-0-dn1"].metadata.is_parent_node


def test_a_dynamic_task_that_yields_values_is_a_task(registered: Plane) -> None:
    ended = run(registered, "plain_wf", a=5)
    assert registered.outputs(ended.id)["o0"].scalar.primitive.integer == 5
    assert not registered.nodes(ended.id)["n0"].metadata.is_dynamic


def test_the_failure_of_a_dynamic_child_is_the_failure_of_the_node(registered: Plane) -> None:
    ended = run(registered, "failing_fan_wf", count=2)
    assert ended.closure.phase == Phase.FAILED
    assert "is no good" in ended.closure.error.message


def test_a_graph_that_cannot_be_built_is_the_users_failure(registered: Plane) -> None:
    ended = run(registered, "unlaunchable_wf", a=1)
    assert ended.closure.phase == Phase.FAILED
    error = ended.closure.error
    assert error.code == "DynamicWorkflowBuildFailed"
    assert error.kind == core_execution_pb2.ExecutionError.USER
    assert "nested.absent" in error.message


def test_a_dynamic_task_is_cached_as_a_whole(registered: Plane, tmp_path: Path) -> None:
    plane, witness = registered, tmp_path / "witness"
    for status in (catalog_pb2.CACHE_POPULATED, catalog_pb2.CACHE_HIT):
        ended = run(plane, "cached_fan_wf", count=2, witness=str(witness))
        assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
        assert plane.outputs(ended.id)["o0"].scalar.primitive.string_value == "made 2"
        assert plane.nodes(ended.id)["n0"].closure.task_node_metadata.cache_status == status
    assert witness.read_text() == "made 2\n"


def test_a_dynamic_task_alone(registered: Plane) -> None:
    execution = registered.launch("nested.fan", VERSION, inputs(count=3), kind=identifier_pb2.TASK)
    ended = registered.wait(execution)
    assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
    assert registered.outputs(execution)["o0"].scalar.primitive.integer == 6


def test_flyte_remote_syncs_nested_executions(registered: Plane) -> None:
    done = registered.flytekit("python", SESSION, VERSION)
    assert done.stdout.strip().endswith("every step worked"), done.stdout + done.stderr


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Plane]:
    """A control plane of one test's own, to be broken."""
    plane = Plane(tmp_path / "plane")
    plane.register("nested", VERSION)
    yield plane
    plane.close()


def test_nested_executions_survive_the_engine(fragile: Plane, tmp_path: Path) -> None:
    plane = fragile
    witnesses = [tmp_path / "launched", tmp_path / "dynamic"]
    launched = plane.launch("nested.slow_parent", VERSION, inputs(witness=str(witnesses[0]), seconds=4))
    dynamic = plane.launch("nested.lingering_wf", VERSION, inputs(witness=str(witnesses[1]), count=2, seconds=4))
    until(lambda: all(witness.exists() for witness in witnesses), 60, "the tasks to begin")
    plane.kill("propeller")
    assert plane.wait(launched).closure.phase == Phase.SUCCEEDED
    assert plane.wait(dynamic).closure.phase == Phase.SUCCEEDED
    assert plane.outputs(launched)["o0"].scalar.primitive.integer == 4
    assert len(plane.outputs(dynamic)["o0"].collection.literals) == 2
