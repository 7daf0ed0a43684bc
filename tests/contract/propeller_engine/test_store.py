"""One suite for every `Store`: the fake, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from elevon_core.errors import AlreadyExists
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.database import Database
from elevon_propeller.app import MIGRATIONS
from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.plan import build_plan
from elevon_propeller.engine.records import ChunkRow, NodeRow, node_row
from elevon_propeller.engine.state import ExecutionState
from elevon_propeller.ports import SHARDS, Commit, EventChunk, ExecutionRow, LeaseLost, Store
from elevon_propeller.simulation import closures
from elevon_propeller.store.memory import MemoryStore
from elevon_propeller.store.sql import SqlStore

pytestmark = pytest.mark.schema(MIGRATIONS)

SECOND = 1_000_000


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Every implementation in turn, empty."""
    if request.param == "memory":
        yield MemoryStore()
        return
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    await MIGRATIONS.upgrade(url)
    database = Database(url)
    await database.open()
    try:
        yield SqlStore(database)
    finally:
        await database.close()


def execution(key: int, *, shard: int = 1, phase: int = 1, ended_at: int = 0) -> ExecutionRow:
    """A row whose name follows from its key."""
    return ExecutionRow(
        key=key,
        shard=shard,
        project="p",
        domain="d",
        name=f"e{key}",
        digest=b"d" * 32,
        inputs=b"in",
        options=b"",
        phase=phase,
        accepted_at=5,
        ended_at=ended_at,
    )


def row(node_id: str, phase: int, outputs: bytes | None = None) -> NodeRow:
    """A node row with the fields of a fresh node."""
    plan = build_plan(closures.chain(1), SUPPORTED)

    identifier = core.WorkflowExecutionIdentifier(project="p", domain="d", name="e")
    state = ExecutionState(plan, identifier, core.LiteralMap(), propeller.ExecutionOptions(), 0, "m", "r")
    made = node_row(state.nodes["n0"])
    made["node_id"] = made["spec_id"] = node_id
    made["phase"] = phase
    made["outputs"] = outputs
    return made


async def leased(store: Store, owner: str = "a", now: int = 0) -> dict[int, int]:
    """Take every shard for a second."""
    return dict((await store.take_leases(owner, now, now + SECOND)).epochs)


async def test_a_workflow_is_kept_once_under_its_digest(store: Store) -> None:
    assert await store.load_workflow(b"x" * 32) is None
    await store.save_workflow(b"x" * 32, b"closure")
    await store.save_workflow(b"x" * 32, b"closure")
    assert await store.load_workflow(b"x" * 32) == b"closure"


async def test_a_commit_writes_everything(store: Store) -> None:
    epochs = await leased(store)
    created = execution(1)
    chunk = EventChunk(1, 1, b"payload", 3)
    await store.commit(
        Commit({1: epochs[1]}, created=[created], nodes=[(1, row("n0", 6)), (1, row("n1", 0))], events=[chunk])
    )
    assert await store.find_execution("p", "d", "e1") == created
    assert await store.live_executions([1, 2]) == [created]
    assert await store.live_executions([2]) == []
    nodes = await store.nodes([1, 9])
    assert sorted(node["node_id"] for node in nodes[1]) == ["n0", "n1"]
    assert nodes[9] == []
    assert await store.events(1, 0, 10) == [chunk]
    assert await store.last_event(1) == 1


async def test_a_commit_replaces_rows_and_deletes_what_was_delivered(store: Store) -> None:
    epochs = await leased(store)
    lease = {1: epochs[1]}
    chunks = [EventChunk(1, number, b"payload", 1) for number in (1, 2, 3)]
    await store.commit(Commit(lease, created=[execution(1)], nodes=[(1, row("n0", 6))], events=chunks))
    ended = execution(1, phase=4, ended_at=77)
    ended.error, ended.abort_cause, ended.signals, ended.started_at = b"e", "why", b"s", 6
    await store.commit(
        Commit(lease, changed=[ended], nodes=[(1, row("n0", 11, b"out"))], acknowledged=[(1, 1), (1, 2)])
    )
    assert await store.find_execution("p", "d", "e1") == ended
    assert (await store.nodes([1]))[1] == [row("n0", 11, b"out")]
    assert await store.events(1, 0, 10) == chunks[2:]
    assert await store.events(1, 3, 10) == []
    assert await store.last_event(1) == 3
    assert await store.live_executions([1]) == []


async def test_events_come_in_order_and_as_many_as_asked_for(store: Store) -> None:
    epochs = await leased(store)
    chunks = [EventChunk(1, number, b"%d" % number, 1) for number in range(1, 8)]
    await store.commit(Commit({1: epochs[1]}, events=list(reversed(chunks))))
    assert await store.events(1, 2, 3) == chunks[2:5]
    assert await store.events(2, 0, 3) == []


async def test_a_commit_with_a_known_execution_writes_nothing(store: Store) -> None:
    epochs = await leased(store)
    lease = {1: epochs[1]}
    await store.commit(Commit(lease, created=[execution(1)]))
    twin = execution(2)
    twin.name = "e1"
    with pytest.raises(AlreadyExists):
        await store.commit(Commit(lease, created=[execution(3), twin], nodes=[(3, row("n0", 6))]))
    assert await store.find_execution("p", "d", "e3") is None
    assert (await store.nodes([3]))[3] == []


async def test_a_commit_with_an_old_epoch_writes_nothing(store: Store) -> None:
    epochs = await leased(store)
    taken = await store.take_leases("b", 2 * SECOND, 3 * SECOND)
    assert taken.epochs[1] == epochs[1] + 1
    with pytest.raises(LeaseLost) as lost:
        await store.commit(Commit({1: epochs[1]}, created=[execution(1)]))
    assert lost.value.shards == {1}
    assert await store.find_execution("p", "d", "e1") is None


async def test_a_new_execution_waits_for_its_owner(store: Store) -> None:
    assert await store.create_execution(execution(1, phase=0))
    twin = execution(2, phase=0)
    twin.name = "e1"
    assert not await store.create_execution(twin)
    await store.create_execution(execution(3, phase=1))
    assert [found.key for found in await store.live_executions([1], only_new=True)] == [1]


async def test_requests_wait_until_they_are_answered(store: Store) -> None:
    await store.add_request(1, 4, "abort", b"first")
    await store.add_request(2, 5, "abort", b"other shard")
    await store.add_request(1, 4, "signal", b"second")
    found = await store.requests([4])
    assert [(request.key, request.kind, request.payload) for request in found] == [
        (1, "abort", b"first"),
        (1, "signal", b"second"),
    ]
    await store.commit(Commit({}, answered=[found[0].id]))
    assert [request.payload for request in await store.requests([4])] == [b"second"]


async def test_one_replica_owns_everything_and_renews(store: Store) -> None:
    first = await store.take_leases("a", 0, SECOND)
    assert sorted(first.epochs) == list(range(SHARDS))
    again = await store.take_leases("a", SECOND // 2, 2 * SECOND)
    assert again.epochs == first.epochs
    assert (again.surplus, again.replicas) == ([], 1)


async def test_a_second_replica_gets_its_share_once_the_first_gives_it_away(store: Store) -> None:
    await store.take_leases("a", 0, 10 * SECOND)
    waiting = await store.take_leases("b", SECOND, 11 * SECOND)
    assert (waiting.epochs, waiting.replicas) == ({}, 2)
    full = await store.take_leases("a", 2 * SECOND, 12 * SECOND)
    assert len(full.surplus) == SHARDS // 2
    await store.release_leases("a", full.surplus)
    shared = await store.take_leases("b", 3 * SECOND, 13 * SECOND)
    assert sorted(shared.epochs) == sorted(full.surplus)
    assert (await store.take_leases("a", 4 * SECOND, 14 * SECOND)).surplus == []


async def test_a_dead_replica_loses_everything_to_the_others(store: Store) -> None:
    before = await store.take_leases("a", 0, SECOND)
    assert (await store.take_leases("b", SECOND, 2 * SECOND)).epochs == {}
    taken = await store.take_leases("b", SECOND + 1, 2 * SECOND)
    assert taken.epochs == {shard: epoch + 1 for shard, epoch in before.epochs.items()}


async def test_releasing_leaves_the_shards_of_others_alone(store: Store) -> None:
    epochs = await leased(store)
    await store.release_leases("b", range(SHARDS))
    await store.commit(Commit(epochs))
    assert (await store.take_leases("a", 1, SECOND)).epochs == epochs


async def test_ended_executions_are_forgotten_oldest_first(store: Store) -> None:
    epochs = await leased(store)
    rows = [execution(key, ended_at=key * 10) for key in (1, 2, 3)] + [execution(4)]
    await store.commit(Commit({1: epochs[1]}, created=rows, nodes=[(key, row("n0", 11)) for key in (1, 2, 3, 4)]))
    assert await store.forget_ended(30, 1) == 1
    assert await store.find_execution("p", "d", "e1") is None
    assert (await store.nodes([1, 2]))[1] == []
    assert await store.forget_ended(30, 10) == 1
    assert await store.forget_ended(30, 10) == 0
    assert await store.find_execution("p", "d", "e3") is not None
    assert await store.find_execution("p", "d", "e4") is not None
    assert len((await store.nodes([3, 4]))[4]) == 1
    await store.forget(4)
    await store.forget(4)
    assert await store.find_execution("p", "d", "e4") is None
    assert (await store.nodes([4]))[4] == []
    assert await store.find_execution("p", "d", "e3") is not None


def chunk(node_id: str, number: int, data: bytes) -> ChunkRow:
    return ChunkRow(node_id=node_id, number=number, data=data)


async def test_chunks_of_arrays_are_replaced_and_dropped_by_array(store: Store) -> None:
    epochs = await leased(store)
    lease = {1: epochs[1]}
    chunks = [(1, chunk("n0", 0, b"a")), (1, chunk("n0", 1, b"b")), (1, chunk("n1", 0, b"c"))]
    await store.commit(Commit(lease, created=[execution(1)], chunks=chunks))
    await store.commit(Commit(lease, chunks=[(1, chunk("n0", 1, b"new"))]))
    found = await store.chunks([1, 2])
    assert sorted((row["node_id"], row["number"], row["data"]) for row in found[1]) == [
        ("n0", 0, b"a"),
        ("n0", 1, b"new"),
        ("n1", 0, b"c"),
    ]
    assert found[2] == []
    await store.commit(Commit(lease, dropped=[(1, "n0")], chunks=[(1, chunk("n0", 5, b"next attempt"))]))
    left = sorted((row["node_id"], row["number"]) for row in (await store.chunks([1]))[1])
    assert left == [("n0", 5), ("n1", 0)]


async def test_chunks_are_forgotten_with_their_execution(store: Store) -> None:
    epochs = await leased(store)
    ended = execution(1, phase=4, ended_at=50)
    await store.commit(Commit({1: epochs[1]}, created=[ended], chunks=[(1, chunk("n0", 0, b"a"))]))
    assert await store.forget_ended(100, 10) == 1
    assert (await store.chunks([1]))[1] == []
