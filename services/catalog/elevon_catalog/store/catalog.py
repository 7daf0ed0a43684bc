"""Artifacts and tags that are deleted."""

from __future__ import annotations

from collections.abc import Sequence

from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Select, delete, exists, func, select

from elevon_catalog.domain.failures import missing_artifact
from elevon_catalog.domain.names import Handle, TagKey
from elevon_catalog.domain.records import PruneRule
from elevon_catalog.store.artifacts import lock_artifact
from elevon_catalog.store.datasets import SqlDatasetStore
from elevon_catalog.store.discards import SqlDiscardStore
from elevon_catalog.store.entries import SqlEntryStore
from elevon_catalog.store.repository import chunks
from elevon_catalog.store.tables import artifact_places, artifacts, datasets, tags


class SqlCatalogStore(SqlEntryStore, SqlDatasetStore, SqlDiscardStore):
    """Implements CatalogStore; what is here deletes artifacts."""

    async def delete_artifact(self, handle: Handle) -> str:
        """See ArtifactStore."""

        async def work(connection: AsyncConnection) -> str:
            row, artifact_id, _ = await lock_artifact(connection, handle)
            await self._delete_rows(connection, [row])
            return artifact_id

        return await self._database.write(work)

    async def evict_tag(self, tag: TagKey) -> str:
        """See ArtifactStore."""

        async def work(connection: AsyncConnection) -> str:
            row, artifact_id, _ = await lock_artifact(connection, tag)
            gone = await connection.execute(delete(tags).where(tags.c.digest == tag.digest))
            if not gone.rowcount:
                raise missing_artifact(tag)
            return artifact_id if await self._delete_untagged(connection, row) else ""

        return await self._database.write(work)

    async def prune(self, rule: PruneRule, limit: int) -> int:
        """See ArtifactStore."""
        statement = (
            _prunable(rule).order_by(artifacts.c.id).limit(limit).with_for_update(of=artifacts, skip_locked=True)
        )

        async def work(connection: AsyncConnection) -> int:
            rows = list(await connection.scalars(statement))
            await self._delete_rows(connection, rows)
            return len(rows)

        return await self._database.write(work)

    async def evict_pointing(self, places: Sequence[str]) -> int:
        """See ArtifactStore."""

        async def work(connection: AsyncConnection) -> int:
            count = 0
            for chunk in chunks(places):
                locked = _pointing(chunk).order_by(artifacts.c.id).with_for_update(of=artifacts)
                rows = list(dict.fromkeys(await connection.scalars(locked)))
                await self._delete_rows(connection, rows)
                count += len(rows)
            return count

        return await self._database.write(work)

    async def count_pointing(self, places: Sequence[str]) -> int:
        """See ArtifactStore."""
        found: set[int] = set()
        async with self._database.snapshot() as connection:
            for chunk in chunks(places):
                found.update(await connection.scalars(_pointing(chunk)))
        return len(found)

    async def count_prunable(self, rule: PruneRule) -> int:
        """See ArtifactStore."""
        async with self._database.reading() as connection:
            counted = select(func.count()).select_from(_prunable(rule).subquery())
            return int((await connection.execute(counted)).scalar_one())


def _pointing(places: Sequence[str]) -> Select[int]:
    return select(artifacts.c.id).join_from(artifact_places, artifacts).where(artifact_places.c.place.in_(places))


def _prunable(rule: PruneRule) -> Select[int]:
    statement = select(artifacts.c.id).join_from(artifacts, datasets)
    if rule.project:
        statement = statement.where(datasets.c.project == rule.project)
    if rule.domain:
        statement = statement.where(datasets.c.domain == rule.domain)
    if rule.written_before is not None:
        statement = statement.where(artifacts.c.written_at < rule.written_before)
    if rule.only_untagged:
        statement = statement.where(~exists().where(tags.c.artifact_row == artifacts.c.id))
    return statement
