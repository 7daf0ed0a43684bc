"""The entries of the cache service in the database."""

from __future__ import annotations

from elevon_kit.database import Contention
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import delete, select, update

from elevon_catalog.domain.failures import already_exists, missing_entity
from elevon_catalog.domain.records import CacheRecord, Replacement
from elevon_catalog.store.repository import Repository, take_over
from elevon_catalog.store.tables import cache_entries

COLUMNS = (
    cache_entries.c.key,
    cache_entries.c.document,
    cache_entries.c.location,
    cache_entries.c.created_at,
    cache_entries.c.written_at,
)


class SqlCacheStore(Repository):
    """Implements CacheStore."""

    async def find(self, key: str) -> CacheRecord | None:
        """See CacheStore."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(*COLUMNS).where(cache_entries.c.key == key))).first()
        return CacheRecord(*row) if row else None

    async def put(self, record: CacheRecord, replacement: Replacement, keep_creation: bool) -> None:
        """See CacheStore."""

        async def work(connection: AsyncConnection) -> None:
            if record.location:
                await take_over(connection, [record.location])
            old = await self._lock(connection, record.key)
            if old is None:
                await self._create(connection, record)
            elif replacement.permits(old.generation):
                await self._replace(connection, old, record, keep_creation)
            else:
                raise already_exists("CachedOutput", f'key: "{record.key}"')

        await self._database.write(work)

    async def delete(self, key: str) -> None:
        """See CacheStore."""

        async def work(connection: AsyncConnection) -> None:
            old = await self._lock(connection, key)
            if old is None:
                raise missing_entity("CachedOutput", f'key: "{key}"')
            await self._let_go(connection, old)
            await connection.execute(delete(cache_entries).where(cache_entries.c.key == key))

        await self._database.write(work)

    async def _lock(self, connection: AsyncConnection, key: str) -> CacheRecord | None:
        found = await connection.execute(select(*COLUMNS).where(cache_entries.c.key == key).with_for_update())
        row = found.first()
        return CacheRecord(*row) if row else None

    async def _create(self, connection: AsyncConnection, record: CacheRecord) -> None:
        added = await connection.execute(
            self._insert(cache_entries)
            .values(
                key=record.key,
                document=record.document,
                location=record.location,
                created_at=record.created_at,
                written_at=record.written_at,
            )
            .on_conflict_do_nothing()
        )
        if not added.rowcount:
            raise Contention("an entry was added while it was looked at")

    async def _replace(self, connection: AsyncConnection, old: CacheRecord, new: CacheRecord, keep: bool) -> None:
        await self._let_go(connection, old)
        await connection.execute(
            update(cache_entries)
            .where(cache_entries.c.key == new.key)
            .values(
                document=new.document,
                location=new.location,
                created_at=old.created_at if keep else new.created_at,
                written_at=max(new.written_at, old.written_at + 1),
            )
        )

    async def _let_go(self, connection: AsyncConnection, old: CacheRecord) -> None:
        if old.location:
            await self._discard(connection, [old.location], 0)
