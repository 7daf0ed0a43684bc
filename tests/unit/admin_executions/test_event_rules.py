"""Random events against the plainly written rules: one at a time, in batches, and repeated."""

from __future__ import annotations

from typing import Any

from elevon_admin.domain.event_batches import (
    AnyEvent,
    Families,
    PreparedEvent,
    apply_events,
    validate_event,
    wanted_rows,
)
from elevon_admin.domain.records import ExecutionFamily, ExecutionKey, ExecutionRecord, NodeKey, TaskKey
from elevon_core.errors import ElevonError
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.admin_executions.reference import EXISTS, OK, Entity, Reference

KEY = ExecutionKey("p", "d", "x")
NODES = ("n0", "n1")
W, N, T = core.WorkflowExecution, core.NodeExecution, core.TaskExecution

times = st.integers(0, 30)
producers = st.sampled_from(["", "propeller", "cluster-1", "cluster-2"])
errors = st.sampled_from(["", "boom"])
workflow_events = st.fixed_dictionaries(
    {"phase": st.sampled_from(W.Phase.values()), "at": times, "producer": producers, "error": errors}
)
node_events = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NODES),
        "phase": st.sampled_from(N.Phase.values()),
        "at": times,
        "producer": producers,
        "error": errors,
    }
)
task_events = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NODES),
        "attempt": st.integers(0, 1),
        "phase": st.sampled_from(T.Phase.values()),
        "version": st.integers(0, 2),
        "at": times,
        "producer": producers,
        "reason": st.sampled_from(["", "waiting", "pulling"]),
        "error": errors,
    }
)
any_events = st.one_of(
    st.tuples(st.just("workflow"), workflow_events),
    st.tuples(st.just("node"), node_events),
    st.tuples(st.just("task"), task_events),
)


def task_id() -> core.Identifier:
    return core.Identifier(resource_type=core.TASK, project="p", domain="d", name="t", version="v")


def message(kind: str, fields: dict[str, Any]) -> AnyEvent:
    made: AnyEvent
    if kind == "workflow":
        made = event.WorkflowExecutionEvent(execution_id=KEY.identifier())
    elif kind == "node":
        made = event.NodeExecutionEvent(id=NodeKey(KEY, fields["name"]).identifier(), event_version=1)
    else:
        node = NodeKey(KEY, fields["name"]).identifier()
        made = event.TaskExecutionEvent(task_id=task_id(), parent_node_execution_id=node, event_version=1)
        made.retry_attempt, made.phase_version = fields["attempt"], fields["version"]
        made.reason = fields["reason"]
    made.phase = fields["phase"]
    made.producer_id = fields["producer"]
    made.occurred_at.FromSeconds(fields["at"])
    made.occurred_at.SetInParent()
    if fields["error"]:
        made.error.message = fields["error"]
    return made


def fresh() -> Families:
    return Families({KEY: ExecutionFamily(ExecutionRecord(KEY, 1, admin.ExecutionClosure()))})


def kind_of(error: ElevonError | None) -> str:
    return OK if error is None else error.kind.value


def seen(closure: Any, version: int = 0) -> Entity:
    """A closure in the words of the reference."""

    def seconds(name: str) -> int | None:
        return getattr(closure, name).seconds if closure.HasField(name) else None

    reasons = [reason.message for reason in closure.reasons] if hasattr(closure, "reasons") else []
    return Entity(
        closure.phase,
        version,
        seconds("created_at"),
        seconds("started_at"),
        seconds("updated_at"),
        seconds("duration"),
        closure.error.message,
        reasons,
    )


def compare(families: Families, reference: Reference) -> None:
    family = families.by_execution[KEY]
    assert seen(family.execution.closure) == reference.workflow
    assert family.execution.cluster == reference.cluster
    assert {name: seen(node.closure) for name, node in family.nodes.items()} == reference.nodes
    attempts = {
        (key.node.node_id, key.attempt): seen(record.closure, record.phase_version)
        for key, record in family.tasks.items()
    }
    assert attempts == reference.tasks


class EventsOneByOne(RuleBasedStateMachine):
    """Every event has the outcome that the rules say, and leaves what the rules say."""

    def __init__(self) -> None:
        super().__init__()
        self.families = fresh()
        self.reference = Reference()

    def send(self, kind: str, fields: dict[str, Any]) -> None:
        reported = message(kind, fields)
        validate_event(reported)
        before = frozen(self.families)
        (outcome,) = apply_events(self.families, [PreparedEvent(reported)])
        assert kind_of(outcome) == self.reference.tell(kind, **fields)
        if outcome is not None:
            assert frozen(self.families) == before

    @rule(fields=workflow_events)
    def workflow(self, fields: dict[str, Any]) -> None:
        self.send("workflow", fields)

    @rule(fields=node_events)
    def node(self, fields: dict[str, Any]) -> None:
        self.send("node", fields)

    @rule(fields=task_events)
    def task(self, fields: dict[str, Any]) -> None:
        self.send("task", fields)

    @invariant()
    def as_the_rules_say(self) -> None:
        compare(self.families, self.reference)


def frozen(families: Families) -> list[Any]:
    """Everything that is stored, for comparison."""
    family = families.by_execution[KEY]
    records: list[Any] = [family.execution, *family.nodes.values(), *family.tasks.values()]
    return [
        (record.key, record.closure.SerializeToString(deterministic=True), record.phases_seen) for record in records
    ]


TestEventsOneByOne = EventsOneByOne.TestCase
TestEventsOneByOne.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@settings(max_examples=100, deadline=None)
@given(st.lists(any_events, max_size=40), st.data())
def test_batches_end_where_single_events_end(sent: list[tuple[str, dict[str, Any]]], data: st.DataObject) -> None:
    one_by_one, batched = fresh(), fresh()
    prepared = [PreparedEvent(message(kind, fields)) for kind, fields in sent]
    singly = [apply_events(one_by_one, [each])[0] for each in prepared]
    cut = data.draw(st.integers(0, len(prepared)))
    together = apply_events(batched, prepared[:cut]) + apply_events(batched, prepared[cut:])
    assert [kind_of(outcome) for outcome in together] == [kind_of(outcome) for outcome in singly]
    assert frozen(batched) == frozen(one_by_one)


def in_order(sent: list[tuple[str, dict[str, Any]]]) -> list[PreparedEvent]:
    """Events as an engine of ours reports them: time never runs backwards, nor do versions; one producer."""
    ordered = sorted(fields["at"] for _, fields in sent)
    told = []
    for number, ((kind, fields), at) in enumerate(zip(sent, ordered, strict=True)):
        changed = {**fields, "at": at, "producer": "propeller"}
        if kind == "task":
            changed["version"] = number
        told.append(PreparedEvent(message(kind, changed), replayable=True))
    return told


@settings(max_examples=200, deadline=None)
@given(st.lists(any_events, max_size=30), st.data())
def test_repeating_the_tail_of_a_batch_changes_nothing(
    sent: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    families = fresh()
    prepared = in_order(sent)
    outcomes = apply_events(families, prepared)
    after = frozen(families)
    recorded = [each for each, outcome in zip(prepared, outcomes, strict=True) if outcome is None]
    again = apply_events(families, recorded[data.draw(st.integers(0, len(recorded))) :])
    assert frozen(families) == after
    assert {kind_of(outcome) for outcome in again} <= {EXISTS}


@given(st.lists(any_events, max_size=20))
def test_the_wanted_rows_are_those_the_events_name(sent: list[tuple[str, dict[str, Any]]]) -> None:
    wanted = wanted_rows([PreparedEvent(message(kind, fields)) for kind, fields in sent])
    assert wanted.executions == ({KEY} if sent else set())
    named = {fields["name"] for kind, fields in sent if kind != "workflow"}
    assert {key.node_id for key in wanted.nodes} == named
    attempts = {(fields["name"], fields["attempt"]) for kind, fields in sent if kind == "task"}
    assert {(key.node.node_id, key.attempt) for key in wanted.tasks} == attempts
    assert all(isinstance(key, TaskKey) for key in wanted.tasks)
