"""The queue of one receiver: messages that it never takes keep nobody but their own subject waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_admin.domain.deliveries import DeliveryKind, NewDelivery, StoredDelivery
from elevon_admin.store.deliveries import SqlDeliveries, add_deliveries
from elevon_admin.usecases.deliver import ReceiverQueue, SendingSettings
from elevon_admin.usecases.delivery_measurements import DeliveryMeasurements
from elevon_core.errors import Unavailable
from elevon_kit.database import Database
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.integration.admin_executions.harness import eventually

QUICK = SendingSettings(poll_seconds=0.01, timeout_seconds=0.2, first_pause=0.02, longest_pause=0.1)


class Picky:
    """A Transport that never takes what is about some subjects: it says so, or does not answer."""

    def __init__(self, poison: set[str], *, hangs: bool) -> None:
        self.poison = poison
        self.hangs = hangs
        self.taken: list[tuple[str, str]] = []
        self.attempts: list[str] = []

    async def deliver(self, delivery: StoredDelivery) -> None:
        """See Transport."""
        self.attempts.append(delivery.subject)
        if delivery.subject in self.poison:
            if self.hangs:
                await asyncio.Event().wait()
            raise Unavailable("the webhook answered 500")
        self.taken.append((delivery.subject, delivery.message_id))

    async def close(self) -> None:
        """See Transport."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await MIGRATIONS.upgrade(database_url)
    opened = Database(database_url)
    await opened.open()
    yield opened
    await opened.close()


async def owe(database: Database, messages: list[tuple[str, str]]) -> None:
    async def work(connection: AsyncConnection) -> None:
        new = [NewDelivery("a", DeliveryKind.NOTIFICATION, subject, number, b"{}") for subject, number in messages]
        await add_deliveries(connection, new, time.time_ns())

    await database.write(work)


def queue(database: Database, transport: Picky) -> ReceiverQueue:
    repository = SqlDeliveries(database)
    return ReceiverQueue("a", transport, repository, "me", time.time_ns, DeliveryMeasurements(), QUICK)


@pytest.mark.parametrize("hangs", [False, True])
async def test_messages_that_are_never_taken_delay_only_themselves(database: Database, hangs: bool) -> None:
    poison = {f"poison {number}" for number in range(12)}
    transport = Picky(set(poison), hangs=hangs)
    await owe(database, [(subject, number) for number in ("1", "2") for subject in sorted(poison)])
    good = [(f"good {number % 100}", str(number)) for number in range(300)]
    await owe(database, good)
    async with asyncio.TaskGroup() as running:
        sending = running.create_task(queue(database, transport).run())
        await eventually(lambda: len(transport.taken) == len(good), "all others are sent")
        assert poison <= set(transport.attempts)
        transport.poison.clear()
        await eventually(lambda: len(transport.taken) == len(good) + 24, "what was not taken follows")
        sending.cancel()
    assert sorted(transport.taken) == sorted([*good, *((each, number) for each in poison for number in ("1", "2"))])
    for subject in poison | {f"good {number}" for number in range(100)}:
        numbers = [int(number) for each, number in transport.taken if each == subject]
        assert numbers == sorted(numbers)


async def test_a_receiver_that_is_away_is_asked_with_one_message_after_another(database: Database) -> None:
    subjects = [f"subject {number}" for number in range(20)]
    transport = Picky(set(subjects), hangs=False)
    await owe(database, [(subject, "1") for subject in subjects])
    async with asyncio.TaskGroup() as running:
        sending = running.create_task(queue(database, transport).run())
        await eventually(lambda: set(transport.attempts) == set(subjects), "each was tried")
        sending.cancel()
    assert len(transport.attempts) < 60
