"""Fill admin's database with executions, nodes and versions, faster than through its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from elevon_kit.database_engines import parse_url, writing_engine
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

SECOND = 1_000_000_000
"""Nanoseconds."""

RARE = 10_000
"""One execution of so many has the tag `rare`."""


async def copy_executions(url: str, count: int) -> None:
    """Copy the executions of a database in turn until there are `count` more, a second apart, each with its own name.

    They belong to fifty users, one of a hundred failed, one of a thousand runs; every third has a tag `nightly`, few
    have a tag `rare`, every tenth a label `team`.
    """
    async with _filling(url, "executions", "execution_tags") as connection:
        await _copy(connection, "executions", count, _execution_values())
        await _tag(connection, "nightly", "''", "e.id % 3 = 0")
        await _tag(connection, "rare", "''", f"e.id % {RARE} = 3")
        await _tag(connection, "team", "'t' || (e.id % 7)", "e.id % 10 = 1")


async def copy_nodes(url: str, executions: int, nodes: int, *, attempts: bool = True) -> None:
    """Give `executions` of the copied executions `nodes` node executions each, with a task attempt if wanted."""
    first = "(SELECT min(id) FROM executions WHERE name LIKE 'copy%')"
    values = {
        "execution_id": f"{first} + n.i / {nodes}",
        "node_id": f"'n' || (n.i % {nodes})",
        "created_at": f"e.created_at + n.i % {nodes}",
    }
    for table in ("node_executions", "task_executions") if attempts else ("node_executions",):
        async with _filling(url, table) as connection:
            await _copy(connection, table, executions * nodes, values)


async def copy_registry(url: str, count: int) -> None:
    """Copy tasks, workflows, launch plans and descriptions until there are `count` more of each, ten of each name.

    None of the launch plans is active.
    """
    name = {"name": "'name' || (n.i / 10)", "created_at": f"e.created_at - n.i * {SECOND}"}
    values = {**name, "version": "'version' || (n.i % 10)"}
    for table in ("tasks", "workflows", "description_entities"):
        async with _filling(url, table) as connection:
            await _copy(connection, table, count, values)
    async with _filling(url, "launch_plans") as connection:
        workflow = "(SELECT min(id) FROM workflows WHERE name LIKE 'name%') + n.i"
        await _copy(connection, "launch_plans", count, {**values, "state": "0", "workflow_id": workflow})
    async with _filling(url, "named_entities") as connection:
        await _copy(connection, "named_entities", count // 10, {"name": "'name' || n.i"})


@asynccontextmanager
async def _filling(url: str, *tables: str) -> AsyncIterator[AsyncConnection]:
    """A transaction that writes many rows, without the indexes meanwhile: making them again is faster."""
    engine = writing_engine(parse_url(url), patient=True)
    async with engine.begin() as connection:
        indexes = await _drop_indexes(connection, *tables)
        yield connection
        for definition in indexes:
            await connection.execute(text(definition))
    if engine.dialect.name == "postgresql":
        # What its daemon does in time: learn what is in the tables, and note which pages all may see.
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            for table in tables:
                await connection.execute(text(f"VACUUM (ANALYZE) {table}"))
    await engine.dispose()


def _execution_values() -> Mapping[str, str]:
    moment = f"n.i * {SECOND}"
    return {
        "name": "'copy' || n.i",
        "user": "'user' || (n.i % 50)",
        "phase": "CASE WHEN n.i % 1000 = 0 THEN 2 WHEN n.i % 100 = 1 THEN 6 ELSE 4 END",
        "error_kind": "CASE WHEN n.i % 1000 = 1 THEN 'SYSTEM' WHEN n.i % 100 = 1 THEN 'USER' END",
        **{
            name: f"e.{name} - {moment}"
            for name in ("created_at", "updated_at", "execution_created_at", "execution_updated_at", "started_at")
        },
    }


async def _copy(connection: AsyncConnection, table: str, count: int, values: Mapping[str, str]) -> None:
    columns = [name for name in await _columns(connection, table) if name != "id"]
    names = ", ".join(f'"{name}"' for name in columns)
    selected = ", ".join(values.get(name, f'e."{name}"') for name in columns)
    numbers = f"SELECT i FROM generate_series(CAST(0 AS bigint), {count - 1}) AS series(i)"
    if connection.dialect.name == "sqlite":
        numbers = (
            f"WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < {count - 1}) SELECT i FROM r"
        )
    templates = f"SELECT *, row_number() OVER (ORDER BY id) - 1 AS turn, count(*) OVER () AS turns FROM {table}"
    source = f"({numbers}) n JOIN ({templates}) e ON e.turn = n.i % e.turns"
    await connection.execute(text(f"INSERT INTO {table} ({names}) SELECT {selected} FROM {source}"))


async def _tag(connection: AsyncConnection, key: str, value: str, condition: str) -> None:
    names = "execution_id, key, value, project, domain, created_at"
    selected = f"e.id, '{key}', {value}, e.project, e.domain, e.created_at"
    where = f"e.name LIKE 'copy%' AND {condition}"
    await connection.execute(
        text(f"INSERT INTO execution_tags ({names}) SELECT {selected} FROM executions e WHERE {where}")
    )


async def _columns(connection: AsyncConnection, table: str) -> list[str]:
    query = f"SELECT name FROM pragma_table_info('{table}')"
    if connection.dialect.name == "postgresql":
        query = f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'"
    return list((await connection.execute(text(query))).scalars())


async def _drop_indexes(connection: AsyncConnection, *tables: str) -> list[str]:
    """Drop the indexes that are made by name, and answer how to make them again."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = :table"
    if connection.dialect.name == "postgresql":
        query = "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix%' AND tablename = :table"
    definitions = []
    for table in tables:
        for name, definition in (await connection.execute(text(query), {"table": table})).all():
            await connection.execute(text(f"DROP INDEX {name}"))
            definitions.append(definition)
    return definitions
