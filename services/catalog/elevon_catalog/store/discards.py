"""Locations in the object store that no row names."""

from __future__ import annotations

from collections.abc import Sequence

from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import delete, select, update

from elevon_catalog.store.repository import Repository, chunks
from elevon_catalog.store.tables import discarded_values


class SqlDiscardStore(Repository):
    """Implements DiscardStore."""

    async def announce(self, locations: Sequence[str], due_at: int) -> None:
        """See DiscardStore."""

        async def work(connection: AsyncConnection) -> None:
            await self._discard(connection, locations, due_at)

        await self._database.write(work)

    async def due(self, now: int, limit: int) -> list[str]:
        """See DiscardStore."""
        columns = discarded_values.c
        async with self._database.reading() as connection:
            found = list(
                await connection.scalars(
                    select(columns.location).where(columns.due_at <= now).order_by(columns.due_at).limit(limit)
                )
            )
        if not found:
            return []

        async def work(connection: AsyncConnection) -> list[str]:
            doomed: list[str] = []
            for chunk in chunks(found):
                doomed += await connection.scalars(
                    update(discarded_values)
                    .where(columns.location.in_(chunk))
                    .values(doomed=True)
                    .returning(columns.location)
                )
            return doomed

        return await self._database.write(work)

    async def forget(self, locations: Sequence[str]) -> None:
        """See DiscardStore."""

        async def work(connection: AsyncConnection) -> None:
            for chunk in chunks(locations):
                await connection.execute(delete(discarded_values).where(discarded_values.c.location.in_(chunk)))

        await self._database.write(work)
