"""Fill admin's database with executions and nodes, faster than by launching them."""

from __future__ import annotations

from collections.abc import Mapping

from elevon_kit.database_engines import parse_url, writing_engine
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

SECOND = 1_000_000_000
"""Nanoseconds."""

RARE = 10_000
"""One execution of so many has the tag `rare`."""


async def copy_executions(url: str, count: int) -> None:
    """Copy the executions of a database in turn until there are `count` more, a second apart, each with its own name.

    They belong to fifty users, one of a hundred failed, one of a thousand runs; half of them have a tag `nightly`, few
    a tag `rare`, every tenth a label `team`.
    """
    async with writing_engine(parse_url(url), patient=True).begin() as connection:
        indexes = await _drop_indexes(connection, "executions", "execution_tags")
        await _copy(connection, "executions", count, _execution_values(connection.dialect.name))
        await _tag(connection, "nightly", "''", "e.id % 2 = 0")
        await _tag(connection, "rare", "''", f"e.id % {RARE} = 3")
        await _tag(connection, "team", "'t' || (e.id % 7)", "e.id % 10 = 1")
        for definition in indexes:
            await connection.execute(text(definition))
    await _analyze(url)


async def copy_nodes(url: str, executions: int, nodes: int) -> None:
    """Give `executions` of the copied executions `nodes` node executions each, copies of the first there is."""
    values = {
        "execution_id": "(SELECT min(id) FROM executions WHERE name LIKE 'copy%') + n.i / " + str(nodes),
        "node_id": f"'n' || (n.i % {nodes})",
        "created_at": f"e.created_at + n.i % {nodes}",
        "parent_node_id": "NULL",
        "parent_task": "NULL",
    }
    async with writing_engine(parse_url(url), patient=True).begin() as connection:
        indexes = await _drop_indexes(connection, "node_executions")
        await _copy(connection, "node_executions", executions * nodes, values)
        for definition in indexes:
            await connection.execute(text(definition))
    await _analyze(url)


def _execution_values(dialect: str) -> Mapping[str, str]:
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
    """Drop the indexes that are made by name, and answer how to make them again: that is faster than keeping them."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = :table"
    if connection.dialect.name == "postgresql":
        query = "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix%' AND tablename = :table"
    definitions = []
    for table in tables:
        for name, definition in (await connection.execute(text(query), {"table": table})).all():
            await connection.execute(text(f"DROP INDEX {name}"))
            definitions.append(definition)
    return definitions


async def _analyze(url: str) -> None:
    """Let PostgreSQL know what is in the tables and what all may see, as its daemon does in time."""
    engine = writing_engine(parse_url(url), patient=True)
    if engine.dialect.name == "postgresql":
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            for table in ("executions", "execution_tags", "node_executions"):
                await connection.execute(text(f"VACUUM (ANALYZE) {table}"))
    await engine.dispose()
