"""Launch plans that were active before there were schedules are scheduled once the database is migrated."""

from __future__ import annotations

import shutil
from pathlib import Path

from elevon_admin.app import MIGRATIONS
from elevon_kit.database import Database
from elevon_kit.migrations import Migrations
from sqlalchemy import column as named
from sqlalchemy import insert, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

SHARED = {
    "project": "p",
    "domain": "d",
    "version": "v",
    "created_at": 1,
    "request_digest": b"",
    "digest": b"",
    "closure": b"",
}
PLANS = [("active", 1, "RATE"), ("idle", 0, "RATE"), ("unscheduled", 1, "NONE")]


async def test_active_plans_get_a_schedule(database_url: str, tmp_path: Path) -> None:
    await earlier(tmp_path, "0005").upgrade(database_url)
    database = Database(database_url)
    await database.open()
    try:
        await database.write(_register)
        await MIGRATIONS.upgrade(database_url)
        async with database.reading() as connection:
            query = "SELECT name, activated_at, ended_at, decided_until, due_at FROM schedules, launch_plans AS plan"
            found = (await connection.execute(text(f"{query} WHERE launch_plan_id = plan.id"))).all()
    finally:
        await database.close()
    ((name, activated_at, ended_at, decided_until, due_at),) = found
    assert (name, activated_at, ended_at) == ("active", 100, None)
    assert decided_until == due_at
    assert decided_until > 10**18


def earlier(folder: Path, before: str) -> Migrations:
    """The migrations as they were before the one of this number."""
    migrations = Migrations(MIGRATIONS.package)
    for script in migrations.versions.glob("*.py"):
        if script.name < before:
            shutil.copy(script, folder)
    migrations.versions = folder
    return migrations


async def _register(connection: AsyncConnection) -> None:
    workflow = {**SHARED, "name": "w", "updated_at": 1, "short_description": "", "typed_interface": b""}
    await connection.execute(insert(table("workflows", *map(named, workflow))), [workflow])
    row = (await connection.execute(text("SELECT id FROM workflows"))).scalar_one()
    for name, state, schedule_type in PLANS:
        plan = {**SHARED, "name": name, "updated_at": 100, "state": state, "schedule_type": schedule_type}
        plan |= {"workflow_id": row, "spec": b""}
        await connection.execute(insert(table("launch_plans", *map(named, plan))), [plan])
