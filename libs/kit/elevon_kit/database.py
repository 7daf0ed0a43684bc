"""A service's database: many readers, and one writer that commits everything that is ready together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal, TypeVar

from elevon_core.errors import Unavailable
from sqlalchemy import text

from elevon_kit import telemetry
from elevon_kit.database_engines import SQLITE, listen, parse_url, reading_engine, snapshot_engine, writing_engine
from elevon_kit.database_errors import Contention, SchemaMismatch, UniqueViolation, translated
from elevon_kit.database_writer import Writer
from elevon_kit.sqlalchemy_asyncio import AsyncConnection, AsyncEngine

__all__ = ["Contention", "Database", "SchemaMismatch", "UniqueViolation", "Work"]

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]
Dialect = Literal["sqlite", "postgresql"]


class Database:
    """Open it, then `reading()` and `snapshot()` for looking and `write(work)` for changing.

    Errors arrive translated: UniqueViolation, Contention, Unavailable (connection lost), ResourceExhausted (full).
    """

    def __init__(self, url: str, *, readers: int = 4, group_size: int = 256) -> None:
        self.url = parse_url(url)
        self.dialect: Dialect = "sqlite" if self.url.get_backend_name() == SQLITE else "postgresql"
        self._readers = readers
        self._group_size = group_size
        self._reading: AsyncEngine | None = None
        self._snapshots: AsyncEngine | None = None
        self._writing: AsyncEngine | None = None
        self._writer: Writer | None = None

    async def open(self) -> None:
        """Connect; raises Unavailable when there is no database to be had."""
        try:
            with translated():
                self._writing = writing_engine(self.url)
                self._reading = reading_engine(self.url, self._readers)
                self._snapshots = snapshot_engine(self._reading)
                async with self._writing.connect() as connection:
                    await connection.execute(text("SELECT 1"))
        except BaseException:
            await self._dispose()
            raise
        self._writer = Writer(self._writing, self._group_size)
        self._writer.start()

    async def close(self) -> None:
        """Finish what was given to `write`, then disconnect; closing twice does no harm."""
        if self._writer is not None:
            await self._writer.stop()
            self._writer = None
        await self._dispose()

    async def _dispose(self) -> None:
        for engine in (self._reading, self._writing):
            if engine is not None:
                await engine.dispose()
        self._reading = self._snapshots = self._writing = None

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection for one statement, which sees what is committed and cannot change it."""
        return _lent(self._reading)

    def snapshot(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection whose statements all see the same committed state and cannot change it."""
        return _lent(self._snapshots)

    async def write(self, work: Work[T]) -> T:
        """Run a piece of work in a transaction and return its result once that is durable.

        Pieces that are ready at the same time share one commit, each in a savepoint of its own: one that raises is
        undone alone, and the error is its caller's only. Work must leave the transaction alone and touch nothing but
        its connection, because it runs again when another transaction was in the way.
        """
        if self._writer is None:
            raise Unavailable("the database is closed")
        if not telemetry.tracing_enabled():
            return await self._writer.submit(work)
        with telemetry.tracer().start_as_current_span("database write"):
            return await self._writer.submit(work)

    async def say(self, connection: AsyncConnection, channel: str, words: Sequence[str]) -> None:
        """Within a piece of work: tell those who listen, in whatever process, once it is durable; nothing on SQLite.

        A word has at most 7,999 bytes; the same word said twice in one transaction is heard once.
        """
        if words and self.dialect == "postgresql":
            statement = text("SELECT pg_notify(:channel, word) FROM unnest(CAST(:words AS text[])) AS word")
            await connection.execute(statement, {"channel": channel, "words": list(words)})

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with every word said on a channel from now on, until cancelled; raises Unavailable when cut off.

        The empty word comes first: from then on nothing is missed. On SQLite nothing is ever said.
        """
        if self.dialect != "postgresql":
            await asyncio.Event().wait()
        with translated():
            await listen(self.url, channel, heard)

    async def ping(self) -> None:
        """Ask the database something trivial, for health; raises Unavailable when it does not answer."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))


@asynccontextmanager
async def _lent(engine: AsyncEngine | None) -> AsyncIterator[AsyncConnection]:
    if engine is None:
        raise Unavailable("the database is closed")
    with translated():
        connection = await engine.connect()
    try:
        yield connection
    finally:
        await connection.close()
