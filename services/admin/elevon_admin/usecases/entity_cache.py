"""Registered entities kept in memory: they never change, so what was read once need not be read again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


class EntityCache(Generic[Kept]):
    """Keeps what was used last, up to a number of bytes; everybody shares the same object and must not change it."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._used = 0
        self._kept: OrderedDict[Hashable, tuple[Kept, int]] = OrderedDict()

    def get(self, key: Hashable) -> Kept | None:
        """What is kept under the key, or None."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: Kept, size: int) -> None:
        """Keep a value of so many bytes, at the cost of those used longest ago."""
        previous = self._kept.pop(key, None)
        if previous is not None:
            self._used -= previous[1]
        if size > self._capacity:
            return
        self._kept[key] = (value, size)
        self._used += size
        while self._used > self._capacity:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._used -= dropped
