"""SQLite behind SQLAlchemy's asyncio, with threads only where they pay.

A trip to a thread and back costs twenty times as much as a look-up by key, and the usual driver makes four of them per
statement. Here short statements run where they are asked for, on the event loop. What can take long goes to a thread:
commits, because they wait for the disk; statements with many parameter sets; waiting for another process's lock; and
every query that turns out to need more than `STEP_BUDGET` steps of SQLite's virtual machine, which is then stopped and
begun anew in a thread.

The classes have the attributes that SQLAlchemy's aiosqlite dialect asks of a driver.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

STEP_BUDGET = 30_000
"""Steps of a query on the event loop; about a millisecond."""

MANY = 200
"""Parameter sets from which on a statement goes to a thread."""

BUSY_SECONDS = 10.0
"""How long another process's lock is waited for."""

AGAIN_SECONDS = 0.005
"""How often it is looked at where SQLite does not wait by itself."""

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")

_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="sqlite")


async def connect(path: str, *, writing: bool) -> SqliteConnection:
    """Open a connection; one that does not write cannot."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _open, path, writing)


def _open(path: str, writing: bool) -> SqliteConnection:
    raw = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for pragma in PRAGMAS if writing else (*PRAGMAS, "query_only=ON"):
            _set(raw, pragma)
    except sqlite3.Error:
        raw.close()
        raise
    return SqliteConnection(raw, writing)


def _set(raw: sqlite3.Connection, pragma: str) -> None:
    """Set a pragma; where the first connections to a new file change its mode at once, SQLite itself does not wait."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            raw.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= until:
                raise
            time.sleep(AGAIN_SECONDS)
        else:
            return


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


class SqliteConnection:
    """One connection; a transaction begins with the first statement after a commit or rollback."""

    def __init__(self, raw: sqlite3.Connection, writing: bool) -> None:
        self._connection: sqlite3.Connection | None = raw
        self.raw = raw
        self.writing = writing
        self.isolation_level = raw.isolation_level

    def cursor(self) -> SqliteCursor:
        """Make a cursor."""
        return SqliteCursor(self)

    async def begin(self) -> None:
        """Begin a transaction; a writer has the database's only write lock from here on."""
        if not self.writing:
            self.raw.execute("BEGIN")
            return
        try:
            self.raw.execute("PRAGMA busy_timeout=0")
            self.raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            self.raw.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
            await self.in_thread(lambda: self.raw.execute("BEGIN IMMEDIATE"))

    async def commit(self) -> None:
        """Make the transaction durable; what only read has nothing to wait for."""
        if not self.raw.in_transaction:
            return
        if self.writing:
            await self.in_thread(self.raw.commit, interruptible=False)
        else:
            self.raw.commit()

    async def rollback(self) -> None:
        """Undo the transaction."""
        if self.raw.in_transaction:
            self.raw.rollback()

    async def close(self) -> None:
        """Close; twice does no harm."""
        if self._connection is not None:
            self._connection = None
            await self.in_thread(self.raw.close, interruptible=False)

    def stop(self) -> None:
        """Close at once, when there is no time to wait."""
        self._connection = None
        self.raw.close()

    async def execute(self, statements: str) -> None:
        """Run plain statements, separated by semicolons, without rows and past SQLAlchemy."""
        for statement in statements.split(";"):
            self.raw.execute(statement)

    async def create_function(
        self, name: str, arguments: int, function: Callable[..., Any], deterministic: bool = False
    ) -> None:
        """Offer a Python function to SQL; the dialect brings one for regular expressions."""
        self.raw.create_function(name, arguments, function, deterministic=deterministic)

    async def in_thread(self, operation: Callable[[], T], *, interruptible: bool = True) -> T:
        """Run something in a thread. When the caller is cancelled a query is stopped, and what cannot be is awaited."""
        running = asyncio.get_running_loop().run_in_executor(_threads, operation)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if interruptible:
                self.raw.interrupt()
            await asyncio.wait((running,))
            raise


class SqliteCursor:
    """One statement at a time, with its rows fetched as soon as it has run."""

    __slots__ = ("_connection", "_cursor", "_rows", "arraysize")

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self._cursor = connection.raw.cursor()
        self._rows: list[Any] = []
        self.arraysize = 1

    async def __aenter__(self) -> SqliteCursor:
        """A cursor needs no preparation."""
        return self

    def __await__(self) -> Generator[None, None, SqliteCursor]:
        """Older versions of the dialect await the cursor instead of entering it."""
        return self.__aenter__().__await__()

    @property
    def description(self) -> Any:
        """The names of the columns, None for a statement without rows."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The id of the row that was inserted last."""
        return self._cursor.lastrowid

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> SqliteCursor:
        """Run a statement and fetch its rows."""
        connection = self._connection
        if not connection.raw.in_transaction:
            await connection.begin()
        if connection.writing:
            self._run(operation, parameters)
        else:
            await self._query(operation, parameters)
        return self

    async def _query(self, operation: str, parameters: Sequence[Any]) -> None:
        raw = self._connection.raw
        raw.set_progress_handler(_over_budget, STEP_BUDGET)
        try:
            self._run(operation, parameters)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_INTERRUPT:
                raise
        finally:
            raw.set_progress_handler(None, 0)
        self._cursor = raw.cursor()
        await self._connection.in_thread(lambda: self._run(operation, parameters))

    def _run(self, operation: str, parameters: Sequence[Any]) -> None:
        self._cursor.execute(operation, parameters)
        self._rows = self._cursor.fetchall() if self._cursor.description else []

    async def executemany(self, operation: str, parameters: Sequence[Sequence[Any]]) -> SqliteCursor:
        """Run a statement once per set of parameters."""
        connection = self._connection
        if not connection.raw.in_transaction:
            await connection.begin()
        if len(parameters) < MANY:
            self._cursor.executemany(operation, parameters)
        else:
            await connection.in_thread(lambda: self._cursor.executemany(operation, parameters), interruptible=False)
        return self

    async def fetchall(self) -> list[Any]:
        """Answer the rows, once."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Let go of the statement."""
        self._cursor.close()


def _over_budget() -> int:
    return 1
