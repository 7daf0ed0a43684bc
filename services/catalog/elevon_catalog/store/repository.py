"""What the repositories share: the database, and the statements whose form depends on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from elevon_core.errors import Unavailable
from elevon_core.portions import portions
from elevon_kit.database import Database
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from elevon_kit.upserts import insert_into
from sqlalchemy import Table, delete

from elevon_catalog.store.tables import discarded_values

if TYPE_CHECKING:
    from elevon_kit.upserts import Insert

CHUNK = 500
"""How many keys one statement carries; databases limit the number of parameters."""

Item = TypeVar("Item")


class Repository:
    """Rows of one aggregate."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _insert(self, table: Table) -> Insert:
        """An INSERT that can say what to do on conflict."""
        return insert_into(table, self._database.dialect)

    async def _discard(self, connection: AsyncConnection, locations: Sequence[str], due_at: int) -> None:
        """Leave locations that no row names any more to the sweeper."""
        for chunk in chunks(locations):
            rows = [{"location": location, "due_at": due_at, "doomed": False} for location in chunk]
            await connection.execute(self._insert(discarded_values).on_conflict_do_nothing(), rows)


async def take_over(connection: AsyncConnection, locations: Sequence[str]) -> None:
    """Turn announced locations into owned ones; raises Unavailable when the sweeper was faster."""
    for chunk in chunks(locations):
        taken = await connection.execute(
            delete(discarded_values).where(discarded_values.c.location.in_(chunk), discarded_values.c.doomed.is_(False))
        )
        if taken.rowcount != len(chunk):
            raise Unavailable("storing the values took too long and they were cleaned up: repeat the call")


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in pieces that one statement can carry."""
    return portions(items, CHUNK)
