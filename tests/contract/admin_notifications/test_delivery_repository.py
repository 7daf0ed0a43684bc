"""What the outbox towards receivers does, on each database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_admin.domain.deliveries import DeliveryKind, DeliveryState, NewDelivery, ReceiverStatus
from elevon_admin.domain.paging import Page
from elevon_admin.store.deliveries import SqlDeliveries, add_deliveries
from elevon_kit.database import Database
from sqlalchemy.ext.asyncio import AsyncConnection

pytestmark = pytest.mark.schema(MIGRATIONS)

ALL = Page(None)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await MIGRATIONS.upgrade(database_url)
    opened = Database(database_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def repository(database: Database) -> SqlDeliveries:
    return SqlDeliveries(database)


async def owe(database: Database, *receivers: str, now: int = 100) -> None:
    async def work(connection: AsyncConnection) -> None:
        new = [
            NewDelivery(receiver, DeliveryKind.NOTIFICATION, f"subject {number}", f"id {number}", b"{}")
            for number, receiver in enumerate(receivers)
        ]
        await add_deliveries(connection, new, now)

    await database.write(work)


async def rows(repository: SqlDeliveries, receiver: str = "a", now: int = 10**6) -> list[int]:
    return [delivery.row for delivery in await repository.waiting(receiver, now, 100)]


async def test_deliveries_wait_in_order_until_they_are_acknowledged(
    database: Database, repository: SqlDeliveries
) -> None:
    await owe(database, "a", "b", "a", "a")
    assert await repository.waiting("a", 99, 10) == []
    waiting = await repository.waiting("a", 100, 10)
    assert [each.message_id for each in waiting] == ["id 0", "id 2", "id 3"]
    await asyncio.gather(*(repository.acknowledged(each.row) for each in waiting[:2]))
    assert await rows(repository) == [waiting[2].row]
    assert len(await rows(repository, "b")) == 1


async def test_a_receiver_is_one_replicas_at_a_time(repository: SqlDeliveries) -> None:
    answers = await asyncio.gather(*(repository.lease("a", owner, 100, 200) for owner in ("x", "y", "z")))
    assert sorted(answers) == [False, False, True]
    owner = ("x", "y", "z")[answers.index(True)]
    assert await repository.lease("a", owner, 150, 300)
    assert not await repository.lease("a", "other", 299, 400)
    assert await repository.lease("b", "other", 150, 300)
    assert await repository.lease("a", "other", 300, 400)
    assert not await repository.lease("a", owner, 350, 500)


async def test_a_failed_attempt_is_counted_and_comes_back(database: Database, repository: SqlDeliveries) -> None:
    await owe(database, "a")
    (row,) = await rows(repository)
    await repository.postpone(row, 500, "no" * 1000, holds=False)
    assert await rows(repository, now=499) == []
    (again,) = await repository.waiting("a", 500, 10)
    assert (again.attempts, len(again.error), again.created_at) == (1, 1000, 100)


async def test_what_was_tried_comes_after_what_waits_longer(database: Database, repository: SqlDeliveries) -> None:
    await owe(database, "a", "a", "a")
    first, second, third = await rows(repository)
    await repository.postpone(first, 300, "no", holds=True)
    await repository.postpone(second, 200, "no", holds=True)
    assert await rows(repository) == [third, second, first]


async def test_what_holds_keeps_what_follows_about_its_subject(database: Database, repository: SqlDeliveries) -> None:
    for now in (100, 101, 102):
        await owe(database, "a", "a", now=now)
    first, other, *rest = await rows(repository)
    await repository.postpone(first, 200, "no", holds=True)
    assert await rows(repository, now=199) == [other, rest[1], rest[3]]
    assert await rows(repository, now=200) == [other, rest[1], rest[3], first]
    await repository.postpone(first, 300, "refused", holds=False)
    assert await rows(repository, now=299) == [other, *rest]
    await repository.postpone(first, 400, "no", holds=True)
    await repository.give_up(first, "never")
    assert await rows(repository) == [other, *rest]
    await repository.postpone(other, 400, "no", holds=True)
    assert await repository.give_up_older("a", 101, "too old") == 1
    assert await rows(repository) == rest


async def test_what_is_given_up_is_listed_tried_again_or_forgotten(
    database: Database, repository: SqlDeliveries
) -> None:
    await owe(database, "a", "a", "b")
    await owe(database, "a", now=900)
    first, _, last = await rows(repository)
    await repository.give_up(first, "never")
    assert await repository.give_up_older("a", 500, "too old") == 1
    assert await rows(repository) == [last]
    given_up = await repository.deliveries("a", DeliveryState.GIVEN_UP, ALL)
    assert [(each.error, each.attempts) for each in given_up] == [("never", 1), ("too old", 0)]
    assert len(await repository.deliveries("", None, ALL)) == 4
    assert len(await repository.deliveries("", None, Page(1, 1))) == 2
    assert await repository.retry("a", 1000) == 2
    assert len(await rows(repository)) == 3
    assert await repository.give_up_older("a", 1001, "too old again") == 3
    assert await repository.forget(950, 10) == 1
    assert await repository.forget(2000, 1) == 1
    assert len(await repository.deliveries("a", DeliveryState.GIVEN_UP, ALL)) == 1


async def test_how_receivers_do(database: Database, repository: SqlDeliveries) -> None:
    await owe(database, "a", "a", "b")
    await repository.lease("a", "x", 1, 2)
    await repository.receiver_failing("a", 300, "down")
    await repository.receiver_failing("a", 400, "still down")
    await repository.give_up((await rows(repository))[0], "never")
    assert list(await repository.receivers()) == [
        ReceiverStatus("a", 1, 1, 100, 300, "still down"),
        ReceiverStatus("b", 1, 0, 100),
    ]
    await repository.receiver_works("a", 500, 100)
    assert (await repository.receivers())[0] == ReceiverStatus("a", 1, 1, 100)


async def test_after_an_outage_what_was_held_back_is_due_at_once(database: Database, repository: SqlDeliveries) -> None:
    await owe(database, "a", "a", "b")
    await repository.lease("a", "x", 1, 2)
    first, second = await rows(repository)
    await repository.postpone(first, 10_000, "down", holds=True)
    await repository.postpone(second, 10_000, "refused", holds=False)
    await repository.receiver_failing("a", 300, "down")
    await repository.receiver_works("a", 399, 100)
    assert [each.row for each in await repository.waiting("a", 399, 10)] == [], "that was no outage"
    await repository.receiver_failing("a", 300, "down")
    await repository.receiver_works("a", 400, 100)
    assert [each.row for each in await repository.waiting("a", 400, 10)] == [first]
    assert (await repository.receivers())[0].failing_since is None
