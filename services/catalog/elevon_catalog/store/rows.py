"""Rows turned into records and back."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Select, select

from elevon_catalog.domain.names import DatasetKey
from elevon_catalog.domain.records import ArtifactRecord, Content, DatasetRecord, ExternalValue, NewArtifact
from elevon_catalog.store.repository import chunks
from elevon_catalog.store.tables import artifacts, datasets, external_values

DATASET_COLUMNS = (
    datasets.c.project,
    datasets.c.domain,
    datasets.c.name,
    datasets.c.version,
    datasets.c.uuid,
    datasets.c.metadata,
    datasets.c.partition_keys,
    datasets.c.created_at,
)
ARTIFACT_COLUMNS = (
    artifacts.c.id,
    artifacts.c.artifact_id,
    artifacts.c.document,
    artifacts.c.partitions,
    artifacts.c.external_count,
    artifacts.c.size,
    artifacts.c.created_at,
    artifacts.c.written_at,
)
ARTIFACTS: Select[Any] = select(*ARTIFACT_COLUMNS, *DATASET_COLUMNS).join_from(artifacts, datasets)


def dataset_values(dataset: DatasetRecord) -> dict[str, Any]:
    """The row of a dataset."""
    key = dataset.key
    return {
        "digest": key.digest,
        "project": key.project,
        "domain": key.domain,
        "name": key.name,
        "version": key.version,
        "uuid": dataset.uuid,
        "metadata": dataset.metadata,
        "partition_keys": json.dumps(dataset.partition_keys) if dataset.partition_keys else None,
        "created_at": dataset.created_at,
    }


def dataset_record(row: Sequence[Any]) -> DatasetRecord:
    """The record of a row of DATASET_COLUMNS."""
    project, domain, name, version, uuid, metadata, partition_keys, created_at = row
    return DatasetRecord(
        key=DatasetKey(project, domain, name, version),
        uuid=uuid,
        metadata=metadata,
        partition_keys=tuple(json.loads(partition_keys)) if partition_keys else (),
        created_at=created_at,
    )


def artifact_values(dataset_id: int, artifact: NewArtifact, now: int) -> dict[str, Any]:
    """The row of a new artifact."""
    return {
        "dataset_id": dataset_id,
        "artifact_id": artifact.artifact_id,
        "created_at": now,
        "partitions": json.dumps(artifact.partitions) if artifact.partitions else None,
        **content_values(artifact.content, now),
    }


def content_values(content: Content, now: int) -> dict[str, Any]:
    """Those columns of an artifact that an update replaces."""
    return {
        "document": content.document,
        "external_count": len(content.external),
        "size": content.size,
        "written_at": now,
    }


def external_rows(row: int, content: Content) -> list[dict[str, Any]]:
    """The rows of the large values of an artifact."""
    return [
        {"artifact_row": row, "position": position, "name": value.name, "location": value.location, "size": value.size}
        for position, value in enumerate(content.external)
    ]


def place_rows(row: int, content: Content) -> list[dict[str, Any]]:
    """The rows of the places that an artifact points at."""
    return [{"artifact_row": row, "place": place} for place in sorted(content.places)]


def partition_rows(row: int, artifact: NewArtifact) -> list[dict[str, Any]]:
    """The rows of the partitions of an artifact."""
    return [{"artifact_row": row, "key": key, "value": value} for key, value in artifact.partitions]


async def artifact_records(connection: AsyncConnection, rows: Sequence[Sequence[Any]]) -> list[ArtifactRecord]:
    """The records of rows of ARTIFACTS, more columns may follow; reads where large values are when there are any."""
    with_external = [row[0] for row in rows if row[4]]
    external = await _external(connection, with_external) if with_external else {}
    return [_artifact_record(row, external.get(row[0], ())) for row in rows]


def _artifact_record(row: Sequence[Any], external: Sequence[ExternalValue]) -> ArtifactRecord:
    number, artifact_id, document, partitions, _, size, created_at, written_at = row[:8]
    return ArtifactRecord(
        row=number,
        dataset=dataset_record(row[8:16]),
        artifact_id=artifact_id,
        content=Content(document, tuple(external), size),
        partitions=tuple((key, value) for key, value in json.loads(partitions)) if partitions else (),
        created_at=created_at,
        written_at=written_at,
    )


async def _external(connection: AsyncConnection, rows: Sequence[int]) -> dict[int, list[ExternalValue]]:
    found: dict[int, list[ExternalValue]] = defaultdict(list)
    columns = external_values.c
    statement = select(columns.artifact_row, columns.name, columns.location, columns.size)
    for chunk in chunks(rows):
        answer = await connection.execute(
            statement.where(columns.artifact_row.in_(chunk)).order_by(columns.artifact_row, columns.position)
        )
        for row, name, location, size in answer:
            found[row].append(ExternalValue(name, location, size))
    return found
