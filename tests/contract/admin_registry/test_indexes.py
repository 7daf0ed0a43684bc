"""Lists that clients ask for every few seconds read rows in the order of an index, and sort nothing."""

from __future__ import annotations

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_admin.domain.entities import EntityScope
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store import launch_plans, tasks, workflows
from elevon_admin.store.listing import Columns, apply_listing
from elevon_admin.store.registry_tables import launch_plans as launch_plan_table
from elevon_admin.store.registry_tables import tasks as task_table
from elevon_admin.store.registry_tables import workflows as workflow_table
from elevon_admin.store.versioned import in_scope
from elevon_kit.database import Database
from sqlalchemy import Table, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

pytestmark = pytest.mark.schema(MIGRATIONS)

LISTS = [
    (task_table, tasks.COLUMNS),
    (workflow_table, workflows.COLUMNS),
    (launch_plan_table, launch_plans.COLUMNS),
]
SCOPES = [EntityScope("p", "d"), EntityScope("p", "d", "n")]
ORDERS = [None, Sort("created_at", ascending=True), Sort("created_at"), Sort("name")]


async def plan_of(
    connection: AsyncConnection, table: Table, columns: Columns, scope: EntityScope, order: Sort | None
) -> str:
    query = apply_listing(
        select(table.c.id, table.c.digest).where(in_scope(table, scope)), columns, (), order, Page(100)
    )
    compiled = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    rows = await connection.execute(text(explain + compiled))
    return "\n".join(str(row[-1]) for row in rows)


@pytest.mark.parametrize("order", ORDERS)
async def test_a_page_is_read_from_an_index(database_url: str, order: Sort | None) -> None:
    await MIGRATIONS.upgrade(database_url)
    database = Database(database_url)
    await database.open()
    try:
        async with database.reading() as connection:
            if database.dialect == "postgresql":
                # Tables this small would be scanned and sorted whatever the indexes.
                for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan", "enable_incremental_sort"):
                    await connection.execute(text(f"SET LOCAL {setting} = off"))
            for table, columns in LISTS:
                for scope in SCOPES:
                    plan = await plan_of(connection, table, columns, scope, order)
                    assert "ix_" in plan, plan
                    assert "Sort" not in plan, plan
                    assert "TEMP B-TREE" not in plan, plan
    finally:
        await database.close()
