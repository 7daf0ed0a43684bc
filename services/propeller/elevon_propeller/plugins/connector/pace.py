"""How often a connector service may be called, and when something is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from elevon_core.errors import ElevonError
from elevon_kit.logging import get_logger

log = get_logger("connectors")

LONGER = 1.5
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(milliseconds=200), timedelta(seconds=15)


class Rate:
    """At most `per_second` calls in the long run, `burst` of them at once after a quiet time; first come, first served.

    The cell-rate algorithm: each call moves the time at which the next one is due.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] | None = None) -> None:
        self._gap = 1.0 / per_second
        self._slack = (burst - 1) * self._gap
        self._clock = clock
        self._due = float("-inf")

    def reserve(self) -> float:
        """Take the next place; answers how many seconds there are until then."""
        now = self._clock() if self._clock is not None else asyncio.get_running_loop().time()
        due = max(self._due, now - self._slack)
        self._due = due + self._gap
        return max(0.0, due - now)

    async def take(self) -> None:
        """Wait for the next place."""
        pause = self.reserve()
        if pause > 0:
            await asyncio.sleep(pause)


class Pauses:
    """Pauses that grow by half up to a limit, until `restart`."""

    def __init__(self, first: timedelta, longest: timedelta) -> None:
        self._first = min(first, longest).total_seconds()
        self._longest = longest.total_seconds()
        self._next = self._first

    def restart(self) -> None:
        """Begin with the first pause again."""
        self._next = self._first

    def take(self) -> float:
        """The next pause, in seconds."""
        pause = self._next
        self._next = min(pause * LONGER, self._longest)
        return pause


async def persistently(operation: Callable[[], Awaitable[None]]) -> None:
    """Do what must be done, as soon as the database lets it be."""
    pauses = Pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
    while True:
        try:
            await operation()
            return
        except ElevonError as error:
            log.warning("the database does not answer", error=error.message)
        await asyncio.sleep(pauses.take())
