"""The migrations make exactly the tables that the code works with, on each database."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from elevon_admin.app import MIGRATIONS
from elevon_admin.store import registry_tables
from elevon_admin.store.schema import metadata
from elevon_kit.database import Database
from sqlalchemy import Connection, inspect


def differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    return [difference for difference in found if not _is_bookkeeping(difference)]


def _is_bookkeeping(difference: object) -> bool:
    return "alembic_version" in repr(difference)


async def test_a_migrated_database_has_the_tables_of_the_code(database_url: str) -> None:
    await MIGRATIONS.upgrade(database_url)
    database = Database(database_url)
    await database.open()
    try:
        async with database.reading() as connection:
            assert await connection.run_sync(differences) == []
            names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
            indexes = await connection.run_sync(lambda sync: inspect(sync).get_indexes("launch_plans"))
    finally:
        await database.close()

    assert registry_tables.launch_plans.name in names
    [unique] = [index for index in indexes if index["unique"] and index["name"] == "uq_launch_plans_active"]
    assert unique["column_names"] == ["project", "domain", "name"]
