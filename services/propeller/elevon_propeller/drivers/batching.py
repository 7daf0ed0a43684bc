"""Many single questions, few calls: what is asked while a call is under way shares the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from elevon_core.errors import ElevonError
from elevon_kit.retry import is_transient

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(slots=True, eq=False)
class _Item(Generic[Q, A]):
    key: Hashable
    question: Q
    answer: asyncio.Future[A]


class Batcher(Generic[Q, A]):
    """Asks in batches of at most `limit`; a question whose key is in the batch already waits for the next one.

    When a batch is refused for good, its questions are asked one by one, so that each has its own error.
    """

    def __init__(self, ask_all: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], limit: int) -> None:
        self._ask_all = ask_all
        self._limit = limit
        self._waiting: list[_Item[Q, A]] = []
        self._sender: asyncio.Task[None] | None = None

    async def ask(self, key: Hashable, question: Q) -> A:
        """The answer to one question."""
        item: _Item[Q, A] = _Item(key, question, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await item.answer

    async def _send(self) -> None:
        await asyncio.sleep(0)
        try:
            while self._waiting:
                await self._send_one(self._take())
        finally:
            self._sender = None

    def _take(self) -> list[_Item[Q, A]]:
        taken: dict[Hashable, _Item[Q, A]] = {}
        left: list[_Item[Q, A]] = []
        for item in self._waiting:
            if item.answer.done():
                continue
            if len(taken) < self._limit and item.key not in taken:
                taken[item.key] = item
            else:
                left.append(item)
        self._waiting = left
        return list(taken.values())

    async def _send_one(self, items: list[_Item[Q, A]]) -> None:
        if not items:
            return
        try:
            answers = await self._ask_all([item.question for item in items])
        except Exception as error:
            await self._failed(items, error)
            return
        for item, answer in zip(items, answers, strict=True):
            if not item.answer.done():
                item.answer.set_result(answer)

    async def _failed(self, items: list[_Item[Q, A]], error: Exception) -> None:
        if len(items) > 1 and isinstance(error, ElevonError) and not is_transient(error):
            for item in items:
                await self._send_one([item])
            return
        for item in items:
            if not item.answer.done():
                item.answer.set_exception(error)
