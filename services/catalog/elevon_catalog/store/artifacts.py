"""The artifacts and their tags in the database: find, list, create, update, tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elevon_kit.database import Database, UniqueViolation
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Select, bindparam, delete, exists, insert, select, update

from elevon_catalog.domain.failures import already_exists, missing_artifact, missing_dataset
from elevon_catalog.domain.filters import ArtifactFilters, Page
from elevon_catalog.domain.names import ArtifactKey, DatasetKey, Handle, TagKey
from elevon_catalog.domain.records import ArtifactRecord, Content, Generation, NewArtifact
from elevon_catalog.store.grouped_reads import GroupedReads
from elevon_catalog.store.repository import Repository, chunks, take_over
from elevon_catalog.store.rows import (
    ARTIFACTS,
    artifact_records,
    artifact_values,
    content_values,
    external_rows,
    partition_rows,
    place_rows,
)
from elevon_catalog.store.tables import artifact_partitions, artifact_places, artifacts, datasets, external_values, tags

BY_TAG = (
    ARTIFACTS.add_columns(tags.c.digest)
    .join(tags, tags.c.artifact_row == artifacts.c.id)
    .where(tags.c.digest.in_(bindparam("digests", expanding=True)))
)
BY_ID = ARTIFACTS.where(datasets.c.digest == bindparam("dataset"), artifacts.c.artifact_id == bindparam("artifact_id"))
NEWEST_BY_ID = (
    ARTIFACTS.where(artifacts.c.artifact_id == bindparam("artifact_id"))
    .order_by(artifacts.c.created_at.desc(), artifacts.c.id.desc())
    .limit(1)
)
TAGS = (
    select(tags.c.artifact_row, tags.c.tag_name)
    .where(tags.c.artifact_row.in_(bindparam("rows", expanding=True)))
    .order_by(tags.c.created_at, tags.c.tag_name)
)


class SqlArtifactStore(Repository):
    """Implements the reading and single-artifact half of ArtifactStore."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._tagged = GroupedReads(self._find_tagged)

    async def create_artifact(self, dataset: DatasetKey, artifact: NewArtifact, now: int) -> None:
        """See ArtifactStore."""

        async def work(connection: AsyncConnection) -> None:
            dataset_id = await lock_dataset(connection, dataset)
            await take_over(connection, artifact.content.locations)
            row = await connection.scalar(
                insert(artifacts).values(artifact_values(dataset_id, artifact, now)).returning(artifacts.c.id)
            )
            assert row is not None
            await insert_details(connection, {row: artifact})

        try:
            await self._database.write(work)
        except UniqueViolation:
            raise already_exists("Artifact", f'id: "{artifact.artifact_id}"') from None

    async def find_artifact(self, handle: Handle) -> ArtifactRecord | None:
        """See ArtifactStore."""
        if isinstance(handle, TagKey):
            return (await self.find_tagged([handle])).get(handle)
        statement, parameters = NEWEST_BY_ID, {"artifact_id": handle.artifact_id}
        async with self._database.snapshot() as connection:
            if handle.dataset is None:
                rows = (await connection.execute(statement, parameters)).all()
            else:
                rows = (await connection.execute(BY_ID, {**parameters, "dataset": handle.dataset.digest})).all()
            records = await artifact_records(connection, rows)
        return records[0] if records else None

    async def find_tagged(self, wanted: Sequence[TagKey]) -> dict[TagKey, ArtifactRecord]:
        """See ArtifactStore."""
        return await self._tagged.get(wanted)

    async def _find_tagged(self, wanted: Sequence[TagKey]) -> dict[TagKey, ArtifactRecord]:
        keys = {key.digest: key for key in wanted}
        found: dict[TagKey, ArtifactRecord] = {}
        async with self._database.snapshot() as connection:
            for chunk in chunks(list(keys)):
                rows = (await connection.execute(BY_TAG, {"digests": chunk})).all()
                records = await artifact_records(connection, rows)
                found |= {keys[bytes(row[-1])]: record for row, record in zip(rows, records, strict=True)}
        return found

    async def tags_of(self, rows: Sequence[int]) -> dict[int, list[str]]:
        """See ArtifactStore."""
        found: dict[int, list[str]] = {row: [] for row in rows}
        async with self._database.snapshot() as connection:
            for chunk in chunks(rows):
                for row, name in await connection.execute(TAGS, {"rows": chunk}):
                    found[row].append(name)
        return found

    async def list_artifacts(self, dataset: DatasetKey, filters: ArtifactFilters, page: Page) -> list[ArtifactRecord]:
        """See ArtifactStore."""
        statement = _filtered(dataset, filters)
        order = (artifacts.c.created_at, artifacts.c.id)
        statement = statement.order_by(*(order if page.ascending else (column.desc() for column in order)))
        async with self._database.snapshot() as connection:
            rows = (await connection.execute(statement.limit(page.limit).offset(page.offset))).all()
            return await artifact_records(connection, rows)

    async def update_artifact(self, handle: Handle, content: Content, now: int) -> str:
        """See ArtifactStore."""

        async def work(connection: AsyncConnection) -> str:
            row, artifact_id, written_at = await lock_artifact(connection, handle)
            await take_over(connection, content.locations)
            await self._replace(connection, row, content, max(now, written_at + 1))
            return artifact_id

        return await self._database.write(work)

    async def _replace(self, connection: AsyncConnection, row: int, content: Content, now: int) -> None:
        mine = external_values.c.artifact_row == row
        old = list(await connection.scalars(select(external_values.c.location).where(mine)))
        if old:
            await self._discard(connection, old, 0)
            await connection.execute(delete(external_values).where(mine))
        await connection.execute(update(artifacts).where(artifacts.c.id == row).values(content_values(content, now)))
        if content.external:
            await connection.execute(insert(external_values), external_rows(row, content))
        await connection.execute(delete(artifact_places).where(artifact_places.c.artifact_row == row))
        if content.places:
            await connection.execute(insert(artifact_places), place_rows(row, content))

    async def add_tag(self, tag: TagKey, artifact_id: str, displaced: Generation | None, now: int) -> None:
        """See ArtifactStore."""

        async def work(connection: AsyncConnection) -> None:
            dataset_id = await lock_dataset(connection, tag.dataset)
            row, _, _ = await lock_artifact(connection, ArtifactKey(tag.dataset, artifact_id))
            if displaced is not None and await self._remove_displaced(connection, tag, displaced):
                await connection.execute(update(tags).where(tags.c.digest == tag.digest).values(artifact_row=row))
                await self._delete_untagged(connection, displaced.row)
                return
            await connection.execute(insert(tags).values(tag_values(tag, dataset_id, row, now)))

        try:
            await self._database.write(work)
        except UniqueViolation:
            raise already_exists("Tag", f'name: "{tag.tag_name}"') from None

    async def _remove_displaced(self, connection: AsyncConnection, tag: TagKey, displaced: Generation) -> bool:
        """Whether the tag still points to the artifact in the state that was found unusable; locks both."""
        found = await connection.execute(
            select(artifacts.c.id, artifacts.c.written_at)
            .join_from(tags, artifacts)
            .where(tags.c.digest == tag.digest)
            .with_for_update()
        )
        row = found.first()
        return row is not None and Generation(row.id, row.written_at) == displaced

    async def _delete_untagged(self, connection: AsyncConnection, row: int) -> bool:
        tagged = await connection.scalar(select(exists().where(tags.c.artifact_row == row)))
        if not tagged:
            await self._delete_rows(connection, [row])
        return not tagged

    async def _delete_rows(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Delete artifacts with all that belongs to them."""
        for chunk in chunks(rows):
            locations = await connection.scalars(
                select(external_values.c.location).where(external_values.c.artifact_row.in_(chunk))
            )
            await self._discard(connection, list(locations), 0)
            await connection.execute(delete(artifacts).where(artifacts.c.id.in_(chunk)))


async def lock_dataset(connection: AsyncConnection, key: DatasetKey) -> int:
    """The row of a dataset, which cannot be deleted until the transaction ends; raises NotFound."""
    row: int | None = await connection.scalar(
        select(datasets.c.id).where(datasets.c.digest == key.digest).with_for_update(read=True, key_share=True)
    )
    if row is None:
        raise missing_dataset(key)
    return row


async def lock_artifact(connection: AsyncConnection, handle: Handle) -> tuple[int, str, int]:
    """Row, id and time of writing of an artifact that nobody else can change now; raises NotFound."""
    statement = select(artifacts.c.id, artifacts.c.artifact_id, artifacts.c.written_at)
    if isinstance(handle, TagKey):
        statement = statement.join_from(tags, artifacts).where(tags.c.digest == handle.digest)
    else:
        statement = statement.where(artifacts.c.artifact_id == handle.artifact_id)
        if handle.dataset is not None:
            statement = statement.join_from(artifacts, datasets).where(datasets.c.digest == handle.dataset.digest)
        statement = statement.order_by(artifacts.c.created_at.desc(), artifacts.c.id.desc()).limit(1)
    found = (await connection.execute(statement.with_for_update(of=artifacts))).first()
    if found is None:
        raise missing_artifact(handle)
    return found[0], found[1], found[2]


async def insert_details(connection: AsyncConnection, inserted: dict[int, NewArtifact]) -> None:
    """Insert what belongs to new artifacts, given by their rows."""
    external = [each for row, artifact in inserted.items() for each in external_rows(row, artifact.content)]
    if external:
        await connection.execute(insert(external_values), external)
    partitions = [each for row, artifact in inserted.items() for each in partition_rows(row, artifact)]
    if partitions:
        await connection.execute(insert(artifact_partitions), partitions)
    pointing = [each for row, artifact in inserted.items() for each in place_rows(row, artifact.content)]
    if pointing:
        await connection.execute(insert(artifact_places), pointing)


def tag_values(tag: TagKey, dataset_id: int, row: int, now: int) -> dict[str, Any]:
    """The row of a tag."""
    return {
        "digest": tag.digest,
        "dataset_id": dataset_id,
        "tag_name": tag.tag_name,
        "artifact_row": row,
        "created_at": now,
    }


def _filtered(dataset: DatasetKey, filters: ArtifactFilters) -> Select[Any]:
    # Look-ups of their own: what a join leaves is guessed badly, and then all artifacts of a dataset are put in order.
    row = select(datasets.c.id).where(datasets.c.digest == dataset.digest).scalar_subquery()
    statement = ARTIFACTS.where(artifacts.c.dataset_id == row)
    for artifact_id in filters.artifact_ids:
        statement = statement.where(artifacts.c.artifact_id == artifact_id)
    for name in filters.tag_names:
        tagged = select(tags.c.artifact_row).where(tags.c.digest == TagKey(dataset, name).digest)
        statement = statement.where(artifacts.c.id == tagged.scalar_subquery())
    for key, value in filters.partitions:
        statement = statement.where(
            exists().where(
                artifact_partitions.c.artifact_row == artifacts.c.id,
                artifact_partitions.c.key == key,
                artifact_partitions.c.value == value,
            )
        )
    return statement
