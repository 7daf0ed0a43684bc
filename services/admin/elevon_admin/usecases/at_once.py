"""Many pieces of work, some of which are done at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Result = TypeVar("Result")


async def some_at_once(work: Iterable[Callable[[], Awaitable[Result]]], most: int) -> list[Result]:
    """The results of all; when one fails, or the caller goes away, nothing goes on that the error does not tell of."""
    places = asyncio.Semaphore(most)

    async def one(piece: Callable[[], Awaitable[Result]]) -> Result:
        async with places:
            return await piece()

    tasks = [asyncio.ensure_future(one(piece)) for piece in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
