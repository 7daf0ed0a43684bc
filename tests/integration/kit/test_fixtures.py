"""The shared fixtures give what they promise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from elevon_catalog.app import MIGRATIONS
from elevon_kit.database import Database
from sqlalchemy import inspect, text


async def test_a_database_url_leads_to_an_empty_database(database_url: str) -> None:
    database = Database(database_url)
    await database.open()
    try:
        await database.ping()
        await database.write(lambda connection: connection.execute(text("CREATE TABLE fresh (id INTEGER)")))
    finally:
        await database.close()


def test_every_postgres_database_is_another_one(fresh_postgres_database: Callable[[], str]) -> None:
    assert fresh_postgres_database() != fresh_postgres_database()


@pytest.mark.schema(MIGRATIONS)
@pytest.mark.parametrize("turn", ["first", "second"])
async def test_a_database_has_the_schema_asked_for_and_is_another_one(database_url: str, turn: str) -> None:
    database = Database(database_url)
    await database.open()
    try:
        await MIGRATIONS.check(database)
        await database.write(lambda connection: connection.execute(text(f"CREATE TABLE {turn} (id INTEGER)")))
        async with database.reading() as connection:
            names = await connection.run_sync(lambda connection: inspect(connection).get_table_names())
    finally:
        await database.close()
    assert set(names) & {"datasets", "first", "second"} == {"datasets", turn}


def test_a_bucket_is_made_on_loopback(s3_endpoint: str, s3_bucket: str) -> None:
    assert s3_endpoint.startswith("http://127.0.0.1:")
    assert s3_bucket
