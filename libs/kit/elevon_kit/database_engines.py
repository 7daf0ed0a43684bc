"""How connections are opened: SQLite with a write-ahead log and full syncs, PostgreSQL through asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from elevon_core.errors import InvalidArgument, Unavailable
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import AsyncAdaptedQueuePool

from elevon_kit import sqlite_driver
from elevon_kit.database_errors import translate_in
from elevon_kit.sqlalchemy_asyncio import AsyncEngine, create_async_engine

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
DRIVERS = {SQLITE: "sqlite+aiosqlite", POSTGRESQL: "postgresql+asyncpg"}
CONNECT_TIMEOUT = 10
IDLE_TRANSACTION_SECONDS = 5
"""A writer that stops in its transaction for so long, say because its process is paused, loses its locks (PostgreSQL).

Its work is done again when it goes on."""


def parse_url(url: str) -> URL:
    """Read a database URL; raises InvalidArgument for one that is neither SQLite in a file nor PostgreSQL."""
    rule = "must be sqlite+aiosqlite:///<path> or postgresql+asyncpg://<user>@<host>/<database>"
    try:
        parsed = make_url(url)
        dialect = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise InvalidArgument.invalid("database.url", url, rule) from error
    if dialect not in DRIVERS or parsed.drivername not in (dialect, DRIVERS[dialect]):
        raise InvalidArgument.invalid("database.url", parsed.render_as_string(), rule)
    if dialect == SQLITE and (not parsed.database or parsed.database == ":memory:"):
        raise InvalidArgument.invalid("database.url", url, "a database in memory is lost with the process; name a file")
    return parsed.set(drivername=DRIVERS[dialect])


def writing_engine(url: URL, *, patient: bool = False) -> AsyncEngine:
    """Make the engine with the one connection that writes; `patient` for transactions that may stand still."""
    if url.get_backend_name() == POSTGRESQL:
        limit = {} if patient else {"idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_SECONDS}s"}
        return _postgresql_engine(url, 1, limit)
    return _sqlite_engine(url, 1, writing=True)


def reading_engine(url: URL, connections: int) -> AsyncEngine:
    """Make the engine whose connections cannot change anything; on PostgreSQL they are not in transactions.

    To begin one and to end it are two more trips to the server, which a single statement can do without.
    """
    if url.get_backend_name() == POSTGRESQL:
        session = {"default_transaction_read_only": "on"}
        return _postgresql_engine(url, connections, session, isolation_level="AUTOCOMMIT")
    return _sqlite_engine(url, connections, writing=False)


def snapshot_engine(reading: AsyncEngine) -> AsyncEngine:
    """Lend the same connections, each in a transaction that sees one committed state."""
    if reading.dialect.name == POSTGRESQL:
        return reading.execution_options(isolation_level="REPEATABLE READ")
    return reading


async def listen(url: URL, channel: str, heard: Callable[[str], None]) -> None:
    """Hand over what is said on a channel, through a connection of its own; raises Unavailable when that is lost."""
    engine = _postgresql_engine(url, 1, {})
    try:
        async with engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            lost = asyncio.Event()
            driver.add_termination_listener(lambda _: lost.set())
            await driver.add_listener(channel, lambda *said: heard(said[-1]))
            heard("")
            await lost.wait()
            await connection.invalidate()
            raise Unavailable(f"the database hung up on who listens to {channel}")
    finally:
        await engine.dispose()


def _postgresql_engine(url: URL, connections: int, session: dict[str, str], **arguments: Any) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT,
        connect_args={"timeout": CONNECT_TIMEOUT, "server_settings": session},
        **arguments,
    )
    translate_in(engine)
    return engine


def _sqlite_engine(url: URL, connections: int, *, writing: bool) -> AsyncEngine:
    path = url.database or ""
    Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT,
        async_creator=lambda: sqlite_driver.connect(path, writing=writing),
    )
    translate_in(engine)
    return engine
