"""Signals in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elevon_core import places
from elevon_core.errors import AlreadyExists, NotFound
from elevon_idl.core import v1 as core
from elevon_kit.database import Database
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Row, insert, select, update

from elevon_admin.domain.dispatches import Dispatch, DispatchKind
from elevon_admin.domain.executions import StoredSignal
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.data_references import add_references
from elevon_admin.store.dispatches import add_dispatch, undelivered_of
from elevon_admin.store.execution_fields import SIGNAL_COLUMNS
from elevon_admin.store.execution_tables import executions, signals
from elevon_admin.store.listing import apply_listing
from elevon_admin.store.node_executions import row_of

_READ = (signals.c.id, signals.c.execution_id, signals.c.signal_id, signals.c.type, signals.c.value)


class SqlSignals:
    """The SignalRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_or_create(
        self, execution: ExecutionKey, signal_id: str, signal_type: core.LiteralType, now: int
    ) -> StoredSignal:
        """See SignalRepository."""

        async def work(connection: AsyncConnection) -> StoredSignal:
            execution_row = await _lock(connection, execution)
            row = await _find(connection, execution, signal_id)
            if row is not None:
                return _stored(row, execution)
            values = {
                "created_at": now,
                "updated_at": now,
                "execution_id": execution_row,
                "signal_id": signal_id,
                "type": signal_type.SerializeToString(deterministic=True),
                "value": None,
            }
            await connection.execute(insert(signals), [values])
            return StoredSignal(execution, signal_id, signal_type)

        stored = await self._database.write(work)
        if stored.type != signal_type:
            raise AlreadyExists(f"signal {signal_id!r} of {execution} exists with another type")
        return stored

    async def get(self, execution: ExecutionKey, signal_id: str) -> StoredSignal | None:
        """See SignalRepository."""
        async with self._database.reading() as connection:
            row = await _find(connection, execution, signal_id)
        return None if row is None else _stored(row, execution)

    async def set_value(
        self, execution: ExecutionKey, signal_id: str, value: core.Literal, payload: bytes, now: int
    ) -> Sequence[Dispatch]:
        """See SignalRepository."""

        async def work(connection: AsyncConnection) -> Sequence[Dispatch]:
            execution_row = await _lock(connection, execution)
            statement = update(signals).where(signals.c.execution_id == execution_row, signals.c.signal_id == signal_id)
            data = value.SerializeToString()
            await connection.execute(statement.values(value=data, updated_at=now))
            pointing = ((execution_row, place) for place in places.elsewhere(data, *execution))
            await add_references(connection, self._database.dialect, pointing)
            await add_dispatch(connection, execution_row, DispatchKind.SIGNAL, payload, now)
            return await undelivered_of(connection, execution_row)

        return await self._database.write(work)

    async def list(
        self, execution: ExecutionKey, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[StoredSignal]:
        """See SignalRepository."""
        query = select(*_READ).where(signals.c.execution_id == row_of(execution))
        async with self._database.reading() as connection:
            rows = await connection.execute(apply_listing(query, SIGNAL_COLUMNS, filters, sort, page))
            return [_stored(row, execution) for row in rows]


async def _lock(connection: AsyncConnection, key: ExecutionKey) -> int:
    """The execution's row, held until the commit: what is queued for one execution stays in order."""
    columns = executions.c
    query = select(columns.id).where(
        columns.project == key.project, columns.domain == key.domain, columns.name == key.name
    )
    row = (await connection.execute(query.with_for_update())).scalar_one_or_none()
    if row is None:
        raise NotFound(f"missing entity of type execution with identifier {key}")
    return int(row)


async def _find(connection: AsyncConnection, key: ExecutionKey, signal_id: str) -> Row[*tuple[Any, ...]] | None:
    query = select(*_READ).where(signals.c.execution_id == row_of(key), signals.c.signal_id == signal_id)
    return (await connection.execute(query)).one_or_none()


def _stored(row: Row[*tuple[Any, ...]], execution: ExecutionKey) -> StoredSignal:
    value = None if row.value is None else core.Literal.FromString(row.value)
    return StoredSignal(execution, row.signal_id, core.LiteralType.FromString(row.type), value)
