"""No listing reads a large table as a whole: what each sends to the database is explained there, with many rows.

ListUsage is not among them: it adds up all that is stored, for people who ask now and then.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elevon_catalog.domain.names import DatasetKey, TagKey
from elevon_catalog.store.tables import artifact_partitions, artifacts, datasets, tags
from elevon_idl.catalog.v1 import catalog_admin_service_pb2, data_catalog_pb2
from elevon_kit.database import Database
from elevon_kit.grpc_local import LocalCalls
from elevon_kit.sqlite_driver import STEP_BUDGET
from google.protobuf import json_format, message_factory
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.integration.catalog.harness import DATASET, SECOND, Catalog, create_dataset, put, serving
from tests.query_plans import tables_scanned, watched, work_of

ROWS = 20_000
MOST_ROWS = 1_500
"""Rows that a page of a hundred may look at in PostgreSQL, those of other tables included."""

LARGE = {"artifacts", "artifact_partitions", "datasets", "external_values", "tags"}
SERVICES = [
    service
    for file in (data_catalog_pb2, catalog_admin_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
]
LISTS = {method.name: method for service in SERVICES for method in service.methods if method.name.startswith("List")}
HERE = {name: getattr(DATASET, name) for name in ("project", "domain", "name", "version")}
Request = Mapping[str, Any]


def filtered(*conditions: Request) -> list[Request]:
    """Pages with a filter, newest and oldest first."""
    pages = [{"limit": 100, "sortOrder": order} for order in ("DESCENDING", "ASCENDING")]
    return [{"filter": {"filters": conditions}, "pagination": page} for page in pages]


def by_dataset(**wanted: str) -> Request:
    """Datasets with a property."""
    return {"dataset_filter": wanted}


ARTIFACTS = [
    *filtered(),
    *filtered({"tag_filter": {"tag_name": "t7"}}),
    *filtered({"artifact_filter": {"artifact_id": "a7"}}),
    *filtered({"partition_filter": {"key_val": {"key": "day", "value": "1"}}}),
]
FORMS: dict[str, list[Request]] = {
    "ListArtifacts": [{"dataset": HERE, **each} for each in ARTIFACTS],
    "ListDatasets": [
        *filtered(),
        *filtered(by_dataset(name="n7")),
        *filtered(by_dataset(project="flytesnacks")),
        *filtered(by_dataset(project="flytesnacks"), by_dataset(domain="development")),
        *filtered(by_dataset(project="flytesnacks"), by_dataset(name="n7"), by_dataset(version="v1")),
        *filtered(by_dataset(project="nobody")),
    ],
}


async def fill(catalog: Catalog, database: Database) -> None:
    """Copies of a dataset and of an entry in it, a second apart."""
    await create_dataset(catalog)
    await put(catalog, "t", "a")
    async with database.reading() as connection:
        dataset = dict((await connection.execute(datasets.select())).mappings().one())
        artifact = dict((await connection.execute(artifacts.select())).mappings().one())
    here = DatasetKey(**HERE)
    copies: dict[Any, list[dict[str, Any]]] = {datasets: [], artifacts: [], tags: [], artifact_partitions: []}
    for number in range(ROWS):
        row, moment = 100 + number, number * SECOND
        key = DatasetKey(here.project, here.domain, f"n{number // 10}", f"v{number % 10}")
        named = {"digest": key.digest, "name": key.name, "version": key.version, "uuid": f"u{number}"}
        copies[datasets].append({**dataset, **named, "id": row, "created_at": moment})
        copies[artifacts].append({**artifact, "id": row, "artifact_id": f"a{number}", "created_at": moment})
        tag = TagKey(here, f"t{number}")
        copies[tags].append(
            {
                "digest": tag.digest,
                "dataset_id": dataset["id"],
                "tag_name": tag.tag_name,
                "artifact_row": row,
                "created_at": moment,
            }
        )
        copies[artifact_partitions].append({"artifact_row": row, "key": "day", "value": str(number % 5)})

    async def work(connection: AsyncConnection) -> None:
        for table, rows in copies.items():
            await connection.execute(insert(table), rows)
        if database.dialect == "postgresql":
            await connection.execute(text("ANALYZE"))

    await database.write(work)


async def ask(catalog: Catalog, name: str, request: Request) -> None:
    method = LISTS[name]
    message = json_format.ParseDict(dict(request), message_factory.GetMessageClass(method.input_type)())
    path = f"/{method.containing_service.full_name}/{name}"
    await LocalCalls(catalog.app.grpc).call(path, message.SerializeToString())


def test_every_listing_is_looked_at() -> None:
    assert {*FORMS, "ListUsage"} == set(LISTS)


async def test_no_page_reads_a_large_table_as_a_whole(database_url: str, tmp_path: Path) -> None:
    most = STEP_BUDGET if database_url.startswith("sqlite") else MOST_ROWS
    found = []
    async with serving(database_url, tmp_path / "blobs") as catalog:
        database = catalog.app.database
        await fill(catalog, database)
        for name, requests in FORMS.items():
            for request in requests:
                with watched(database) as sent:
                    await ask(catalog, name, request)
                assert 1 <= len(sent) <= 3, (name, request, sent)
                for each in sent:
                    work = await work_of(database, each)
                    if tables_scanned(work, LARGE) or work.effort > most:
                        found.append(f"{name} {request}\n{work.effort}\n{each.statement}\n{work.plan}")
    assert not found, f"{len(found)} statements read too much:\n" + "\n\n".join(found)
