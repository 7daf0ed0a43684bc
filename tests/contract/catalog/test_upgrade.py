"""What artifacts point at is known of those that were stored before it was written down."""

from __future__ import annotations

import shutil
from pathlib import Path

from elevon_catalog.app import MIGRATIONS
from elevon_catalog.store.tables import artifacts, datasets
from elevon_core import naming
from elevon_idl.catalog import v1 as catalog
from elevon_idl.core import v1 as core
from elevon_kit.database import Database
from elevon_kit.migrations import Migrations
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

MADE = naming.attempt_name("p", "d", "maker", "n0", 0)
URI = f"file:///raw/{naming.raw_output_shard(MADE)}/{MADE}/x"


async def test_what_artifacts_point_at_is_found(database_url: str, tmp_path: Path) -> None:
    before = Migrations(MIGRATIONS.package)
    shutil.copy(before.versions / "0001_catalog.py", tmp_path)
    before.versions = tmp_path
    await before.upgrade(database_url)
    database = Database(database_url)
    await database.open()
    try:
        await database.write(_before)
        await MIGRATIONS.upgrade(database_url)
        async with database.reading() as connection:
            query = "SELECT artifact_id, place FROM artifact_places JOIN artifacts ON artifacts.id = artifact_row"
            found = {(row[0], row[1]) for row in await connection.execute(text(query))}
    finally:
        await database.close()
    assert found == {("pointing", MADE), ("pointing", "p/d/maker")}


async def _before(connection: AsyncConnection) -> None:
    dataset = {"id": 1, "digest": b"", "project": "p", "domain": "d", "name": "n", "version": "v", "uuid": "u"}
    await connection.execute(insert(datasets).values({**dataset, "metadata": b"", "created_at": 1}))
    facts = {"exec-project": "p", "exec-domain": "d", "execution-name": "maker"}
    pointing = catalog.Artifact(metadata=catalog.Metadata(key_map=facts))
    pointing.data.add(name="o0", value=core.Literal(scalar=core.Scalar(blob=core.Blob(uri=URI))))
    for name, document in (("pointing", pointing), ("plain", catalog.Artifact())):
        columns = {"dataset_id": 1, "artifact_id": name, "document": document.SerializeToString()}
        numbers = dict.fromkeys(("external_count", "size", "created_at", "written_at"), 0)
        await connection.execute(insert(artifacts).values({**columns, **numbers}))
