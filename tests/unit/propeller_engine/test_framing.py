"""Events as they are handed to admin."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_propeller.runtime import framing
from hypothesis import given
from hypothesis import strategies as st

Node, Workflow = core.NodeExecution, core.WorkflowExecution
Told = tuple[str, int]


def node(name: str, phase: core.NodeExecution.Phase.ValueType) -> admin.ExecutionEvent:
    told = admin.ExecutionEvent()
    told.node.id.node_id = name
    told.node.phase = phase
    return told


def shown(events: list[admin.ExecutionEvent]) -> list[Told]:
    return [(event.node.id.node_id, event.node.phase) for event in events]


def test_running_is_told_right_after_queued() -> None:
    ended = admin.ExecutionEvent()
    ended.workflow.phase = Workflow.SUCCEEDED
    wide = [node(name, phase) for phase in (Node.QUEUED, Node.RUNNING, Node.SUCCEEDED) for name in ("a", "b")]
    told = framing.side_by_side([*wide, ended])
    pairs = [("a", Node.QUEUED), ("a", Node.RUNNING), ("b", Node.QUEUED), ("b", Node.RUNNING)]
    assert shown(told) == [*pairs, ("a", Node.SUCCEEDED), ("b", Node.SUCCEEDED), ("", Node.UNDEFINED)]
    assert told[-1].workflow.phase == Workflow.SUCCEEDED


PHASES = st.sampled_from([Node.QUEUED, Node.RUNNING, Node.SUCCEEDED, Node.FAILED])


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), PHASES)))
def test_the_order_of_each_node_and_of_all_but_running_stays(given_events: list[Told]) -> None:
    told = shown(framing.side_by_side([node(name, phase) for name, phase in given_events]))  # type: ignore[arg-type]  # enum values
    for name in ("a", "b", "c"):
        assert [each for each in told if each[0] == name] == [each for each in given_events if each[0] == name]
    assert [each for each in told if each[1] != Node.RUNNING] == [e for e in given_events if e[1] != Node.RUNNING]


@given(sizes=st.lists(st.sampled_from([0, 1, 100, 127, 128, 200, 16_000, 16_383, 16_384, 20_000]), max_size=12))
def test_chunks_are_requests_of_the_events_whatever_their_size(sizes: list[int]) -> None:
    told = [admin.ExecutionEvent(places=["x" * size]) for size in sizes]

    found = list(framing.chunks(1, 1, told))

    assert b"".join(chunk.payload for chunk in found) == framing.frame(told)
    assert sum(chunk.count for chunk in found) == len(told)
