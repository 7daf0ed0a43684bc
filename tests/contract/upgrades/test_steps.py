"""Every schema version of every service, on both databases: reached step by step, with early data inside."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from elevon_kit.database import Database, SchemaMismatch
from elevon_kit.migrations import Migrations
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.upgrades.foundation import SERVICES, Foundation, migrations_of, padded, revisions_of, step

Schema = dict[str, tuple[object, ...]]

every_service = pytest.mark.parametrize("service", SERVICES)


@pytest.fixture
def foundation() -> Iterator[Foundation]:
    with tempfile.TemporaryDirectory(prefix="elevon-") as folder:
        yield Foundation(padded(Path(folder)))


async def reading(url: str, work: object) -> object:
    database = Database(url)
    await database.open()
    try:
        async with database.reading() as connection:
            return await connection.run_sync(work)  # type: ignore[arg-type]  # any function of a connection
    finally:
        await database.close()


def schema(connection: Connection) -> Schema:
    """What tables look like, whatever order things were made in."""
    found = inspect(connection)
    return {
        name: (
            sorted((column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(name)),
            sorted((str(index["name"]), tuple(index["column_names"])) for index in found.get_indexes(name)),
            found.get_pk_constraint(name)["constrained_columns"],
        )
        for name in found.get_table_names()
    }


def rows(connection: Connection) -> dict[str, int]:
    """How many rows tables have."""
    names = inspect(connection).get_table_names()
    return {name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one() for name in names}


async def checked(migrations: Migrations, url: str) -> None:
    database = Database(url)
    await database.open()
    try:
        await migrations.check(database)
    finally:
        await database.close()


@every_service
async def test_each_step_by_itself_makes_what_all_at_once_make(service: str, database_url: str, tmp_path: Path) -> None:
    migrations = migrations_of(service)
    line = revisions_of(migrations)
    assert set(line) == set(migrations.revisions())
    at_once = f"sqlite+aiosqlite:///{tmp_path / 'at-once.sqlite'}"
    assert await migrations.upgrade(at_once) == line[-1]
    for revision in line:
        if revision != line[0]:
            with pytest.raises(SchemaMismatch, match="run `elevon migrate`"):
                await checked(migrations, database_url)
        await step(migrations, database_url, revision)
    await checked(migrations, database_url)
    before = await reading(database_url, schema)
    await migrations.upgrade(database_url)
    assert await reading(database_url, schema) == before
    if database_url.startswith("sqlite"):
        assert before == await reading(at_once, schema)


@every_service
async def test_each_step_keeps_what_an_early_version_has_written(
    service: str, database_url: str, foundation: Foundation
) -> None:
    migrations = migrations_of(service)
    await foundation.load(service, database_url)
    before = await reading(database_url, rows)
    assert isinstance(before, dict)
    line = revisions_of(migrations)
    for revision in line[line.index(foundation.revision(service)) + 1 :]:
        await step(migrations, database_url, revision)
        after = await reading(database_url, rows)
        assert isinstance(after, dict)
        assert {name: after[name] for name in before} == before
    await checked(migrations, database_url)


@every_service
async def test_the_schema_of_a_newer_version_is_refused(service: str, database_url: str) -> None:
    migrations = migrations_of(service)
    await migrations.upgrade(database_url)

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))

    database = Database(database_url)
    await database.open()
    try:
        await database.write(work)
        before = await reading(database_url, schema)
        words = (
            f"at revision from-the-future, .*{migrations.head()}.*a newer version .*run that one, or .*`elevon migrate`"
        )
        with pytest.raises(SchemaMismatch, match=words):
            await migrations.upgrade(database_url)
        with pytest.raises(SchemaMismatch, match=words):
            await migrations.check(database)
    finally:
        await database.close()
    assert await reading(database_url, schema) == before
