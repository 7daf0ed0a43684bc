"""The engine's smaller parts, each by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from elevon_core.errors import ElevonError, InvalidArgument, ResourceExhausted, Unavailable
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_propeller.drivers.admin_events import MemoryAdminEvents
from elevon_propeller.drivers.batching import Batcher
from elevon_propeller.engine import conditions, deadlines, events, retries
from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.plan import build_plan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.state import NodeState, Scope
from elevon_propeller.ports import SHARDS, Commit, EventChunk
from elevon_propeller.runtime import framing
from elevon_propeller.runtime.actors import shard_of
from elevon_propeller.runtime.outbox import Outbox
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec
from elevon_propeller.store.leasing import Lease, choose, fair_share
from elevon_propeller.store.memory import MemoryStore
from hypothesis import given
from hypothesis import strategies as st

POLICY = EnginePolicy()
USER, SYSTEM, UNKNOWN = core.ExecutionError.USER, core.ExecutionError.SYSTEM, core.ExecutionError.UNKNOWN


def node(**spec: object) -> NodeState:
    """The state of a task node."""
    closure = closures.closure([TaskNodeSpec("n0", **spec)])  # type: ignore[arg-type]  # whatever the test wants
    return Scope(build_plan(closure, SUPPORTED).primary, None).nodes["n0"]


@pytest.mark.parametrize(
    ("retries_asked", "attempt", "system_failures", "kind", "expected"),
    [
        (0, 0, 0, USER, (False, 1, 1)),
        (2, 0, 0, USER, (True, 1, 3)),
        (2, 2, 0, USER, (False, 3, 3)),
        (2, 2, 1, UNKNOWN, (True, 2, 3)),
        (0, 0, 0, SYSTEM, (True, 0, 3)),
        (0, 3, 3, SYSTEM, (False, 3, 3)),
    ],
)
def test_who_may_try_again(
    retries_asked: int, attempt: int, system_failures: int, kind: int, expected: tuple[bool, int, int]
) -> None:
    state = node(retries=retries_asked)
    state.attempt, state.system_failures = attempt, system_failures
    judged = retries.verdict(state, core.ExecutionError(kind=kind), POLICY)  # type: ignore[arg-type]  # an enum value
    assert (judged.eligible, judged.current, judged.maximum) == expected


def test_a_spent_budget_says_what_happened_last() -> None:
    error = core.ExecutionError(code="OOMKilled", message="too big", kind=SYSTEM)
    final = retries.exhausted(error, retries.Verdict(False, 3, 3))
    assert (final.code, final.kind) == ("RetriesExhausted|OOMKilled", USER)
    assert final.message == "[3/3] currentAttempt done. Last Error: SYSTEM::too big"
    assert error.code == "OOMKilled"


@given(st.integers(1, 10_000))
def test_backoff_grows_up_to_its_limit(failed: int) -> None:
    pause = retries.backoff(failed, POLICY)
    assert POLICY.backoff_base <= pause <= POLICY.backoff_limit
    assert pause <= retries.backoff(failed + 1, POLICY)


@pytest.mark.parametrize(
    ("system_failures", "threshold", "expected"), [(0, -1, True), (2, -1, True), (3, -1, False), (1, 1, False)]
)
def test_interruptible_until_too_many_system_failures(system_failures: int, threshold: int, expected: bool) -> None:
    state = node()
    state.system_failures = system_failures
    policy = EnginePolicy(interruptible_threshold=threshold)
    assert retries.interruptible(state, True, policy) is expected
    assert retries.interruptible(state, None, policy) is False


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(0, "0ms"), (250_000, "250ms"), (1_500_000, "1.5s"), (60_000_000, "1m0s"), (3_723_000_000, "1h2m3s")],
)
def test_lengths_are_readable(microseconds: int, text: str) -> None:
    assert deadlines.length(microseconds) == text


def test_deadlines_count_from_the_attempt_and_from_the_queue() -> None:
    state = node(timeout_seconds=2.0)
    assert (deadlines.attempt_deadline(state), deadlines.node_deadline(state)) == (0, 0)
    state.queued_at, state.attempt_at = 1_000_000, 5_000_000
    assert (deadlines.attempt_deadline(state), deadlines.node_deadline(state)) == (7_000_000, 5_000_000)


@given(st.text(max_size=60_000))
def test_long_messages_keep_both_ends(text: str) -> None:
    message = text * 4
    short = events.shortened(core.ExecutionError(message=message)).message
    if len(message.encode()) <= events.MESSAGE_LIMIT:
        assert short == message
    else:
        assert len(short.encode()) <= events.MESSAGE_LIMIT + 40
        assert "<Message Truncated>" in short
        assert short[:100] == message[:100]
        assert short[-100:] == message[-100:]


Comparison = core.ComparisonExpression


def compare(operator: Comparison.Operator.ValueType, left: core.Primitive, right: core.Primitive) -> bool:
    """Evaluate one comparison of two constants."""
    expression = Comparison(
        operator=operator, left_value=core.Operand(primitive=left), right_value=core.Operand(primitive=right)
    )
    return conditions.holds(core.BooleanExpression(comparison=expression), core.LiteralMap())


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_integers_compare_as_integers(left: int, right: int) -> None:
    a, b = core.Primitive(integer=left), core.Primitive(integer=right)
    assert compare(Comparison.EQ, a, b) == (left == right)
    assert compare(Comparison.NEQ, a, b) == (left != right)
    assert compare(Comparison.LT, a, b) == (left < right)
    assert compare(Comparison.GTE, a, b) == (left >= right)


def case(*variables: str) -> core.IfBlock:
    """A case that compares variables with each other, or one with a constant, joined by AND."""
    one = core.Operand(primitive=core.Primitive(integer=1))
    first, *others = [*(core.Operand(var=name) for name in variables), one]
    others = others or [one]
    joined = core.BooleanExpression(comparison=Comparison(left_value=first, right_value=others[0]))
    for other in others[1:]:
        more = core.BooleanExpression(comparison=Comparison(left_value=first, right_value=other))
        conjunction = core.ConjunctionExpression(left_expression=joined, right_expression=more)
        joined = core.BooleanExpression(conjunction=conjunction)
    return core.IfBlock(condition=joined)


def test_an_error_tells_what_was_compared() -> None:
    if_else = core.IfElseBlock(case=case("n0.o0", "s"), other=[case("n0.o0"), case("gone", "map")])
    inputs = closures.integers(**{"n0.o0": 5})
    inputs.literals["s"].scalar.primitive.string_value = "x" * 1000
    inputs.literals["map"].map.SetInParent()
    told = conditions.compared(if_else, inputs)
    assert told == f"n0.o0 is 5, s is {'x' * 100}…, gone is missing, map is {{}}"
    assert conditions.compared(core.IfElseBlock(case=case()), inputs) == ""


@pytest.mark.parametrize(
    ("left", "right", "operator"),
    [
        (core.Primitive(integer=1), core.Primitive(float_value=1.0), Comparison.EQ),
        (core.Primitive(boolean=True), core.Primitive(boolean=False), Comparison.GT),
        (core.Primitive(), core.Primitive(), Comparison.EQ),
    ],
)
def test_what_cannot_be_compared_is_said(
    left: core.Primitive, right: core.Primitive, operator: Comparison.Operator.ValueType
) -> None:
    with pytest.raises(InvalidArgument):
        compare(operator, left, right)


def told(name: str, size: int = 0) -> admin.ExecutionEvent:
    """An event that can be told from others."""
    event = admin.ExecutionEvent()
    event.node.id.node_id = name
    event.node.input_uri = "x" * size
    return event


@given(st.lists(st.integers(0, 200_000), max_size=40), st.integers(0, 9))
def test_chunks_hold_every_event_once_in_order(sizes: list[int], first: int) -> None:
    made = [told(str(number), size) for number, size in enumerate(sizes)]
    chunks = list(framing.chunks(3, first, made))
    assert [event for chunk in chunks for event in framing.parse(chunk.payload)] == made
    assert [chunk.number for chunk in chunks] == list(range(first, first + len(chunks)))
    for chunk in chunks:
        assert chunk.count == framing.count(chunk.payload)
        assert chunk.count == 1 or len(chunk.payload) <= framing.BYTES_PER_CHUNK + 10 * chunk.count
    joined = b"".join(chunk.payload for chunk in chunks)
    assert list(framing.parse(joined)) == made


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_shards_are_stable_and_within_bounds(project: str, domain: str, name: str) -> None:
    assert 0 <= shard_of((project, domain, name)) < SHARDS
    assert shard_of(("flytesnacks", "development", "abc")) == shard_of(("flytesnacks", "development", "abc"))


@given(st.lists(st.sampled_from(["", "me", "you"]), min_size=SHARDS, max_size=SHARDS), st.integers(1, 5))
def test_nobody_takes_what_is_anothers_nor_more_than_the_share(owners: list[str], replicas: int) -> None:
    held = [Lease(shard, owner, 1, 100) for shard, owner in enumerate(owners)]
    taken, surplus = choose(held, "me", 50, fair_share(replicas))
    assert all(not owners[shard] for shard in taken)
    assert all(owners[shard] == "me" for shard in surplus)
    assert owners.count("me") + len(taken) - len(surplus) <= fair_share(replicas)
    assert not (taken and surplus)


async def deliver(failures: list[ElevonError], chunks: Sequence[EventChunk]) -> tuple[MemoryAdminEvents, list[int]]:
    """Send chunks through an outbox to an admin that raises first; returns it and the numbers acknowledged."""
    receiver = MemoryAdminEvents()
    acknowledged: list[int] = []
    receiver.failures = failures
    outbox = Outbox(MemoryStore(), receiver, lambda places: acknowledged.extend(number for _, number in places))
    await outbox.adopt(1)
    task = asyncio.create_task(outbox.run())
    outbox.committed(list(chunks))
    assert await outbox.flushed(10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return receiver, acknowledged


async def test_the_outbox_tries_until_admin_takes_events() -> None:
    chunks = list(framing.chunks(1, 1, [told("a"), told("b")]))
    receiver, acknowledged = await deliver([Unavailable("away")] * 2, chunks)
    assert [event.node.id.node_id for event in receiver.events] == ["a", "b"]
    assert (acknowledged, receiver.calls) == ([1], 3)


async def test_the_outbox_takes_little_at_first_and_more_while_more_waits() -> None:
    chunks = list(framing.chunks(1, 1, [told(str(number)) for number in range(20_000)]))
    receiver, acknowledged = await deliver([], chunks)
    assert [int(event.node.id.node_id) for event in receiver.events] == list(range(20_000))
    assert acknowledged == [chunk.number for chunk in chunks]
    assert receiver.sizes == [500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000, 500]


async def test_the_outbox_halves_what_is_too_large_and_gives_up_only_what_can_never_go() -> None:
    chunks = list(framing.chunks(1, 1, [told(name) for name in "abcd"]))
    failures: list[ElevonError] = [ResourceExhausted("too large"), ResourceExhausted("too large"), InvalidArgument("a")]
    receiver, acknowledged = await deliver(failures, chunks)
    assert [event.node.id.node_id for event in receiver.events] == ["b", "c", "d"]
    assert acknowledged == [1]


async def test_the_outbox_reads_back_what_was_left() -> None:
    store, receiver = MemoryStore(), MemoryAdminEvents()
    chunks = [EventChunk(1, number, framing.frame([told(str(number))]), 1) for number in range(1, 201)]
    await store.commit(Commit({}, events=chunks))
    outbox = Outbox(store, receiver, lambda places: None)
    assert await outbox.adopt(1) == 200
    task = asyncio.create_task(outbox.run())
    outbox.committed([EventChunk(1, 201, framing.frame([told("201")]), 1)])
    await store.commit(Commit({}, events=[EventChunk(1, 201, framing.frame([told("201")]), 1)]))
    assert await outbox.flushed(10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [event.node.id.node_id for event in receiver.events] == [str(number) for number in range(1, 202)]


async def test_questions_asked_together_share_a_call_and_same_keys_do_not() -> None:
    batches: list[list[int]] = []

    async def double(questions: Sequence[int]) -> Sequence[int]:
        batches.append(list(questions))
        return [2 * question for question in questions]

    batcher: Batcher[int, int] = Batcher(double, 3)
    answers = await asyncio.gather(*(batcher.ask(question % 4, question) for question in range(6)))
    assert list(answers) == [0, 2, 4, 6, 8, 10]
    assert batches == [[0, 1, 2], [3, 4, 5]]


async def test_one_bad_question_does_not_spoil_the_others() -> None:
    async def refuse_odd(questions: Sequence[int]) -> Sequence[int]:
        if any(question % 2 for question in questions):
            raise InvalidArgument("odd")
        return list(questions)

    batcher: Batcher[int, int] = Batcher(refuse_odd, 10)
    answers = await asyncio.gather(*(batcher.ask(number, number) for number in range(4)), return_exceptions=True)
    assert [answer if isinstance(answer, int) else type(answer) for answer in answers] == [
        0,
        InvalidArgument,
        2,
        InvalidArgument,
    ]
