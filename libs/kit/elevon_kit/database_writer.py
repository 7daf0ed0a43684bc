"""Group commit: a commit costs as much for a hundred changes as for one, so whatever is ready shares the next one."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from elevon_core.errors import Unavailable

from elevon_kit.database_errors import ConnectionLost, Contention, translated_error
from elevon_kit.logging import get_logger
from elevon_kit.sqlalchemy_asyncio import AsyncConnection, AsyncEngine

log = get_logger("database")

T = TypeVar("T")
ATTEMPTS = 6
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 1.0


@dataclass(slots=True, eq=False)
class Piece(Generic[T]):
    """One piece of work, the caller that waits for it, and what came of it so far."""

    work: Callable[[AsyncConnection], Awaitable[T]]
    done: asyncio.Future[T]
    attempts: int = 0
    result: T | None = None
    error: BaseException | None = None
    again: bool = False

    def settle(self) -> None:
        """Tell the caller, unless it went away."""
        if self.done.done():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(cast(T, self.result))


class Writer:
    """The single task that writes: it takes all that is waiting, up to a limit, into one transaction."""

    def __init__(self, engine: AsyncEngine, group_size: int) -> None:
        self._engine = engine
        self._group_size = group_size
        self._waiting: deque[Piece[Any]] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._connection: AsyncConnection | None = None

    def start(self) -> None:
        """Begin to take work."""
        self._task = asyncio.create_task(self._run(), name="database writer")

    async def stop(self) -> None:
        """Finish what is waiting, then end."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._disconnect()

    async def submit(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Queue a piece of work and wait until it is durable; a caller that goes away takes unstarted work with it."""
        if self._stopping:
            raise Unavailable("the database is closing")
        piece: Piece[T] = Piece(work, asyncio.get_running_loop().create_future())
        self._waiting.append(piece)
        self._wake.set()
        return await piece.done

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while group := self._take():
                await self._write(group)
            if self._stopping:
                return

    def _take(self) -> list[Piece[Any]]:
        group: list[Piece[Any]] = []
        while self._waiting and len(group) < self._group_size:
            piece = self._waiting.popleft()
            if not piece.done.cancelled():
                group.append(piece)
        return group

    async def _write(self, group: list[Piece[Any]]) -> None:
        """Run a group to its end; no error of a group ever ends the writer."""
        try:
            await self._run_group(group)
        except Exception as error:
            self._blame(group, error)
            await self._disconnect()
        repeated = [piece for piece in group if piece.again and piece.attempts < ATTEMPTS]
        for piece in group:
            if piece not in repeated:
                piece.settle()
        if repeated:
            await self._repeat(repeated)

    def _blame(self, group: list[Piece[Any]], error: Exception) -> None:
        """Give the group's error to every piece that has none of its own; before the commit all may run again."""
        reason = translated_error(error) or error
        harmless = isinstance(reason, Unavailable) and not isinstance(reason, CommitFailed)
        for piece in group:
            if piece.error is None or piece.again:
                piece.error, piece.again = reason, harmless

    async def _repeat(self, pieces: list[Piece[Any]]) -> None:
        pause = min(FIRST_PAUSE * 2 ** max(piece.attempts for piece in pieces), LONGEST_PAUSE)
        log.warning("write repeated", pieces=len(pieces), pause=pause, reason=str(pieces[0].error))
        await asyncio.sleep(pause)
        for piece in reversed(pieces):
            piece.error, piece.result, piece.again = None, None, False
            self._waiting.appendleft(piece)
        self._wake.set()

    async def _run_group(self, group: list[Piece[Any]]) -> None:
        for piece in group:
            piece.attempts += 1
        connection = await self._connected()
        transaction = await connection.begin()
        try:
            if len(group) == 1:
                group[0].result = await group[0].work(connection)
            else:
                await self._run_pieces(group, connection)
        except BaseException as error:
            lost = _is_lost(connection, error)
            with contextlib.suppress(Exception):
                await transaction.rollback()
            if lost or len(group) > 1 or not isinstance(error, (Exception, asyncio.CancelledError)):
                raise
            _fail(group[0], error)
            return
        try:
            await transaction.commit()
        except Exception as error:
            raise _commit_failed(error) from error

    async def _run_pieces(self, group: list[Piece[Any]], connection: AsyncConnection) -> None:
        savepoint = await Savepoint.begin(connection)
        for piece in group:
            try:
                piece.result = await piece.work(connection)
            except (Exception, asyncio.CancelledError) as error:
                if _is_lost(connection, error):
                    raise
                _fail(piece, error)
                await savepoint.undo()
            else:
                await savepoint.keep()

    async def _connected(self) -> AsyncConnection:
        if self._connection is None or self._connection.invalidated:
            await self._disconnect()
            self._connection = await self._engine.connect()
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.invalidate()
            with contextlib.suppress(Exception):
                await connection.close()


class CommitFailed(Unavailable):
    """The commit itself failed: what it held may be durable or not, so it must not simply run again."""


class Savepoint:
    """The savepoint around each piece of a group, moved on from piece to piece, past SQLAlchemy's bookkeeping."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    @classmethod
    async def begin(cls, connection: AsyncConnection) -> Savepoint:
        """Set it; through SQLAlchemy this once, so that the transaction has begun."""
        await connection.exec_driver_sql("SAVEPOINT piece")
        raw = await connection.get_raw_connection()
        return cls(raw.driver_connection)

    async def keep(self) -> None:
        """Keep what the piece did and set the savepoint anew."""
        await self._driver.execute("RELEASE SAVEPOINT piece; SAVEPOINT piece")

    async def undo(self) -> None:
        """Undo what the piece did; the savepoint stays."""
        await self._driver.execute("ROLLBACK TO SAVEPOINT piece")


def _is_lost(connection: AsyncConnection, error: BaseException) -> bool:
    """Tell whether an error means that the connection is of no more use, whatever the work made of it."""
    return connection.invalidated or isinstance(translated_error(error) or error, ConnectionLost)


def _fail(piece: Piece[Any], error: BaseException) -> None:
    piece.error = error
    piece.again = isinstance(error, Contention)


def _commit_failed(error: Exception) -> Exception:
    reason = translated_error(error) or error
    if isinstance(reason, Contention) or not isinstance(reason, Unavailable):
        return reason
    return CommitFailed(f"the commit failed and may or may not have happened: {reason.message}")
