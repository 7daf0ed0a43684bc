"""How connections share the event loop: beside others, each has a third of its time at most, and less when it is short.

All calls are worked on by one event loop. Who has a hundred calls on their way would make everybody wait for a hundred
calls each time, as fast as its bucket lets it call. So while others call, the calls of a connection begin so far apart
that two thirds of the time stay free, by what its calls have taken so far. Where the others need more than that, calls
that were held back come late to their turn; then the part shrinks, down to twice what each would have if all had the
same: who calls as much as everybody else is never held back for long. Alone, nothing of this is felt.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, TypeVar

T = TypeVar("T")

SHARE = 1 / 3
"""Part of the time that is one connection's at most."""

EQUAL_PARTS = 2
"""So many equal parts of the time are a connection's in any case, as far as they are no more than `SHARE`."""

AHEAD_SECONDS = 1 / 60
"""Time that a connection may take at once before its calls are kept apart."""

LATE_SECONDS = 0.002
"""Lateness above which time is short. Timers alone come up to a millisecond late."""

LATE_WEIGHT = 0.1
"""Of the newest lateness in the one that counts."""

ADJUST_SECONDS = 0.1
"""How often the part is made smaller or larger, and by how much: quickly down, slowly up."""
SHRINK, GROW = 0.7, 1.1

LEAST_SECONDS = 1 / 1_800
"""What a call takes at least: receiving and answering cost about half a millisecond that is not seen here."""

WEIGHT = 0.2
"""Of the newest call, in what the next one is expected to take."""

PERIOD_SECONDS = 0.5
"""A connection counts as one that calls for this period and the next."""


@dataclass(slots=True)
class Part:
    """What is remembered of one connection: when its next call is due beside others, and what its calls take."""

    due: float = float("-inf")
    expected: float = LEAST_SECONDS
    period: int = -1


class Sharing:
    """Tells connections that call at the same time, and keeps the calls of each apart."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._period = -1
        self._calling = 0
        self._called = 0
        self._share = SHARE
        self._late = 0.0
        self._adjusted_at = float("-inf")

    def greet(self, part: Part) -> None:
        """Note that a connection calls."""
        self._turn_page()
        if part.period != self._period:
            part.period = self._period
            self._calling += 1

    def is_needed(self) -> bool:
        """Whether several connections call at this time."""
        return self._connections() > 1

    @property
    def share(self) -> float:
        """Part of the time that each connection has at present."""
        return max(self._share, min(SHARE, EQUAL_PARTS / max(self._connections(), 1)))

    def begin(self, part: Part) -> float:
        """Answer how many seconds a call has to wait before it begins; `charge` tells what it took."""
        now, share = self._clock(), self.share
        part.due = max(part.due, now - AHEAD_SECONDS / share)
        wait = part.due - now
        part.due += part.expected / share
        return max(wait, 0.0)

    def came_late(self, seconds: float) -> None:
        """Note how much later than asked for a call that was held back came to its turn: as long waits every step."""
        self._late += LATE_WEIGHT * (seconds - self._late)
        now = self._clock()
        if now - self._adjusted_at >= ADJUST_SECONDS:
            self._adjusted_at = now
            self._share = min(SHARE, self.share * (SHRINK if self._late > LATE_SECONDS else GROW))

    def charge(self, part: Part, seconds: float) -> None:
        """Note what a call has taken of the event loop's time."""
        took = max(seconds, LEAST_SECONDS)
        part.due += (took - part.expected) / self.share
        part.expected += WEIGHT * (took - part.expected)

    def _connections(self) -> int:
        """How many call at this time."""
        self._turn_page()
        return max(self._calling, self._called)

    def _turn_page(self) -> None:
        period = int(self._clock() / PERIOD_SECONDS)
        if period != self._period:
            self._called = self._calling if period == self._period + 1 else 0
            self._calling, self._period = 0, period


class Timed(Generic[T]):
    """Runs a coroutine when awaited, and adds up the seconds of its steps: what it took, not what it waited."""

    __slots__ = ("_work", "seconds")

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self.seconds = 0.0

    def __await__(self) -> Generator[Any, Any, T]:
        """Hand through what the coroutine waits for, and what comes of that."""
        value: object = None
        failure: BaseException | None = None
        try:
            while True:
                began = perf_counter()
                try:
                    wanted = self._work.send(value) if failure is None else self._work.throw(failure)
                except StopIteration as done:
                    answer: T = done.value
                    return answer
                finally:
                    self.seconds += perf_counter() - began
                value = failure = None
                try:
                    value = yield wanted
                except BaseException as error:  # a cancellation is the coroutine's to deal with
                    failure = error
        finally:
            self._work.close()
