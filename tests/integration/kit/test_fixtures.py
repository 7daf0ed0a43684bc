"""The shared fixtures give what they promise."""

from __future__ import annotations

from collections.abc import Callable

from elevon_kit.database import Database
from sqlalchemy import text


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


def test_a_bucket_is_made_on_loopback(s3_endpoint: str, s3_bucket: str) -> None:
    assert s3_endpoint.startswith("http://127.0.0.1:")
    assert s3_bucket
