"""Large values in the object store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from elevon_kit.blobs import BlobNotFound, BlobStore
from elevon_kit.retry import ATOMIC, RetryPolicy

Key = TypeVar("Key")
Answer = TypeVar("Answer")
AT_ONCE = 16
"""How many objects one call moves at the same time."""


class BlobValueStore:
    """Implements ValueStore; every operation on one object is repeated while the store cannot be reached."""

    def __init__(self, blobs: BlobStore, retries: RetryPolicy = ATOMIC) -> None:
        self._blobs = blobs
        self._retries = retries

    async def write(self, values: Mapping[str, bytes]) -> None:
        """See ValueStore."""
        await self._each(values, lambda location: self._blobs.write(location, values[location]))

    async def read(self, locations: Sequence[str]) -> dict[str, bytes]:
        """See ValueStore."""
        found = await self._each(locations, self._read)
        return {location: data for location, data in found.items() if data is not None}

    async def missing(self, sizes: Mapping[str, int]) -> set[str]:
        """See ValueStore."""
        found = await self._each(sizes, self._blobs.size)
        return {location for location, size in found.items() if size != sizes[location]}

    async def delete(self, locations: Sequence[str]) -> None:
        """See ValueStore."""
        await self._each(locations, self._blobs.delete)

    async def _read(self, location: str) -> bytes | None:
        try:
            return await self._blobs.read(location)
        except BlobNotFound:
            return None

    async def _each(self, keys: Iterable[Key], operation: Callable[[Key], Awaitable[Answer]]) -> dict[Key, Answer]:
        """Run an operation for every key, some at a time; the first failure is raised after all have ended."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(key: Key) -> Answer:
            async with gate:
                return await self._retries.run(lambda: operation(key), what="blob")

        listed = list(keys)
        answers = await asyncio.gather(*(one(key) for key in listed), return_exceptions=True)
        found: dict[Key, Answer] = {}
        for key, answer in zip(listed, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            found[key] = answer
        return found
