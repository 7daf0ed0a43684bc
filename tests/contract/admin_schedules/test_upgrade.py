"""Launch plans that were active before there were schedules are scheduled once the database is migrated."""

from __future__ import annotations

from elevon_admin.app import MIGRATIONS
from elevon_admin.domain.entities import EntityKey
from elevon_admin.store.launch_plans import SqlLaunchPlans
from elevon_admin.store.schedules import SqlSchedules
from elevon_kit.database import Database
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.contract.admin_schedules.plans import add_plan, cron, rate

LATER = 2**62
MADE_LATER = ("schedule_ticks", "schedules", "deliveries", "delivery_receivers")


async def test_active_plans_get_a_schedule(database_url: str) -> None:
    await MIGRATIONS.upgrade(database_url)
    database = Database(database_url)
    await database.open()
    try:
        plans = SqlLaunchPlans(database)
        specs = {"active": rate(5), "idle": rate(5), "unscheduled": cron("")}
        for name, spec in specs.items():
            await add_plan(database, EntityKey("p", "d", name, "v"), spec)
            if name != "idle":
                await plans.activate(EntityKey("p", "d", name, "v"), 100)
        await database.write(_before_schedules)
        await MIGRATIONS.upgrade(database_url)
        (found,) = await SqlSchedules(database).due(LATER, 10)
    finally:
        await database.close()
    assert (found.key.name, found.activated_at, found.ended_at) == ("active", 100, None)
    assert found.decided_until == found.due_at
    assert found.decided_until > 10**18


async def _before_schedules(connection: AsyncConnection) -> None:
    """Take the database back to the schema before schedules."""
    for table in MADE_LATER:
        await connection.execute(text(f"DROP TABLE {table}"))
    await connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
