"""Group commit: a commit costs as much for a hundred changes as for one, so whatever is ready shares the next one."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from elevon_core.errors import Unavailable
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from elevon_kit.database_errors import Contention, translated_error
from elevon_kit.logging import get_logger

log = get_logger("database")

T = TypeVar("T")
ATTEMPTS = 5
FIRST_PAUSE = 0.01


@dataclass(slots=True, eq=False)
class Piece(Generic[T]):
    """One piece of work, the caller that waits for it, and what came of it so far."""

    work: Callable[[AsyncConnection], Awaitable[T]]
    done: asyncio.Future[T]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    attempts: int = 0
    result: T | None = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Tell the caller, unless it went away."""
        if self.done.done():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(cast(T, self.result))


class Writer:
    """The single task that writes: takes all that is waiting, up to a limit, into one transaction."""

    def __init__(self, engine: AsyncEngine, group_size: int) -> None:
        self._engine = engine
        self._group_size = group_size
        self._waiting: deque[Piece[Any]] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take work."""
        self._task = asyncio.create_task(self._run(), name="database writer")

    async def stop(self) -> None:
        """Finish what is waiting, then end."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

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
        """Run a group to its end; no error of one group ever ends the writer."""
        try:
            await self._commit(group)
        except Exception as error:
            reason = translated_error(error) or error
            for piece in group:
                piece.error = piece.error or reason
        again = [piece for piece in group if isinstance(piece.error, Contention) and piece.attempts < ATTEMPTS]
        for piece in group:
            if piece not in again:
                piece.settle()
        if again:
            await self._again(again)

    async def _again(self, pieces: list[Piece[Any]]) -> None:
        pause = FIRST_PAUSE * 2 ** max(piece.attempts for piece in pieces)
        log.warning("write repeated", pieces=len(pieces), reason=str(pieces[0].error))
        await asyncio.sleep(pause)
        for piece in reversed(pieces):
            piece.error = piece.result = None
            self._waiting.appendleft(piece)
        self._wake.set()

    async def _commit(self, group: list[Piece[Any]]) -> None:
        async with self._engine.connect() as connection, connection.begin():
            if len(group) == 1:
                await self._run_alone(group[0], connection)
            else:
                for piece in group:
                    await self._run_in_savepoint(piece, connection)

    async def _run_alone(self, piece: Piece[Any], connection: AsyncConnection) -> None:
        piece.attempts += 1
        piece.result = await self._in_context(piece, connection)

    async def _run_in_savepoint(self, piece: Piece[Any], connection: AsyncConnection) -> None:
        piece.attempts += 1
        savepoint = await connection.begin_nested()
        try:
            piece.result = await self._in_context(piece, connection)
        except (Exception, asyncio.CancelledError) as error:
            await savepoint.rollback()
            piece.error = error
        else:
            await savepoint.commit()

    async def _in_context(self, piece: Piece[Any], connection: AsyncConnection) -> Any:
        async def run() -> Any:
            return await piece.work(connection)

        return await asyncio.create_task(run(), context=piece.context)
