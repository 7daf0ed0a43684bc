"""Which executions refer to the data of others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from elevon_core.portions import portions
from elevon_kit.database import Database
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import select, text

from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.retention import Referring, Remains
from elevon_admin.store.execution_tables import ENDED, data_references, executions
from elevon_admin.store.versioned import insert_missing

PLACES_AT_ONCE = 500
_COLUMNS = executions.c
_REFERRING = (
    select(_COLUMNS.id, _COLUMNS.project, _COLUMNS.domain, _COLUMNS.name, _COLUMNS.created_at, text(f"({ENDED}) AS e"))
    .distinct()
    .join_from(data_references, executions)
)


async def add_references(connection: AsyncConnection, dialect: str, found: Iterable[tuple[int, str]]) -> None:
    """Write down that executions, by row, refer to places; what is known already is left."""
    rows = [{"execution_id": row, "place": place} for row, place in sorted(set(found))]
    if rows:
        await connection.execute(insert_missing(dialect, data_references), rows)


async def still_there(connection: AsyncConnection, rows: Sequence[int]) -> set[int]:
    """Those executions whose data is not gone or about to go, and cannot be until the transaction has ended."""
    query = select(_COLUMNS.id).where(
        _COLUMNS.id.in_(rows), _COLUMNS.doomed_at.is_(None), _COLUMNS.data_deleted_at.is_(None)
    )
    return set(await connection.scalars(query.order_by(_COLUMNS.id).with_for_update()))


async def referring(connection: AsyncConnection, remains: Remains) -> list[Referring]:
    """Other executions with a value that points at the data of one."""
    found: dict[int, Referring] = {}
    for some in portions(remains.places(), PLACES_AT_ONCE):
        query = _REFERRING.where(data_references.c.place.in_(some), _COLUMNS.id != remains.row_id)
        for row in await connection.execute(query):
            key = ExecutionKey(row.project, row.domain, row.name)
            found[row.id] = Referring(row.id, key, row.created_at, bool(row.e))
    return list(found.values())


class SqlReferences:
    """The reading half of what retention knows of references."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def referring(self, remains: Remains) -> Sequence[Referring]:
        """See RetentionRepository."""
        async with self._database.snapshot() as connection:
            return await referring(connection, remains)
