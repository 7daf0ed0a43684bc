"""The datasets in the database."""

from __future__ import annotations

from collections.abc import Sequence

from elevon_core.errors import AlreadyExists
from elevon_kit.database import Database, UniqueViolation
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Select, and_, bindparam, case, exists, func, select
from sqlalchemy import delete as delete_from

from elevon_catalog.domain.failures import already_exists, dataset_text, missing_dataset
from elevon_catalog.domain.filters import DatasetFilters, Page
from elevon_catalog.domain.names import DatasetKey
from elevon_catalog.domain.records import DatasetRecord, Usage
from elevon_catalog.store.grouped_reads import GroupedReads
from elevon_catalog.store.repository import Repository, chunks
from elevon_catalog.store.rows import DATASET_COLUMNS, dataset_record, dataset_values
from elevon_catalog.store.tables import artifacts, datasets, external_values, tags

FIND = select(*DATASET_COLUMNS).where(datasets.c.digest.in_(bindparam("digests", expanding=True)))


class SqlDatasetStore(Repository):
    """Implements DatasetStore."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._datasets = GroupedReads(self._find_datasets)

    async def create_dataset(self, dataset: DatasetRecord) -> None:
        """See DatasetStore."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(datasets.insert().values(dataset_values(dataset)))

        try:
            await self._database.write(work)
        except UniqueViolation:
            raise self._taken(dataset) from None

    async def find_datasets(self, keys: Sequence[DatasetKey]) -> dict[DatasetKey, DatasetRecord]:
        """See DatasetStore."""
        return await self._datasets.get(keys)

    async def _find_datasets(self, keys: Sequence[DatasetKey]) -> dict[DatasetKey, DatasetRecord]:
        found: dict[DatasetKey, DatasetRecord] = {}
        async with self._database.snapshot() as connection:
            for chunk in chunks(keys):
                for row in await connection.execute(FIND, {"digests": [key.digest for key in chunk]}):
                    record = dataset_record(row)
                    found[record.key] = record
        return found

    async def list_datasets(self, filters: DatasetFilters, page: Page) -> list[DatasetRecord]:
        """See DatasetStore."""
        statement: Select[tuple[object, ...]] = select(*DATASET_COLUMNS)
        by_name = any(name == "name" for name, _ in filters.properties)
        for name, value in filters.properties:
            # A name says most; in words that no index knows, the rest does not lead SQLite through a whole project.
            known = datasets.c[name] if name == "name" or not by_name else datasets.c[name].concat("")
            statement = statement.where(known == value)
        order = (datasets.c.created_at, datasets.c.id)
        statement = statement.order_by(*(order if page.ascending else (column.desc() for column in order)))
        async with self._database.reading() as connection:
            rows = await connection.execute(statement.limit(page.limit).offset(page.offset))
            return [dataset_record(row) for row in rows]

    async def delete_dataset(self, key: DatasetKey) -> int:
        """See DatasetStore."""

        async def work(connection: AsyncConnection) -> int:
            found = await connection.execute(
                select(datasets.c.id).where(datasets.c.digest == key.digest).with_for_update()
            )
            row = found.scalar_one_or_none()
            if row is None:
                raise missing_dataset(key)
            inside = artifacts.c.dataset_id == row
            count = await connection.scalar(select(func.count()).select_from(artifacts).where(inside))
            locations = await connection.scalars(
                select(external_values.c.location).join_from(external_values, artifacts).where(inside)
            )
            await self._discard(connection, list(locations), 0)
            await connection.execute(delete_from(datasets).where(datasets.c.id == row))
            return count or 0

        return await self._database.write(work)

    async def list_usage(self, project: str, domain: str) -> list[Usage]:
        """See DatasetStore."""
        tagged = exists().where(tags.c.artifact_row == artifacts.c.id)
        statement = (
            select(
                datasets.c.project,
                datasets.c.domain,
                func.count(datasets.c.id.distinct()),
                func.count(artifacts.c.id),
                func.count(case((and_(artifacts.c.id.is_not(None), ~tagged), 1))),
                func.coalesce(func.sum(artifacts.c.size), 0),
            )
            .join_from(datasets, artifacts, isouter=True)
            .group_by(datasets.c.project, datasets.c.domain)
            .order_by(datasets.c.project, datasets.c.domain)
        )
        for column, wanted in ((datasets.c.project, project), (datasets.c.domain, domain)):
            if wanted:
                statement = statement.where(column == wanted)
        async with self._database.reading() as connection:
            rows = await connection.execute(statement)
            return [Usage(row[0], row[1], row[2], row[3], row[4], int(row[5])) for row in rows]

    @staticmethod
    def _taken(dataset: DatasetRecord) -> AlreadyExists:
        return already_exists("Dataset", dataset_text(dataset.key, dataset.uuid))
