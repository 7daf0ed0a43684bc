"""Sub-workflows, branches, gates and failure nodes, compiled by the real compiler, in worlds that crash."""

from __future__ import annotations

import random
from typing import Any

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.engine.observations import SignalSet
from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.world import Dangers, Fate, World
from google.protobuf.duration_pb2 import Duration

from tests.unit.propeller_engine.conftest import branch_node, sub_workflow_node, task_node, template

Node = core.NodeExecution
SEEDS = range(12)


def world(closure: core.CompiledWorkflowClosure, seed: int, x: int = 1, **more: Any) -> World:
    """A world that crashes now and then."""
    return World(
        closure,
        random.Random(seed),
        inputs=closures.integers(x=x),
        dangers=Dangers(crash=0.1 if seed % 2 else 0.0, duplicate=0.1),
        **more,
    )


def node_events(played: World, node_id: str) -> list[Any]:
    """The node events of a node."""
    return [event.node for event in played.events if event.node.id.node_id == node_id]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sub_workflow_runs_within_its_node(compiled: Any, seed: int) -> None:
    inner = template("inner", [task_node("a"), task_node("b", "a")], "b")
    closure = compiled(template("outer", [sub_workflow_node("n0", "inner"), task_node("n1", "n0")], "n1"), inner)
    played = world(closure, seed, x=5)
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert played.outputs() == closures.integers(x=5)
    assert played.ledger.phases("n0") == [Node.QUEUED, Node.RUNNING, Node.SUCCEEDED]
    assert played.ledger.phases("n0-0-start-node") == [Node.SUCCEEDED]
    child = node_events(played, "n0-0-a")[0]
    assert (child.parent_node_metadata.node_id, child.retry_group, child.spec_node_id) == ("n0", "0", "a")
    assert node_events(played, "n0")[0].is_parent
    assert not node_events(played, "n1")[0].is_parent


@pytest.mark.parametrize("seed", SEEDS)
def test_a_failure_within_a_sub_workflow_is_that_of_its_node(compiled: Any, seed: int) -> None:
    inner = template("inner", [task_node("a"), task_node("b")], "b", failure_node=task_node("cleanup"))
    closure = compiled(template("outer", [sub_workflow_node("n0", "inner"), task_node("n1", "n0")], "n1"), inner)
    played = world(closure, seed, fates={"a": [Fate.DIES], "b": [Fate.SUCCEEDS]})
    assert played.run() == ExecutionPhase.FAILED
    assert played.ledger.phases("n0")[-1] == Node.FAILED
    assert node_events(played, "n0")[-1].error.code == "DIES"
    assert played.ledger.phases("n0-0-cleanup")[-1] == Node.SUCCEEDED
    assert played.ledger.phases("n1") == []
    assert played.events[-1].workflow.error.code == "DIES"


@pytest.mark.parametrize("seed", SEEDS)
def test_sub_workflows_nest(compiled: Any, seed: int) -> None:
    innermost = template("innermost", [task_node("a")], "a")
    inner = template("inner", [sub_workflow_node("s", "innermost")], "s")
    played = world(compiled(template("outer", [sub_workflow_node("n0", "inner")], "n0"), inner, innermost), seed, x=3)
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert played.outputs() == closures.integers(x=3)
    assert played.ledger.phases("n0-0-s-0-a")[-1] == Node.SUCCEEDED


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("x", "chosen"), [(1, "one"), (2, "two"), (9, "other")])
def test_a_branch_runs_one_arm_and_hands_its_outputs_on(compiled: Any, seed: int, x: int, chosen: str) -> None:
    arms = {1: task_node("one"), 2: task_node("two")}
    closure = compiled(template("outer", [branch_node("n0", arms, task_node("other")), task_node("n1", "n0")], "n1"))
    played = world(closure, seed, x=x)
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert played.outputs() == closures.integers(x=x)
    started = {event.node.spec_node_id for event in played.events if event.HasField("node")}
    assert started == {"start-node", "n0", f"n0-{chosen}", "n1", "end-node"}


@pytest.mark.parametrize("seed", SEEDS)
def test_an_arm_waits_for_its_own_upstream_nodes(compiled: Any, seed: int) -> None:
    nodes = [task_node("slow"), branch_node("n0", {1: task_node("arm", "slow")}, task_node("other"))]
    played = world(compiled(template("outer", nodes, "n0")), seed, fates={"slow": [Fate.BREAKS, Fate.SUCCEEDS]})
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert played.outputs() == closures.integers(x=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_branch_without_a_fitting_case_fails_with_the_authors_words(compiled: Any, seed: int) -> None:
    error = core.Error(message="neither nor", failed_node_id="n0")
    played = world(compiled(template("outer", [branch_node("n0", {1: task_node("one")}, error)], "n0")), seed, x=2)
    assert played.run() == ExecutionPhase.FAILED
    failure = played.events[-1].workflow.error
    assert (failure.code, failure.message) == ("UserProvidedError", "[UserProvidedError] neither nor (x is 2)")


def sleeping(seconds: float) -> core.Node:
    """A node that sleeps."""
    duration = Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
    return core.Node(
        id="sleep",
        metadata=core.NodeMetadata(name="sleep"),
        gate_node=core.GateNode(sleep=core.SleepCondition(duration=duration)),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sleep_takes_its_time_across_crashes(compiled: Any, seed: int) -> None:
    closure = compiled(template("outer", [sleeping(2.5), task_node("n1", after=["sleep"])], "n1"))
    played = world(closure, seed)
    assert played.run() == ExecutionPhase.SUCCEEDED
    running, ended = (node_events(played, "sleep")[position].occurred_at for position in (1, 2))
    slept = (ended.seconds - running.seconds) * 1_000_000 + (ended.nanos - running.nanos) // 1_000
    assert 2_500_000 <= slept < 2_600_000


def approval(node_id: str) -> core.Node:
    """A node that wants its input approved."""
    return core.Node(
        id=node_id,
        metadata=core.NodeMetadata(name=node_id),
        inputs=[closures.bind("x", "")],
        gate_node=core.GateNode(approve=core.ApproveCondition(signal_id="ok")),
    )


def boolean(value: bool) -> core.Literal:
    """A boolean literal."""
    return core.Literal(scalar=core.Scalar(primitive=core.Primitive(boolean=value)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("early", [True, False])
def test_a_gate_waits_for_a_signal_or_finds_it(compiled: Any, seed: int, early: bool) -> None:
    gate = core.Node(
        id="gate",
        metadata=core.NodeMetadata(name="gate"),
        gate_node=core.GateNode(
            signal=core.SignalCondition(signal_id="s", type=closures.INTEGER, output_variable_name="x")
        ),
    )
    closure = compiled(template("outer", [sleeping(5), gate, task_node("n1", "gate")], "n1"))
    played = world(closure, seed)
    played.later(1_000 if early else 3_000_000, SignalSet(0, "s", closures.integers(x=8).literals["x"]))
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert played.outputs() == closures.integers(x=8)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("answer", [True, False])
def test_an_approval_lets_its_inputs_pass_or_fails(compiled: Any, seed: int, answer: bool) -> None:
    played = world(compiled(template("outer", [approval("gate")], "gate")), seed, x=4)
    played.later(1_000_000, SignalSet(0, "ok", boolean(answer)))
    assert played.run() == (ExecutionPhase.SUCCEEDED if answer else ExecutionPhase.FAILED)
    if answer:
        assert played.outputs() == closures.integers(x=4)
    else:
        assert played.events[-1].workflow.error.code == "ReceivedRejectSignal"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_value_that_admin_has_already_lets_the_gate_pass(compiled: Any, seed: int) -> None:
    played = world(compiled(template("outer", [approval("gate")], "gate")), seed, x=4, registered={"ok": boolean(True)})
    assert played.run() == ExecutionPhase.SUCCEEDED
    assert played.outputs() == closures.integers(x=4)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_last_value_set_before_a_gate_is_reached_counts(compiled: Any, seed: int) -> None:
    nodes = [sleeping(5), approval("gate")]
    nodes[1].upstream_node_ids.append("sleep")
    played = world(compiled(template("outer", nodes, "gate")), seed)
    played.later(1_500_000, SignalSet(0, "ok", boolean(False)))
    played.later(2_000_000, SignalSet(0, "ok", boolean(True)))
    assert played.run() == ExecutionPhase.SUCCEEDED


@pytest.mark.parametrize("seed", SEEDS)
def test_the_failure_node_runs_and_the_result_stays_failed(compiled: Any, seed: int) -> None:
    main = template("outer", [task_node("n0")], "n0", failure_node=task_node("cleanup", retries=2))
    played = world(compiled(main), seed, fates={"n0": [Fate.DIES], "cleanup": [Fate.FAILS, Fate.SUCCEEDS]})
    assert played.run() == ExecutionPhase.FAILED
    assert played.ledger.phases("cleanup")[-1] == Node.SUCCEEDED
    assert played.events[-1].workflow.error.code == "DIES"
