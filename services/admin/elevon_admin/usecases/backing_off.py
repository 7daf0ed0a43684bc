"""How long to wait after failures."""

from __future__ import annotations

import asyncio
import random


class Pause:
    """Exponential backoff that many deliveries share: while it lasts, nobody tries."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._failures = 0
        self._until = 0.0

    @property
    def lasts(self) -> bool:
        """Whether nobody should try now."""
        return asyncio.get_running_loop().time() < self._until

    async def over(self) -> None:
        """Wait until it is over."""
        left = self._until - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)

    def failed(self) -> None:
        """Begin a pause, longer than the last; failures during one belong to it."""
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            self._failures += 1
            self._until = now + backoff(self._failures, self._first, self._longest)

    def succeeded(self) -> None:
        """End it."""
        self._failures = 0
        self._until = 0.0


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after so many failures: doubling, capped, and spread by up to a half."""
    grown: float = min(longest, first * 2 ** min(failures - 1, 30))
    return grown * (0.5 + random.random() / 2)  # noqa: S311 - spreading load needs no secrecy
