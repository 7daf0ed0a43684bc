"""Reads of single rows that share a statement: whoever asks while one is under way is served by the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class GroupedReads(Generic[Key, Value]):
    """Reads values by key; a statement begins after the calls that it serves, so nobody sees an older state."""

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[dict[Key, Value]]], most: int = 500) -> None:
        self._read = read
        self._most = most
        self._waiting: list[tuple[Sequence[Key], asyncio.Future[dict[Key, Value]]]] = []
        self._reader: asyncio.Task[None] | None = None

    async def get(self, keys: Sequence[Key]) -> dict[Key, Value]:
        """Read the values of those keys that have one; raises what the statement raises."""
        answer: asyncio.Future[dict[Key, Value]] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, answer))
        if self._reader is None:
            self._reader = asyncio.create_task(self._serve(), name="grouped reads")
        return await answer

    async def _serve(self) -> None:
        while self._waiting:
            group = self._take()
            try:
                found = await self._read(list({key for keys, _ in group for key in keys}))
            except Exception as error:
                self._fail(group, error)
                continue
            for keys, answer in group:
                if not answer.done():
                    answer.set_result({key: found[key] for key in keys if key in found})
        self._reader = None

    def _take(self) -> list[tuple[Sequence[Key], asyncio.Future[dict[Key, Value]]]]:
        """The calls that have waited longest, as many as one statement should carry."""
        taken = keys = 0
        while taken < len(self._waiting) and (not taken or keys + len(self._waiting[taken][0]) <= self._most):
            keys += len(self._waiting[taken][0])
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    @staticmethod
    def _fail(group: Sequence[tuple[Sequence[Key], asyncio.Future[dict[Key, Value]]]], error: Exception) -> None:
        for _, answer in group:
            if not answer.done():
                answer.set_exception(error)
