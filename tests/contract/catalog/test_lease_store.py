"""What every LeaseStore does: the fake, SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from elevon_catalog.app import MIGRATIONS
from elevon_catalog.domain.leases import Lease, LeasePolicy, LeaseRequest
from elevon_catalog.ports import LeaseStore
from elevon_catalog.store.leases import SqlLeaseStore
from elevon_catalog.store.leases_memory import MemoryLeaseStore
from elevon_kit.database import Database

pytestmark = pytest.mark.schema(MIGRATIONS)

POLICY = LeasePolicy(longest_heartbeat=10, grace_multiplier=3)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[LeaseStore]:
    if request.param == "memory":
        yield MemoryLeaseStore()
        return
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    await MIGRATIONS.upgrade(url)
    database = Database(url)
    await database.open()
    yield SqlLeaseStore(database)
    await database.close()


def wanted(subject: bytes, owner: str, now: int, requested: int | None = None) -> LeaseRequest:
    return POLICY.request(subject, "label", owner, requested, now)


async def acquire(
    store: LeaseStore, owner: str, now: int, subject: bytes = b"s", requested: int | None = None
) -> Lease:
    return (await store.acquire([wanted(subject, owner, now, requested)], now))[0]


async def test_a_free_lease_is_taken(store: LeaseStore) -> None:
    assert await acquire(store, "a", 100) == Lease("a", 10, 130)


async def test_a_lease_that_is_held_stays(store: LeaseStore) -> None:
    await acquire(store, "a", 100)

    assert await acquire(store, "b", 129) == Lease("a", 10, 130)


async def test_the_owner_extends(store: LeaseStore) -> None:
    await acquire(store, "a", 100)

    assert await acquire(store, "a", 110, requested=5) == Lease("a", 5, 125)


async def test_a_lease_that_has_run_out_is_taken_over(store: LeaseStore) -> None:
    await acquire(store, "a", 100)

    assert await acquire(store, "b", 130) == Lease("b", 10, 160)
    assert await acquire(store, "a", 131) == Lease("b", 10, 160)


async def test_the_owner_may_extend_a_lease_that_has_run_out(store: LeaseStore) -> None:
    await acquire(store, "a", 100)

    assert await acquire(store, "a", 500) == Lease("a", 10, 530)


async def test_release_frees_the_lease(store: LeaseStore) -> None:
    await acquire(store, "a", 100)
    await store.release([(b"s", "a")])

    assert await acquire(store, "b", 101) == Lease("b", 10, 131)


async def test_release_by_another_owner_changes_nothing(store: LeaseStore) -> None:
    await acquire(store, "a", 100)
    await store.release([(b"s", "b"), (b"other", "a")])

    assert await acquire(store, "b", 101) == Lease("a", 10, 130)


async def test_many_leases_are_decided_one_by_one_and_answered_in_order(store: LeaseStore) -> None:
    subjects = [bytes([number]) for number in range(10)]
    await store.acquire([wanted(subject, "a", 100) for subject in subjects[::2]], 100)

    held = await store.acquire([wanted(subject, "b", 101) for subject in reversed(subjects)], 101)

    assert [lease.owner_id for lease in held] == ["b", "a"] * 5


async def test_a_thousand_leases_are_taken_and_released_at_once(store: LeaseStore) -> None:
    subjects = [index.to_bytes(2, "big") for index in range(1000)]

    assert {each.owner_id for each in await store.acquire([wanted(one, "a", 1) for one in subjects], 1)} == {"a"}
    await store.release([(subject, "a") for subject in subjects])
    assert {each.owner_id for each in await store.acquire([wanted(one, "b", 1) for one in subjects], 1)} == {"b"}


async def test_everyone_at_once_gets_the_same_winner(store: LeaseStore) -> None:
    held = await asyncio.gather(*(acquire(store, f"owner-{number}", 100) for number in range(20)))

    assert len({lease.owner_id for lease in held}) == 1


async def test_old_leases_are_forgotten(store: LeaseStore) -> None:
    await acquire(store, "a", 100, b"old")
    await acquire(store, "a", 200, b"new")

    assert await store.forget(131) == 1
    assert await store.forget(131) == 0
    assert await acquire(store, "b", 100, b"old") == Lease("b", 10, 130)
    assert (await acquire(store, "b", 201, b"new")).owner_id == "a"
