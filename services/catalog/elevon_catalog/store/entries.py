"""Many entries stored in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from elevon_idl.catalog import v1 as catalog
from elevon_kit.database import Contention, UniqueViolation
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import bindparam, delete, insert, select, update

from elevon_catalog.domain.failures import already_exists
from elevon_catalog.domain.names import DatasetKey
from elevon_catalog.domain.records import DatasetRecord, Generation, NewEntry, StoredEntry
from elevon_catalog.domain.validation import match_partitions
from elevon_catalog.store.artifacts import SqlArtifactStore, insert_details, tag_values
from elevon_catalog.store.repository import chunks, take_over
from elevon_catalog.store.rows import DATASET_COLUMNS, artifact_values, dataset_record, dataset_values, partition_rows
from elevon_catalog.store.tables import artifact_partitions, artifacts, datasets, tags

CREATED = catalog.StoreResult.OUTCOME_CREATED
REPLACED = catalog.StoreResult.OUTCOME_REPLACED
KEPT = catalog.StoreResult.OUTCOME_KEPT

LOCK_DATASETS = (
    select(datasets.c.id, *DATASET_COLUMNS)
    .where(datasets.c.digest.in_(bindparam("digests", expanding=True)))
    .order_by(datasets.c.digest)
    .with_for_update(read=True, key_share=True)
)
LOCK_TAGGED = (
    select(tags.c.digest, artifacts.c.id, artifacts.c.artifact_id, artifacts.c.written_at)
    .join_from(tags, artifacts)
    .where(tags.c.digest.in_(bindparam("digests", expanding=True)))
    .order_by(tags.c.digest)
    .with_for_update()
)
INSERT_ARTIFACTS = insert(artifacts).returning(artifacts.c.id, sort_by_parameter_order=True)


@dataclass(frozen=True, slots=True)
class Existing:
    """The artifact that a tag points to, locked."""

    generation: Generation
    artifact_id: str


class SqlEntryStore(SqlArtifactStore):
    """Implements the batch half of ArtifactStore."""

    async def store_entries(self, entries: Sequence[NewEntry], now: int) -> list[StoredEntry]:
        """See ArtifactStore."""
        # One order for all, so that two servers never wait for each other's rows in a circle.
        ordered = sorted(enumerate(entries), key=lambda item: item[1].tag.digest)

        async def work(connection: AsyncConnection) -> dict[int, StoredEntry]:
            dataset_ids = await self._ensure_datasets(connection, entries)
            existing = await self._lock_tagged(connection, [entry for _, entry in ordered])
            stored: dict[int, StoredEntry] = {}
            fresh: list[tuple[int, NewEntry]] = []
            for index, entry in ordered:
                found = existing.get(entry.tag.digest)
                if found is None:
                    fresh.append((index, entry))
                else:
                    stored[index] = await self._meet(connection, entry, found, now)
            await self._insert_fresh(connection, [entry for _, entry in fresh], dataset_ids, now)
            for index, entry in fresh:
                stored[index] = StoredEntry(CREATED, entry.artifact.artifact_id)
            return stored

        try:
            stored = await self._database.write(work)
        except UniqueViolation:
            raise already_exists("Artifact", "id or dataset UUID of this call") from None
        return [stored[index] for index in range(len(entries))]

    async def _ensure_datasets(self, connection: AsyncConnection, entries: Sequence[NewEntry]) -> dict[DatasetKey, int]:
        """Create the datasets that do not exist, check the partitions against those that do; answers the rows."""
        wanted = {entry.tag.dataset: entry.dataset for entry in entries}
        found = await _lock_datasets(connection, list(wanted))
        absent = sorted((key for key in wanted if key not in found), key=lambda key: key.digest)
        for chunk in chunks(absent):
            rows = [dataset_values(wanted[key]) for key in chunk]
            await connection.execute(
                self._insert(datasets).on_conflict_do_nothing(index_elements=[datasets.c.digest]), rows
            )
        if absent:
            found |= await _lock_datasets(connection, absent)
        for index, entry in enumerate(entries):
            if entry.tag.dataset not in found:
                raise Contention("a dataset was deleted while it was looked at")
            partitions = [catalog.Partition(key=key, value=value) for key, value in entry.artifact.partitions]
            match_partitions(partitions, found[entry.tag.dataset][1].partition_keys, f"entries[{index}]: ")
        return {key: row for key, (row, _) in found.items()}

    async def _lock_tagged(self, connection: AsyncConnection, entries: Sequence[NewEntry]) -> dict[bytes, Existing]:
        found: dict[bytes, Existing] = {}
        for chunk in chunks(entries):
            digests = [entry.tag.digest for entry in chunk]
            for digest, row, artifact_id, written_at in await connection.execute(LOCK_TAGGED, {"digests": digests}):
                found[bytes(digest)] = Existing(Generation(row, written_at), artifact_id)
        return found

    async def _meet(self, connection: AsyncConnection, entry: NewEntry, found: Existing, now: int) -> StoredEntry:
        """Replace or keep what the tag points to; large values that are not needed are left to the sweeper."""
        if not entry.replacement.permits(found.generation):
            return StoredEntry(KEPT, found.artifact_id)
        row = found.generation.row
        written_at = max(now, found.generation.written_at + 1)
        await take_over(connection, entry.artifact.content.locations)
        await self._replace(connection, row, entry.artifact.content, written_at)
        values = artifact_values(0, entry.artifact, written_at)
        await connection.execute(
            update(artifacts)
            .where(artifacts.c.id == row)
            .values(created_at=values["created_at"], partitions=values["partitions"])
        )
        await connection.execute(delete(artifact_partitions).where(artifact_partitions.c.artifact_row == row))
        partitions = partition_rows(row, entry.artifact)
        if partitions:
            await connection.execute(insert(artifact_partitions), partitions)
        return StoredEntry(REPLACED, found.artifact_id)

    async def _insert_fresh(
        self, connection: AsyncConnection, entries: Sequence[NewEntry], dataset_ids: dict[DatasetKey, int], now: int
    ) -> None:
        for chunk in chunks(entries):
            await take_over(connection, [place for entry in chunk for place in entry.artifact.content.locations])
            values = [artifact_values(dataset_ids[entry.tag.dataset], entry.artifact, now) for entry in chunk]
            rows = list(await connection.scalars(INSERT_ARTIFACTS, values))
            await insert_details(connection, {row: entry.artifact for row, entry in zip(rows, chunk, strict=True)})
            tag_rows = [
                tag_values(entry.tag, dataset_ids[entry.tag.dataset], row, now)
                for row, entry in zip(rows, chunk, strict=True)
            ]
            added = await connection.execute(
                self._insert(tags).on_conflict_do_nothing().returning(tags.c.digest), tag_rows
            )
            if len(added.all()) != len(chunk):
                raise Contention("a tag was added while it was looked at")


async def _lock_datasets(
    connection: AsyncConnection, keys: Sequence[DatasetKey]
) -> dict[DatasetKey, tuple[int, DatasetRecord]]:
    found: dict[DatasetKey, tuple[int, DatasetRecord]] = {}
    for chunk in chunks(keys):
        for row in await connection.execute(LOCK_DATASETS, {"digests": [key.digest for key in chunk]}):
            record = dataset_record(row[1:])
            found[record.key] = (row[0], record)
    return found
