"""What databases raise, as errors of ours, translated where they arise so that a repository can catch them by kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from elevon_core.errors import (
    AlreadyExists,
    ElevonError,
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
)
from sqlalchemy import exc
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.event import listen

from elevon_kit.sqlalchemy_asyncio import AsyncEngine


class UniqueViolation(AlreadyExists):
    """A row with this key exists. On PostgreSQL the surrounding savepoint is lost: insert inside one to go on."""


class SchemaMismatch(FailedPrecondition):
    """The database's schema is not the one this version works with; the message says what to run."""


class Unstorable(InvalidArgument):
    """A value that no column or index takes: too long, or with bytes that are no text. Rules of ours come first."""


class Contention(Unavailable):
    """Another transaction was in the way (deadlock, serialization, lock); running the work again helps."""


class ConnectionLost(Unavailable):
    """The database is out of reach; whether a commit under way happened is not known."""


CONTENTION_STATES = frozenset({"40001", "40P01", "55P03"})
UNIQUE_STATE = "23505"
UNSTORABLE_STATE_CLASSES = ("22", "54")
"""Values that break a rule of their type, and such that are over a limit of the database."""
FULL_STATES = frozenset({"53100", "53200"})
LOST_STATE_CLASSES = ("08", "57P", "25P03")
LOST_CLIENT_ERRORS = frozenset({"InternalClientError"})
"""What asyncpg raises while it still learns that the server ended the connection; by name, for it is loaded late."""

SQLITE_UNIQUE = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})
SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
SQLITE_LOST = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


def translate_in(engine: AsyncEngine) -> None:
    """Make an engine raise errors of ours instead of SQLAlchemy's wherever there is one that fits."""
    listen(engine.sync_engine, "handle_error", _replacement, retval=True)


def _replacement(context: ExceptionContext) -> ElevonError | None:
    return translated_error(context.original_exception, disconnected=context.is_disconnect)


@contextmanager
def translated() -> Iterator[None]:
    """Inside, errors that no statement raised, such as those of connecting, become errors of ours as well."""
    try:
        yield
    except Exception as error:
        ours = translated_error(error)
        if ours is None:
            raise
        raise ours from error


def translated_error(error: BaseException | None, *, disconnected: bool = False) -> ElevonError | None:
    """Answer the error of ours for a driver's, None for one that is a defect (bad SQL, a null where none may be)."""
    if not isinstance(error, Exception) or isinstance(error, ElevonError):
        return None  # a cancellation stays one
    if isinstance(error, sqlite3.Error) or isinstance(error.__cause__, sqlite3.Error):
        return _from_sqlite(error)
    state = str(getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None) or "")
    if state == UNIQUE_STATE:
        return UniqueViolation(f"a row with this key exists ({_first_line(error)})")
    if state in CONTENTION_STATES:
        return Contention(f"the database is contended: {_first_line(error)}")
    if state.startswith(UNSTORABLE_STATE_CLASSES):
        return _unstorable(error)
    if state in FULL_STATES:
        return ResourceExhausted(f"the database is out of space: {_first_line(error)}")
    lost = disconnected or state.startswith(LOST_STATE_CLASSES) or isinstance(error, (OSError, TimeoutError))
    if lost or isinstance(error, exc.TimeoutError) or type(error).__name__ in LOST_CLIENT_ERRORS:
        return ConnectionLost(f"the database is out of reach: {_first_line(error)}")
    return None


def _from_sqlite(error: BaseException) -> ElevonError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(code, int):
        return None
    if code in SQLITE_UNIQUE:
        return UniqueViolation(f"a row with this key exists ({_first_line(error)})")
    primary = code & 0xFF
    if primary in SQLITE_BUSY:
        return Contention(f"the database is contended: {_first_line(error)}")
    if primary == sqlite3.SQLITE_TOOBIG:
        return _unstorable(error)
    if primary == sqlite3.SQLITE_FULL:
        return ResourceExhausted(f"the database is out of space: {_first_line(error)}")
    if primary in SQLITE_LOST:
        return ConnectionLost(f"the database is out of reach: {_first_line(error)}")
    return None


def _unstorable(error: BaseException) -> Unstorable:
    return Unstorable(f"the database cannot take a value of this request: {_first_line(error)[:300]}")


def _first_line(error: BaseException) -> str:
    text = str(error)
    return text.splitlines()[0] if text else type(error).__name__
