"""Calls that come together are done together: a statement for a hundred rows costs little more than for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from elevon_core.errors import DeadlineExceeded, ResourceExhausted, Unavailable

OF_ALL = (Unavailable, DeadlineExceeded, ResourceExhausted)
"""Errors that no single item has caused."""

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Gathered(Generic[Item, Outcome]):
    """Performs items one by one for its callers, and in groups for what is behind it.

    A group is whatever came while the previous one was under way, at most `most` items. `perform` answers one outcome,
    or an exception, for each item in order. If it raises, nothing was done: where another attempt may succeed, every
    caller of the group gets the error, else each item is performed by itself, so that one cannot harm the others.
    """

    def __init__(
        self, perform: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome | Exception]]], most: int = 250
    ) -> None:
        self._perform = perform
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[Outcome]]] = deque()
        self._working: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Outcome:
        """Perform one item, in the next group."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="gathered calls")
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._work_group()
        except BaseException as error:
            _settle([(future, error) for _, future in self._waiting])
            self._waiting.clear()
            raise
        finally:
            self._working = None

    async def _work_group(self) -> None:
        count = min(self._most, len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(count)]
        group = [(item, future) for item, future in taken if not future.done()]
        if not group:
            return
        try:
            await self._work_on(group)
        except BaseException as error:
            _settle([(future, error) for _, future in group])
            raise

    async def _work_on(self, group: Sequence[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        try:
            await self._work_together(group)
        except Exception as error:
            if len(group) == 1 or isinstance(error, OF_ALL):
                _settle([(future, error) for _, future in group])
                return
        else:
            return
        for each in group:
            if not each[1].done():
                await self._work_on([each])

    async def _work_together(self, group: Sequence[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        outcomes = await self._perform([item for item, _ in group])
        _settle([(future, outcome) for (_, future), outcome in zip(group, outcomes, strict=True)])


def _settle(outcomes: Sequence[tuple[asyncio.Future[Outcome], Outcome | BaseException]]) -> None:
    for future, outcome in outcomes:
        if future.done():
            continue
        if isinstance(outcome, asyncio.CancelledError):
            future.cancel()
        elif isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
