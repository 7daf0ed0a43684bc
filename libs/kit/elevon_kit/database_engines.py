"""How connections are opened: SQLite with a write-ahead log and full syncs, PostgreSQL through asyncpg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elevon_core.errors import InvalidArgument
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from elevon_kit.database_errors import translate_in

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
DRIVERS = {SQLITE: "sqlite+aiosqlite", POSTGRESQL: "postgresql+asyncpg"}
SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000", "temp_store=MEMORY")
CONNECT_TIMEOUT = 10


def parse_url(url: str) -> URL:
    """Read a database URL; raises InvalidArgument for one that is neither SQLite in a file nor PostgreSQL."""
    rule = "must be sqlite+aiosqlite:///<path> or postgresql+asyncpg://<user>@<host>/<database>"
    try:
        parsed = make_url(url)
        dialect = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise InvalidArgument.invalid("database.url", url, rule) from error
    if parsed.drivername not in (dialect, DRIVERS.get(dialect)):
        raise InvalidArgument.invalid("database.url", parsed.render_as_string(), rule)
    if dialect == SQLITE and (not parsed.database or parsed.database == ":memory:"):
        raise InvalidArgument.invalid("database.url", url, "a database in memory is lost with the process; name a file")
    return parsed.set(drivername=DRIVERS[dialect])


def writing_engine(url: URL) -> AsyncEngine:
    """Make the engine with the one connection that writes."""
    if url.get_backend_name() == POSTGRESQL:
        return _postgresql_engine(url, 1)
    return _sqlite_engine(url, 1, begin="BEGIN IMMEDIATE")


def reading_engine(url: URL, connections: int) -> AsyncEngine:
    """Make the engine whose connections see one state of the database per transaction, and cannot change it."""
    if url.get_backend_name() == POSTGRESQL:
        engine = _postgresql_engine(url, connections, isolation_level="REPEATABLE READ")
        return engine.execution_options(postgresql_readonly=True)
    return _sqlite_engine(url, connections, begin="BEGIN", pragmas=("query_only=ON",))


def _postgresql_engine(url: URL, connections: int, **arguments: Any) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT,
        connect_args={"timeout": CONNECT_TIMEOUT},
        **arguments,
    )
    translate_in(engine)
    return engine


def _sqlite_engine(url: URL, connections: int, *, begin: str, pragmas: tuple[str, ...] = ()) -> AsyncEngine:
    Path(url.database or "").absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        url, poolclass=AsyncAdaptedQueuePool, pool_size=connections, max_overflow=0, pool_timeout=CONNECT_TIMEOUT
    )
    translate_in(engine)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        for pragma in (*SQLITE_PRAGMAS, *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
