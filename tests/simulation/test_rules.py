"""Rules that no planted bug stands for: each of them can fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.phases import ExecutionPhase, NodePhase
from elevon_propeller.engine.plan import build_plan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.records import NodeRow, node_row
from elevon_propeller.engine.state import NodeState, Scope
from elevon_propeller.ports import Commit, ExecutionRow, Leases
from elevon_propeller.runtime.actors import shard_of
from elevon_propeller.simulation import building, closures
from elevon_propeller.simulation.blueprint import Graph, Step
from elevon_propeller.simulation.headquarters import identifier
from elevon_propeller.simulation.ledger import Ledger, Rule, Violation
from elevon_propeller.simulation.register import Register
from elevon_propeller.simulation.view import Verdict, View

Node, Workflow = core.NodeExecution, core.WorkflowExecution
SHARD = shard_of((closures.PROJECT, closures.DOMAIN, "top"))
ROW = ExecutionRow(
    key=1,
    shard=SHARD,
    project=closures.PROJECT,
    domain=closures.DOMAIN,
    name="top",
    digest=b"",
    inputs=b"",
    options=b"",
    phase=int(ExecutionPhase.RUNNING),
)


def register() -> Register:
    """One that knows of an execution, whose shard r1 owns."""
    made = Register(EnginePolicy(), 0, lambda: 0.0)
    made.leased("r1", Leases({SHARD: 1}, [], 1))
    made.committed("r1", Commit({SHARD: 1}, created=[ROW]))
    return made


def row(phase: NodePhase, attempt: int = 0) -> NodeRow:
    """The row of a node n0."""
    graph = building.register(Graph("g0", (Step("n0", "task", task="t0"),), "n0")).closures["g0"]
    plan = build_plan(graph, SUPPORTED).primary
    node = NodeState("n0", plan.nodes["n0"], Scope(plan, None))
    node.phase, node.attempt = phase, attempt
    return node_row(node)


def workflow_event(phase: core.WorkflowExecution.Phase.ValueType, seconds: int) -> admin.ExecutionEvent:
    """An event of the execution."""
    told = event.WorkflowExecutionEvent(execution_id=identifier("top"), phase=phase)
    told.occurred_at.seconds = seconds
    return admin.ExecutionEvent(workflow=told)


def node_event(phase: core.NodeExecution.Phase.ValueType, seconds: int, parent: str = "") -> admin.ExecutionEvent:
    """An event of a node n0."""
    place = core.NodeExecutionIdentifier(node_id="n0", execution_id=identifier("top"))
    told = event.NodeExecutionEvent(id=place, phase=phase)
    told.reported_at.seconds = seconds
    if parent:
        told.parent_node_metadata.node_id = parent
    return admin.ExecutionEvent(node=told)


def test_a_node_leaves_no_terminal_phase() -> None:
    made = register()
    made.committed("r1", Commit({SHARD: 1}, nodes=[(1, row(NodePhase.SUCCEEDED))]))
    with pytest.raises(Violation) as broken:
        made.committed("r1", Commit({SHARD: 1}, nodes=[(1, row(NodePhase.RUNNING))]))
    assert broken.value.rule is Rule.FINAL


def test_attempts_only_grow() -> None:
    made = register()
    made.committed("r1", Commit({SHARD: 1}, nodes=[(1, row(NodePhase.RUNNING, attempt=1))]))
    with pytest.raises(Violation) as broken:
        made.committed("r1", Commit({SHARD: 1}, nodes=[(1, row(NodePhase.RUNNING))]))
    assert broken.value.rule is Rule.FORWARD


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (ExecutionPhase.SUCCEEDED, ExecutionPhase.RUNNING, Rule.FINAL),
        (ExecutionPhase.FAILING, ExecutionPhase.RUNNING, Rule.FORWARD),
    ],
)
def test_an_execution_goes_forward(before: ExecutionPhase, after: ExecutionPhase, rule: Rule) -> None:
    made = register()
    made.committed("r1", Commit({SHARD: 1}, changed=[replace(ROW, phase=int(before))]))
    with pytest.raises(Violation) as broken:
        made.committed("r1", Commit({SHARD: 1}, changed=[replace(ROW, phase=int(after))]))
    assert broken.value.rule is rule


def test_a_replica_that_lost_its_lease_does_not_commit() -> None:
    made = register()
    made.leased("r2", Leases({SHARD: 2}, [], 2))
    with pytest.raises(Violation) as broken:
        made.committed("r1", Commit({SHARD: 1}, changed=[ROW]))
    assert broken.value.rule is Rule.FENCED


def test_an_epoch_belongs_to_one_replica() -> None:
    with pytest.raises(Violation) as broken:
        register().leased("r2", Leases({SHARD: 1}, [], 2))
    assert broken.value.rule is Rule.FENCED


def test_elements_of_what_has_succeeded_are_not_kept() -> None:
    made = register()
    made.committed("r1", Commit({SHARD: 1}, nodes=[(1, row(NodePhase.SUCCEEDED))]))
    with pytest.raises(Violation) as broken:
        made.check_arrays([(1, "n0")])
    assert broken.value.rule is Rule.NOTHING_LEFT


def test_nothing_begins_before_it_is_durable() -> None:
    with pytest.raises(Violation) as broken:
        register().check_started("top", "n0", 0)
    assert broken.value.rule is Rule.DURABLE_FIRST


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ([node_event(Node.RUNNING, 1), node_event(Node.QUEUED, 2), node_event(Node.RUNNING, 3)], Rule.LEGAL),
        ([node_event(Node.FAILED, 1), node_event(Node.RUNNING, 2)], Rule.FINAL),
        ([workflow_event(Workflow.RUNNING, 1), workflow_event(Workflow.RUNNING, 2)], Rule.LEGAL),
        ([workflow_event(Workflow.FAILED, 1), workflow_event(Workflow.RUNNING, 2)], Rule.FINAL),
    ],
)
def test_phases_make_sense(told: list[admin.ExecutionEvent], rule: Rule) -> None:
    with pytest.raises(Violation) as broken:
        Ledger(0, EnginePolicy()).tell(told)
    assert broken.value.rule is rule


@pytest.mark.parametrize("told", [[], [workflow_event(Workflow.FAILED, 1), node_event(Node.RUNNING, 1)]])
def test_everything_that_begins_has_to_end(told: list[admin.ExecutionEvent]) -> None:
    ledger = Ledger(0, EnginePolicy())
    ledger.tell(sorted(told, key=lambda each: each.HasField("workflow")))
    with pytest.raises(Violation) as broken:
        ledger.check_told()
    assert broken.value.rule is Rule.ALL_ENDS


def test_admin_tells_repeated_events_from_new_ones_and_refuses_what_cannot_follow() -> None:
    view = View()
    assert view.apply(node_event(Node.QUEUED, 1)) is Verdict.NEW
    assert view.apply(node_event(Node.RUNNING, 2)) is Verdict.NEW
    assert view.apply(node_event(Node.QUEUED, 1)) is Verdict.AGAIN
    assert view.apply(node_event(Node.SUCCEEDED, 3)) is Verdict.NEW
    assert view.apply(node_event(Node.FAILED, 4)) is Verdict.REFUSED
    assert len(view.accepted) == 3


def test_admin_refuses_nodes_whose_parents_it_does_not_know() -> None:
    assert View().apply(node_event(Node.QUEUED, 1, parent="nobody")) is Verdict.REFUSED


def test_admin_takes_nothing_but_the_end_of_what_it_aborts() -> None:
    view = View()
    view.workflow.phase = Workflow.ABORTING
    assert view.apply(workflow_event(Workflow.FAILING, 1)) is Verdict.TOO_LATE
    assert view.apply(workflow_event(Workflow.ABORTED, 2)) is Verdict.NEW
    assert view.apply(workflow_event(Workflow.FAILING, 1)) is Verdict.TOO_LATE
