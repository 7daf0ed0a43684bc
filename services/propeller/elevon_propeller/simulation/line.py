"""A replica's connection to everything around it: each call may be late, fail, or be the replica's last."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from elevon_core.errors import ElevonError, Unavailable

from elevon_propeller.simulation.faults import ON_CALLS, Danger, Fault, Faults
from elevon_propeller.simulation.ledger import Rule, Violation

T = TypeVar("T")

QUICK, SLOW = 0.004, 0.3
"""Seconds that calls take: most the former at most, one in ten up to the latter."""

AT_ONCE = 0.4
"""So many calls take no time."""

ANSWERS_THAT_LAG = 0.3
"""So many of the answers take as long again as the way there."""


@dataclass(slots=True)
class Weather:
    """What all replicas share: the faults, the outages, the latencies, and the first rule that was broken.

    `broken` belongs to the loop of the play; `notes` is the history, kept only when it is asked for.
    """

    faults: Faults
    rng: random.Random
    now: Callable[[], float]
    broken: asyncio.Future[None]
    outages: dict[str, float] = field(default_factory=dict)
    notes: list[str] | None = None

    def note(self, who: str, text: str) -> None:
        """Take down what happens."""
        if self.notes is not None:
            self.notes.append(f"{self.now():10.3f}  {who:<6} {text}")

    def violate(self, violation: Violation) -> None:
        """A rule was broken: the play ends."""
        if not self.broken.done():
            self.note("RULE", str(violation))
            self.broken.set_exception(violation)

    def latency(self) -> float:
        """How long a call takes on its way; nothing at all now and then, as when two things happen at once."""
        chance = self.rng.random()
        if chance < AT_ONCE:
            return 0.0
        return chance * QUICK if chance < 0.9 else (chance - 0.9) * 10 * SLOW


class Line:
    """Carries the calls of one replica. `die` is called when a call is to be the last."""

    def __init__(self, who: str, weather: Weather, die: Callable[[], None]) -> None:
        self.who = who
        self.alive = True
        self._weather = weather
        self._die = die
        self._cut_until = 0.0
        self._muted_until = 0.0

    @property
    def is_cut(self) -> bool:
        """Whether nothing gets through now."""
        return self._cut_until > self._weather.now()

    async def call(self, place: str, what: str, effect: Callable[[], Awaitable[T]]) -> T:
        """Have something done at a place of the world; raises Unavailable when it fails on the way there or back."""
        weather = self._weather
        fault = weather.faults.next(ON_CALLS, f"{place}: {what}")
        if fault is not None:
            self._happen(fault, place, what)
        delay = weather.latency() + (fault.length if fault and fault.danger is Danger.LATE else 0.0)
        if delay:
            await asyncio.sleep(delay)
        if self.is_cut:
            await self._get_through()
        if fault is not None and fault.danger is Danger.CRASH_BEFORE:
            self._die()
        if not self.alive:
            await _never()
        self._check(place, what, fault)
        try:
            result = await effect()
        except Violation as violation:
            weather.violate(violation)
            await _never()
        except ElevonError as error:
            weather.note(self.who, f"{place}: {what} answers {type(error).__name__}")
            raise
        weather.note(self.who, f"{place}: {what}")
        return await self._answer(fault, place, what, result)

    async def _answer(self, fault: Fault | None, place: str, what: str, result: T) -> T:
        if fault is not None and fault.danger is Danger.CRASH_AFTER:
            self._die()
            await _never()
        if self._weather.rng.random() < ANSWERS_THAT_LAG:
            await asyncio.sleep(self._weather.latency())
            await self._get_through()
        if fault is not None and fault.danger is Danger.SLOW_ANSWER:
            await asyncio.sleep(fault.length)
            await self._get_through()
        if fault is not None and fault.danger is Danger.UNHEARD:
            raise Unavailable(f"{place}: the answer to {what} was lost")
        return result

    def _happen(self, fault: Fault, place: str, what: str) -> None:
        weather = self._weather
        now = weather.now()
        weather.note(self.who, f"! {fault.danger.value} ({fault.length} s) {place}: {what}")
        if fault.danger is Danger.CUT_OFF:
            self._cut_until = now + 3 * fault.length
        elif fault.danger is Danger.MUTED:
            self._muted_until = now + 5 * fault.length
        elif fault.danger is Danger.OUTAGE:
            weather.outages[place] = now + min(fault.length, 4.0)

    def _check(self, place: str, what: str, fault: Fault | None) -> None:
        now = self._weather.now()
        if fault is not None and fault.danger is Danger.REFUSED:
            raise Unavailable(f"{place}: {what} did not get through")
        if self._weather.outages.get(place, 0.0) > now:
            raise Unavailable(f"{place} is out of reach")
        if what == "renew" and self._muted_until > now:
            raise Unavailable(f"{place}: {what} did not get through")

    async def _get_through(self) -> None:
        while self.alive and self._cut_until > self._weather.now():  # noqa: ASYNC110  virtual time has no event
            await asyncio.sleep(self._cut_until - self._weather.now() + QUICK)
        if not self.alive:
            await _never()


async def _never() -> None:
    """Wait for good: what a dead replica was about to do does not happen."""
    await asyncio.get_running_loop().create_future()


def defect(message: str) -> Violation:
    """The violation that an error of the engine's own is."""
    return Violation(Rule.NO_DEFECT, message)
