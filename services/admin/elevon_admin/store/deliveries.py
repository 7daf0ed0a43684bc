"""The outbox towards receivers outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from elevon_kit.database import Database
from elevon_kit.gathering import Gathered
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Row, Update, bindparam, delete, exists, func, insert, not_, or_, select, text, update

from elevon_admin.domain.deliveries import (
    DeliveryKind,
    DeliveryState,
    NewDelivery,
    ReceiverStatus,
    StoredDelivery,
)
from elevon_admin.domain.paging import Page
from elevon_admin.store.delivery_tables import HOLDING, deliveries, delivery_receivers
from elevon_admin.store.versioned import insert_missing

_COLUMNS = deliveries.c
_RECEIVERS = delivery_receivers.c
_WAITING = _COLUMNS.state == int(DeliveryState.WAITING)
_GIVEN_UP = _COLUMNS.state == int(DeliveryState.GIVEN_UP)
_EARLIER = deliveries.alias("earlier")
_FREE = not_(
    exists().where(
        _EARLIER.c.receiver == _COLUMNS.receiver,
        _EARLIER.c.subject == _COLUMNS.subject,
        _EARLIER.c.id < _COLUMNS.id,
        text(f"earlier.{HOLDING}"),
    )
)
"""Nothing earlier about the subject holds it back."""
_FORGET = delete(deliveries).where(_COLUMNS.id == bindparam("row"))
_ADD = insert(deliveries)
LONGEST_ERROR = 1_000


class SqlDeliveries:
    """The DeliveryRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._forgetting: Gathered[int, None] = Gathered(self._forget_rows)

    async def lease(self, receiver: str, owner: str, now: int, until: int) -> bool:
        """See DeliveryRepository."""
        add = insert_missing(self._database.dialect, delivery_receivers)
        free = or_(_RECEIVERS.owner == owner, _RECEIVERS.leased_until <= now)
        take = update(delivery_receivers).where(_RECEIVERS.name == receiver, free)

        async def work(connection: AsyncConnection) -> bool:
            values = {"name": receiver, "owner": "", "leased_until": 0, "failing_since": None, "error": ""}
            await connection.execute(add, [values])
            return bool((await connection.execute(take.values(owner=owner, leased_until=until))).rowcount)

        return await self._database.write(work)

    async def waiting(self, receiver: str, now: int, limit: int) -> Sequence[StoredDelivery]:
        """See DeliveryRepository."""
        due = select(deliveries).where(_COLUMNS.receiver == receiver, _WAITING, _COLUMNS.try_at <= now, _FREE)
        query = due.order_by(_COLUMNS.try_at, _COLUMNS.id).limit(limit)
        async with self._database.reading() as connection:
            return [_delivery(row) for row in await connection.execute(query)]

    async def acknowledged(self, row: int) -> None:
        """See DeliveryRepository."""
        await self._forgetting(row)

    async def _forget_rows(self, rows: Sequence[int]) -> Sequence[None]:
        parameters = [{"row": row} for row in sorted(rows)]

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(_FORGET, parameters)

        await self._database.write(work)
        return [None] * len(rows)

    async def postpone(self, row: int, try_at: int, error: str, *, holds: bool) -> None:
        """See DeliveryRepository."""
        change = update(deliveries).where(_COLUMNS.id == row)
        failed = change.values(attempts=_COLUMNS.attempts + 1, error=error[:LONGEST_ERROR])
        await self._change(failed.values(try_at=try_at, holds=holds))

    async def give_up(self, row: int, error: str) -> None:
        """See DeliveryRepository."""
        change = update(deliveries).where(_COLUMNS.id == row)
        state, shortened = int(DeliveryState.GIVEN_UP), error[:LONGEST_ERROR]
        await self._change(change.values(state=state, attempts=_COLUMNS.attempts + 1, error=shortened, holds=False))

    async def give_up_older(self, receiver: str, before: int, error: str) -> int:
        """See DeliveryRepository."""
        old = update(deliveries).where(_COLUMNS.receiver == receiver, _WAITING, _COLUMNS.created_at < before)
        given_up = old.values(state=int(DeliveryState.GIVEN_UP), error=error[:LONGEST_ERROR], holds=False)
        return await self._change(given_up)

    async def receiver_failing(self, receiver: str, now: int, error: str) -> None:
        """See DeliveryRepository."""
        change = update(delivery_receivers).where(_RECEIVERS.name == receiver)
        since = func.coalesce(_RECEIVERS.failing_since, now)
        await self._change(change.values(failing_since=since, error=error[:LONGEST_ERROR]))

    async def receiver_works(self, receiver: str, now: int, outage: int) -> None:
        """See DeliveryRepository."""
        this = _RECEIVERS.name == receiver
        was_away = exists().where(this, _RECEIVERS.failing_since <= now - outage)
        held = update(deliveries).where(_COLUMNS.receiver == receiver, _WAITING, text(HOLDING), was_away)
        works = update(delivery_receivers).where(this).values(failing_since=None, error="")

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(held.values(try_at=now))
            await connection.execute(works)

        await self._database.write(work)

    async def forget(self, before: int, limit: int) -> int:
        """See DeliveryRepository."""
        old = select(_COLUMNS.id).where(_GIVEN_UP, _COLUMNS.created_at < before).limit(limit)

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(deliveries).where(_COLUMNS.id.in_(old)))).rowcount

        return await self._database.write(work)

    async def receivers(self) -> Sequence[ReceiverStatus]:
        """See DeliveryRepository."""
        count = func.count().label("number")
        counted = select(_COLUMNS.receiver, _COLUMNS.state, count, func.min(_COLUMNS.created_at).label("oldest_at"))
        async with self._database.snapshot() as connection:
            rows = (await connection.execute(counted.group_by(_COLUMNS.receiver, _COLUMNS.state))).all()
            known = (await connection.execute(select(delivery_receivers))).all()
        waiting = {row.receiver: (row.number, row.oldest_at) for row in rows if row.state == DeliveryState.WAITING}
        given_up = {row.receiver: row.number for row in rows if row.state == DeliveryState.GIVEN_UP}
        failing = {row.name: (row.failing_since, row.error) for row in known}
        return [
            ReceiverStatus(
                name, waiting.get(name, (0,))[0], given_up.get(name, 0), waiting.get(name, (0, None))[1],
                *failing.get(name, (None, "")),
            )
            for name in sorted({*waiting, *given_up, *failing})
        ]  # fmt: skip

    async def deliveries(self, receiver: str, state: DeliveryState | None, page: Page) -> Sequence[StoredDelivery]:
        """See DeliveryRepository."""
        query = select(deliveries).order_by(_COLUMNS.id).limit(page.fetch).offset(page.offset)
        if receiver:
            query = query.where(_COLUMNS.receiver == receiver)
        if state is not None:
            query = query.where(_COLUMNS.state == int(state))
        async with self._database.reading() as connection:
            return [_delivery(row) for row in await connection.execute(query)]

    async def retry(self, receiver: str, now: int) -> int:
        """See DeliveryRepository."""
        change = update(deliveries).where(_COLUMNS.receiver == receiver, _GIVEN_UP)
        return await self._change(change.values(state=int(DeliveryState.WAITING), created_at=now, try_at=now))

    async def _change(self, change: Update) -> int:
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(change)).rowcount

        return await self._database.write(work)


async def add_deliveries(connection: AsyncConnection, new: Iterable[NewDelivery], now: int) -> None:
    """Queue messages, in the transaction of what they tell of."""
    values = [
        {
            "created_at": now,
            "receiver": delivery.receiver,
            "kind": int(delivery.kind),
            "subject": delivery.subject,
            "message_id": delivery.message_id,
            "payload": delivery.payload,
            "state": int(DeliveryState.WAITING),
            "attempts": 0,
            "try_at": now,
            "error": "",
            "holds": False,
        }
        for delivery in new
    ]
    if values:
        await connection.execute(_ADD, values)


def _delivery(row: Row[*tuple[Any, ...]]) -> StoredDelivery:
    return StoredDelivery(
        row.id,
        row.receiver,
        DeliveryKind(row.kind),
        row.subject,
        row.message_id,
        bytes(row.payload),
        row.created_at,
        DeliveryState(row.state),
        row.attempts,
        row.error,
    )
