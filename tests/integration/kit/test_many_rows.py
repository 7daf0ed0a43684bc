"""Statements for many rows, past SQLAlchemy's handling of parameters, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from elevon_kit.database import Database, UniqueViolation
from elevon_kit.many_rows import ManyRows
from elevon_kit.upserts import insert_into
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

METADATA = MetaData()
PARCELS = Table(
    "parcels",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("label", String, nullable=True),
    Column("content", LargeBinary, nullable=False),
)
FLAGS = Table("flags", METADATA, Column("id", BigInteger, primary_key=True), Column("raised", Boolean))
ROWS = [
    {"id": number, "label": None if number % 2 else f"é{number}", "content": bytes([number])} for number in range(5)
]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    await database.write(lambda connection: connection.run_sync(METADATA.create_all))
    yield database
    await database.close()


async def run(database: Database, statement: ManyRows, rows: Sequence[dict[str, Any]]) -> None:
    async def work(connection: AsyncConnection) -> None:
        await statement.execute(connection, rows)

    await database.write(work)


async def found(database: Database) -> list[dict[str, Any]]:
    async with database.reading() as connection:
        rows = await connection.execute(select(PARCELS).order_by(PARCELS.c.id))
        return [{**row._mapping, "content": bytes(row.content)} for row in rows]


async def test_rows_are_added_changed_and_deleted(database: Database) -> None:
    await run(database, ManyRows(insert(PARCELS)), ROWS)
    assert await found(database) == ROWS
    where = PARCELS.c.id == bindparam("row_id")
    change = ManyRows(update(PARCELS).where(where).values(label=bindparam("new_label")), "new_")
    await run(database, change, [{"row_id": 1, "label": "one"}, {"label": None, "row_id": 2}])
    assert [row["label"] for row in await found(database)] == ["é0", "one", None, None, "é4"]
    drop = ManyRows(delete(PARCELS).where(PARCELS.c.id == bindparam("row_id")))
    await run(database, drop, [{"row_id": 0}, {"row_id": 4}])
    assert [row["id"] for row in await found(database)] == [1, 2, 3]


async def test_rows_that_are_there_are_overwritten_by_an_upsert(database: Database) -> None:
    statement = insert_into(PARCELS, database.dialect)
    changed = {"label": statement.excluded.label, "content": statement.excluded.content}
    upsert = ManyRows(statement.on_conflict_do_update(index_elements=["id"], set_=changed))
    await run(database, upsert, ROWS)
    await run(database, upsert, [{"id": 3, "label": "new", "content": b"x"}, {"id": 9, "label": "", "content": b""}])
    rows = {row["id"]: row["label"] for row in await found(database)}
    assert rows == {0: "é0", 1: None, 2: "é2", 3: "new", 4: "é4", 9: ""}


async def test_a_failing_row_undoes_them_all(database: Database) -> None:
    add = ManyRows(insert(PARCELS))
    await run(database, add, ROWS[:1])
    with pytest.raises(UniqueViolation):
        await run(database, add, [ROWS[1], ROWS[0]])
    assert await found(database) == ROWS[:1]


async def test_values_that_need_a_conversion_are_refused(database: Database) -> None:
    with pytest.raises(TypeError, match="raised"):
        await run(database, ManyRows(insert(FLAGS)), [{"id": 1, "raised": True}])
