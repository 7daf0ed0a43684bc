"""An event loop whose time is a number: it jumps to what is due next, and the same play is the same each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

EPOCH = 1_700_000_000
"""When virtual time begins, in seconds since 1970."""

MOST_TURNS = 100_000
"""A loop that has turned more often than this turns in vain."""


class _Jump:
    """Stands where a loop waits for sockets: nothing ever comes, so time passes at once."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        """Let the time pass; raises Standstill when there is nothing to wait for."""
        if timeout is None:
            raise Standstill("nothing is under way and no timer is set")
        self._loop.turns += 1
        if self._loop.turns > MOST_TURNS:
            raise Standstill(f"{MOST_TURNS} turns of the loop, and no end")
        if timeout > 0:
            self._loop.now += timeout
        return []


class Standstill(RuntimeError):
    """Nothing will ever happen again, or the same for ever."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs coroutines in virtual time, without sockets and threads.

    What asks for a thread is run in place: with a real one the order of things would depend on the machine.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.turns = 0
        self._selector = _Jump(self)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.now

    def microseconds(self) -> int:
        """Virtual microseconds since 1970, as the engine counts."""
        return EPOCH * 1_000_000 + round(self.now * 1_000_000)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # narrower than the original, which knows all kinds of executors
        """Run a function here and now; its result arrives a moment later, as that of a thread would."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody else is there to wake the loop."""
