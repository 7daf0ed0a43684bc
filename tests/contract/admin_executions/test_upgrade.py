"""What executions refer to is known of those that ran before it was written down."""

from __future__ import annotations

from pathlib import Path

from elevon_admin.app import MIGRATIONS
from elevon_admin.store.execution_tables import executions, node_executions, signals
from elevon_core import naming, places
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.database import Database
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.contract.admin_executions.rows import filled
from tests.contract.admin_schedules.test_upgrade import earlier

MADE = naming.attempt_name("p", "d", "maker", "n0", 0)
URI = f"file:///raw/{naming.raw_output_shard(MADE)}/{MADE}/x"


async def test_what_executions_refer_to_is_found(database_url: str, tmp_path: Path) -> None:
    await earlier(tmp_path, "0010").upgrade(database_url)
    database = Database(database_url)
    await database.open()
    try:
        await database.write(_before)
        await MIGRATIONS.upgrade(database_url)
        async with database.reading() as connection:
            query = "SELECT name, place FROM data_references JOIN executions ON executions.id = execution_id"
            found = {(row[0], row[1]) for row in await connection.execute(text(query))}
    finally:
        await database.close()
    original = places.kept("p", "d", "maker")
    assert found == {("given", MADE), ("hit", MADE), ("told", MADE), ("again", original), ("large", original)}


async def _before(connection: AsyncConnection) -> None:
    value = core.Literal(scalar=core.Scalar(blob=core.Blob(uri=URI)))
    values = core.LiteralMap(literals={"o0": value}).SerializeToString()
    recovered = admin.ExecutionSpec()
    recovered.metadata.mode = admin.ExecutionMetadata.RECOVERED
    recovered.metadata.reference_execution.project = "p"
    recovered.metadata.reference_execution.domain = "d"
    recovered.metadata.reference_execution.name = "maker"
    rows: dict[str, dict[str, object]] = {"maker": {}, "given": {"inputs": values}}
    rows |= {"again": {"spec": recovered.SerializeToString()}}
    rows |= {"hit": {}, "told": {}, "large": {"inputs_uri": "file:///d/metadata/p/d/maker/inputs/1.pb"}}
    for number, (name, given) in enumerate(rows.items(), 1):
        key = {"id": number, "project": "p", "domain": "d", "name": name}
        await connection.execute(insert(executions).values({**filled(executions), **key, **given}))
    for owner, node in ((1, "n0"), (4, "n0")):
        node_row = {"execution_id": owner, "node_id": node, "outputs": values}
        await connection.execute(insert(node_executions).values({**filled(node_executions), **node_row}))
    signal = {"execution_id": 5, "value": value.SerializeToString()}
    await connection.execute(insert(signals).values({**filled(signals), **signal}))


async def test_tags_learn_where_and_when_their_executions_were_created(database_url: str, tmp_path: Path) -> None:
    await earlier(tmp_path, "0008").upgrade(database_url)
    database = Database(database_url)
    await database.open()
    try:
        await database.write(_tagged)
        await MIGRATIONS.upgrade(database_url)
        async with database.reading() as connection:
            query = "SELECT execution_id, key, value, project, domain, created_at FROM execution_tags ORDER BY key"
            found = [tuple(row) for row in await connection.execute(text(query))]
    finally:
        await database.close()
    assert found == [(7, "nightly", "", "p", "d", 700), (7, "team", "x", "p", "d", 700)]


async def _tagged(connection: AsyncConnection) -> None:
    values = {**filled(executions), "id": 7, "project": "p", "domain": "d", "name": "n", "created_at": 700}
    await connection.execute(insert(executions).values(values))
    for key, value in (("team", "x"), ("nightly", "")):
        tag = text("INSERT INTO execution_tags (execution_id, key, value) VALUES (7, :key, :value)")
        await connection.execute(tag, {"key": key, "value": value})
