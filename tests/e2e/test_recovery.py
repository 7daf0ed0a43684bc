"""Recovering and relaunching executions of real flytekit: only what had not succeeded runs again."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from flyteidl.admin import execution_pb2, signal_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.service import signal_pb2_grpc

from tests.e2e.harness import DOMAIN, PROJECT, Id, Plane, inputs, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "recovering"
SESSION = Path(__file__).parent / "recovery_session.py"
Phase = core_execution_pb2.WorkflowExecution
Node = core_execution_pb2.NodeExecution
Task = core_execution_pb2.TaskExecution


@pytest.fixture(scope="module")
def registered(plane: Plane) -> Plane:
    """The control plane with the workflows that fail half way."""
    plane.register("recovering", VERSION)
    return plane


def runs(witness: Path) -> dict[str, int]:
    """How often each task has run."""
    return {found.name: len(found.read_text().splitlines()) for found in witness.iterdir() if found.name != "ok"}


def fail(plane: Plane, name: str, witness: Path, **values: int) -> execution_pb2.Execution:
    """Launch a workflow and see it fail."""
    ended = plane.wait(plane.launch(f"recovering.{name}", VERSION, inputs(witness=str(witness), **values)))
    assert ended.closure.phase == Phase.FAILED, ended.closure
    return ended


def recover(plane: Plane, failed: Id, witness: Path) -> execution_pb2.Execution:
    """Throw the switch, recover as flytectl asks for it, and see it succeed."""
    (witness / "ok").touch()
    request = execution_pb2.ExecutionRecoverRequest(id=failed)
    again = plane.admin.RecoverExecution(request).id
    assert again.name != failed.name
    ended = plane.wait(again)
    assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
    assert ended.spec.metadata.mode == execution_pb2.ExecutionMetadata.RECOVERED
    assert ended.spec.metadata.reference_execution == failed
    return ended


def result(plane: Plane, execution: Id) -> int:
    """The one output."""
    value: int = plane.outputs(execution)["o0"].scalar.primitive.integer
    return value


def elements(plane: Plane, execution: Id) -> dict[int, int]:
    """The phases of the elements of an execution's only array."""
    (array,) = [node for node in plane.nodes(execution).values() if node.metadata.is_array]
    return {found.index: found.phase for found in plane.attempts(array)[0].closure.metadata.external_resources}


def test_only_what_has_not_succeeded_runs_again(registered: Plane, tmp_path: Path) -> None:
    plane = registered
    failed = fail(plane, "half_way", tmp_path, n=1)
    assert runs(tmp_path) == {"first": 1, "large": 1, "fragile": 1}
    again = recover(plane, failed.id, tmp_path)
    assert runs(tmp_path) == {"first": 1, "large": 1, "fragile": 2, "last": 1}
    assert result(plane, again.id) == 2 * (2 + 200_000)


def test_a_map_task_runs_the_failed_element_only(registered: Plane, tmp_path: Path) -> None:
    plane = registered
    failed = fail(plane, "mapped", tmp_path)
    before = elements(plane, failed.id)
    done = {index for index, phase in before.items() if phase == Task.SUCCEEDED}
    assert before[3] == Task.FAILED
    again = recover(plane, failed.id, tmp_path)
    after = runs(tmp_path)
    assert result(plane, again.id) == 450
    assert [after[f"element-{index}"] for index in sorted(done)] == [1] * len(done)
    assert after["element-3"] == 2
    assert after["numbers"] == after["total"] == 1
    assert plane.nodes(again.id)["n0"].closure.phase == Node.RECOVERED
    assert elements(plane, again.id) == dict.fromkeys(range(10), Task.SUCCEEDED)


def test_the_failed_execution_of_a_launch_plan_is_recovered_itself(registered: Plane, tmp_path: Path) -> None:
    plane = registered
    failed = fail(plane, "launching", tmp_path, n=1)
    child = plane.nodes(failed.id)["n0"].closure.workflow_node_metadata.executionId
    again = recover(plane, failed.id, tmp_path)
    assert runs(tmp_path) == {"first": 1, "large": 1, "fragile": 2, "last": 2}
    assert result(plane, again.id) == 4 * (2 + 200_000)
    node = plane.nodes(again.id)["n0"]
    started = plane.execution(node.closure.workflow_node_metadata.executionId)
    assert started.id.name != child.name
    assert started.spec.metadata.mode == execution_pb2.ExecutionMetadata.RECOVERED
    assert started.spec.metadata.reference_execution == child
    assert started.spec.metadata.parent_node_execution.execution_id == again.id
    assert plane.nodes(started.id)["n0"].closure.phase == Node.RECOVERED


def test_a_dynamic_task_goes_on_with_its_graph(registered: Plane, tmp_path: Path) -> None:
    plane = registered
    failed = fail(plane, "dynamically", tmp_path, count=5)
    again = recover(plane, failed.id, tmp_path)
    after = runs(tmp_path)
    assert (after["fan"], after["element-3"], after["total"], after["last"]) == (1, 2, 1, 1)
    assert result(plane, again.id) == 2 * 100
    node = plane.nodes(again.id)["n0"]
    assert node.metadata.is_dynamic
    whole = recover(plane, again.id, tmp_path)
    assert runs(tmp_path) == after
    assert plane.nodes(whole.id)["n0"].closure.phase == Node.RECOVERED
    assert result(plane, whole.id) == 2 * 100


def test_gates_and_branches_are_taken_over(registered: Plane, tmp_path: Path) -> None:
    plane = registered
    execution = plane.launch("recovering.choosing", VERSION, inputs(witness=str(tmp_path), n=1))
    signals = signal_pb2_grpc.SignalServiceStub(plane.channel)
    listing = signal_pb2.SignalListRequest(workflow_execution_id=execution, limit=10)
    until(lambda: signals.ListSignals(listing).signals, 60, "the gate to be reached")
    fine = identifier_pb2.SignalIdentifier(signal_id="fine", execution_id=execution)
    yes = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(boolean=True)))
    signals.SetSignal(signal_pb2.SignalSetRequest(id=fine, value=yes))
    assert plane.wait(execution).closure.phase == Phase.FAILED
    again = recover(plane, execution, tmp_path)
    assert runs(tmp_path) == {"first": 2, "large": 1, "fragile": 2, "last": 1}
    assert result(plane, again.id) == 2 * (3 + 200_000)
    recovered = [node for node in plane.nodes(again.id).values() if node.closure.phase == Node.RECOVERED]
    assert len(recovered) == 2


def test_flyte_remote_reads_what_was_taken_over(registered: Plane, tmp_path: Path) -> None:
    plane = registered
    (tmp_path / "ok").touch()
    names = []
    for name, values in (
        ("half_way", {"n": 1}),
        ("mapped", {}),
        ("launching", {"n": 1}),
        ("dynamically", {"count": 5}),
    ):
        first = plane.wait(plane.launch(f"recovering.{name}", VERSION, inputs(witness=str(tmp_path), **values)))
        assert first.closure.phase == Phase.SUCCEEDED, first.closure
        names.append(recover(plane, first.id, tmp_path).id.name)
    done = plane.flytekit(plane.python, SESSION, *names)
    assert "every step worked" in done.stdout


def test_recovering_needs_an_execution_and_a_free_name(registered: Plane, tmp_path: Path) -> None:
    plane = registered
    failed = fail(plane, "half_way", tmp_path, n=1)
    again = recover(plane, failed.id, tmp_path)
    taken = execution_pb2.ExecutionRecoverRequest(id=failed.id, name=again.id.name)
    with pytest.raises(grpc.RpcError) as refused:
        plane.admin.RecoverExecution(taken)
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    absent = identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name="absent")
    with pytest.raises(grpc.RpcError) as missing:
        plane.admin.RecoverExecution(execution_pb2.ExecutionRecoverRequest(id=absent))
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_relaunch_runs_everything_again(registered: Plane, tmp_path: Path) -> None:
    plane = registered
    failed = fail(plane, "half_way", tmp_path, n=4)
    (tmp_path / "ok").touch()
    again = plane.admin.RelaunchExecution(execution_pb2.ExecutionRelaunchRequest(id=failed.id, name="again")).id
    assert again.name == "again"
    ended = plane.wait(again)
    assert ended.closure.phase == Phase.SUCCEEDED, ended.closure
    assert ended.spec.metadata.mode == execution_pb2.ExecutionMetadata.RELAUNCH
    assert runs(tmp_path) == {"first": 2, "large": 2, "fragile": 2, "last": 1}
    assert result(plane, again) == 2 * (5 + 200_000)
