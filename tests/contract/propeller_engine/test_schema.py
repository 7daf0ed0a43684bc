"""The migrations make the schema that the statements are written for."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from elevon_propeller.app import MIGRATIONS
from elevon_propeller.store.tables import metadata
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    found: list[object] = compare_metadata(context, metadata)
    return found


async def test_the_schema_is_that_of_the_tables(database_url: str) -> None:
    await MIGRATIONS.upgrade(database_url)
    engine = create_async_engine(database_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
