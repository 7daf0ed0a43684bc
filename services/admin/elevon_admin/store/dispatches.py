"""The outbox towards the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elevon_kit.database import Database
from elevon_kit.gathering import Gathered
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Row, bindparam, delete, insert, select

from elevon_admin.domain.dispatches import Dispatch, DispatchKind
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.store.execution_tables import dispatches, executions

_READ = select(
    dispatches.c.id,
    dispatches.c.kind,
    dispatches.c.payload,
    executions.c.project,
    executions.c.domain,
    executions.c.name,
    executions.c.workflow_id,
    executions.c.inputs,
    executions.c.inputs_uri,
).join_from(dispatches, executions, dispatches.c.execution_id == executions.c.id)

_FORGET = delete(dispatches).where(dispatches.c.id == bindparam("row_id"))


class SqlDispatches:
    """The DispatchRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gathered: Gathered[int, None] = Gathered(self._forget)

    async def undelivered(self, limit: int, before: int) -> Sequence[Dispatch]:
        """See DispatchRepository."""
        query = _READ.where(dispatches.c.created_at <= before).order_by(dispatches.c.id).limit(limit)
        async with self._database.reading() as connection:
            return [_dispatch(row) for row in await connection.execute(query)]

    async def delivered(self, row_id: int) -> None:
        """See DispatchRepository."""
        await self._gathered(row_id)

    async def _forget(self, row_ids: Sequence[int]) -> Sequence[None]:
        parameters = [{"row_id": row_id} for row_id in sorted(row_ids)]

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(_FORGET, parameters)

        await self._database.write(work)
        return [None] * len(row_ids)


async def add_dispatch(
    connection: AsyncConnection, execution_row: int, kind: DispatchKind, payload: bytes, now: int
) -> None:
    """Queue a call."""
    values = {"created_at": now, "execution_id": execution_row, "kind": int(kind), "payload": payload}
    await connection.execute(insert(dispatches), [values])


async def undelivered_of(connection: AsyncConnection, execution_row: int) -> Sequence[Dispatch]:
    """All that the engine has not acknowledged of one execution, oldest first."""
    query = _READ.where(dispatches.c.execution_id == execution_row).order_by(dispatches.c.id)
    return [_dispatch(row) for row in await connection.execute(query)]


def _dispatch(row: Row[*tuple[Any, ...]]) -> Dispatch:
    return Dispatch(
        row.id,
        ExecutionKey(row.project, row.domain, row.name),
        DispatchKind(row.kind),
        bytes(row.payload),
        row.workflow_id,
        row.inputs,
        row.inputs_uri or "",
    )
