"""How much one connection, and all of them together, may ask for at a time, so that one that floods slows only itself.

Each connection has a bucket of calls that refills at a steady rate, and a number of calls that are worked on at once. A
call beyond the rate waits for its turn; one whose turn is too far away is refused, after a wait too, so that clients
which repeat refused calls at once cannot keep the server busy with refusing. While others call, a connection has a
third of the time at most (`elevon_kit.grpc_sharing`); one that keeps very many calls waiting for that, and for long,
has further ones refused. Other services are never held back.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeAlias, TypeVar

import grpc
from elevon_core.errors import ResourceExhausted

from elevon_kit import telemetry
from elevon_kit.grpc_sharing import Part, Sharing, Timed
from elevon_kit.logging import get_logger
from elevon_kit.settings import LimitSettings

log = get_logger("limits")

T = TypeVar("T")

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

SERVICE_AGENT = "elevon-service"
"""The word in the user agent of a channel by which a service of Elevon is told from other clients."""

SWEEP_FROM = 1_024
"""Connections known at which those that have nothing to be remembered for are forgotten."""

TOLD_EVERY_SECONDS = 10.0
"""Refusals are summed up in one line of the log that often; a line for each would be a flood of its own."""

ROUNDING = 1e-6
"""Part of a call by which sums of intervals may be off."""

DETAINED_WAITS = 5.0
"""How long a call that is refused is kept at most, in longest waits of calls that are served."""

FULL_RETRY_SECONDS = 1.0
"""When to come back to a server that is full."""


def service_agent(key: str) -> str:
    """Answer the word that a service puts into its user agent."""
    return f"{SERVICE_AGENT}/{key}" if key else SERVICE_AGENT


@dataclass(slots=True)
class Caller:
    """What is remembered of a connection: its calls under way, and when its next call is due at the steady rate.

    Those that wait do so for the rate or for a turn.

    Whether its first call was a service's decides only if it counts as one that calls beside others.
    """

    turns: asyncio.Semaphore
    is_service: bool
    part: Part = field(default_factory=Part)
    calls: int = 0
    due: float = 0.0
    waiting: int = 0
    crowded_since: float = 0.0


@dataclass(slots=True)
class Place:
    """What a call that was let in holds until it ends."""

    caller: Caller
    has_turn: bool = field(default=False)
    is_shared: bool = field(default=False)


class CallLimits:
    """Lets calls in, holds them back or refuses them."""

    def __init__(self, settings: LimitSettings, clock: Callable[[], float] = monotonic) -> None:
        self.calls = 0
        self._clock = clock
        self._settings = settings
        self._agent = service_agent(settings.service_key.get_secret_value())
        self._interval = 1 / settings.calls_per_second if settings.calls_per_second else 0.0
        self._ahead = (settings.burst_calls - 1 + ROUNDING) * self._interval
        self._crowd = max(settings.streams // 2, 1)
        self._sharing = Sharing(clock)
        self._callers: dict[str, Caller] = {}
        self._sweep_at = SWEEP_FROM
        self._refused = 0
        self._told_at = float("-inf")
        meter = telemetry.meter()
        self._refusals = meter.create_counter("rpc.server.refused", description="Calls refused because of a limit")
        self._waits = meter.create_counter("rpc.server.held_back", description="Calls that waited for their turn")

    async def enter(self, context: Context, *, stream: bool = False) -> Place:
        """Wait for the turn of a call; `leave` gives it back. Raises ResourceExhausted.

        A stream, which may last for hours, needs no turn: only how often streams are opened counts.
        """
        name = context.peer()
        caller = self._callers.get(name) or self._meet(context, name)
        if self._interval and not caller.is_service:
            self._sharing.greet(caller.part)
        if self._is_full_for(caller) and not self._is_service(context, name):
            await self._detain()
            if self._is_full_for(caller):
                raise self._full(name)
        place = Place(caller)
        self.calls += 1
        caller.calls += 1
        try:
            if self._interval:
                await self._pace(context, name, caller)
            if not stream:
                await self._take_turn(context, name, place)
                await self._share(context, name, place)
        except BaseException:
            self.leave(place)
            raise
        return place

    async def work(self, place: Place, work: Coroutine[Any, Any, T]) -> T:
        """Do the work of a call that was let in, and note what it takes if the connection has to share."""
        if not place.is_shared:
            return await work
        timed = Timed(work)
        try:
            return await timed
        finally:
            self._sharing.charge(place.caller.part, timed.seconds)

    def leave(self, place: Place) -> None:
        """Note the end of a call."""
        self.calls -= 1
        place.caller.calls -= 1
        if place.has_turn:
            place.caller.turns.release()

    async def _detain(self) -> None:
        """Keep a call that is to be refused; not all as long, or they would all come again at the same moment."""
        waits = random.uniform(DETAINED_WAITS / 2, DETAINED_WAITS)  # noqa: S311 - nothing secret
        await asyncio.sleep(self._settings.wait_seconds * waits)

    def _is_full_for(self, caller: Caller) -> bool:
        """Whether no further call is let in; the second half is for connections that have few calls under way."""
        most = self._settings.most_calls
        return self.calls >= most or (self.calls >= most // 2 and caller.calls >= self._settings.turns)

    async def _pace(self, context: Context, name: str, caller: Caller) -> None:
        """Let a call of the bucket pass; others wait until they are due, or are refused."""
        now = self._clock()
        due = max(caller.due, now)
        wait = due - self._ahead - now
        if wait <= 0:
            caller.due = due + self._interval
            return
        if self._is_service(context, name):
            return
        if wait > self._settings.wait_seconds:
            await self._detain()
            raise self._too_often(name, wait)
        caller.due = due + self._interval
        self._waits.add(1, {"reason": "rate"})
        with self._held_back(caller):
            await asyncio.sleep(wait)

    async def _take_turn(self, context: Context, name: str, place: Place) -> None:
        caller = place.caller
        if caller.turns.locked():
            if self._is_service(context, name):
                return
            if self._is_crowded(caller):
                await self._detain()
                raise self._too_many(name)
            self._waits.add(1, {"reason": "concurrency"})
        with self._held_back(caller):
            await caller.turns.acquire()
        place.has_turn = True

    @contextlib.contextmanager
    def _held_back(self, caller: Caller) -> Iterator[None]:
        self._watch(caller)
        caller.waiting += 1
        try:
            yield
        finally:
            caller.waiting -= 1

    def _watch(self, caller: Caller) -> None:
        """Have the patience with a connection begin anew when few of its calls wait, or nobody else calls."""
        if caller.waiting < max(self._crowd // 2, 1) or not self._sharing.is_needed():
            caller.crowded_since = self._clock()

    def _is_crowded(self, caller: Caller) -> bool:
        """Whether a connection keeps half of what it may have open waiting, and has done so, beside others, for long.

        That is for as long as its bucket lasts: many calls in a short time are no flood.
        """
        self._watch(caller)
        return caller.waiting >= self._crowd and self._clock() - caller.crowded_since > self._ahead

    async def _share(self, context: Context, name: str, place: Place) -> None:
        """Have a connection leave others their time."""
        if not self._sharing.is_needed() or self._is_service(context, name):
            return
        place.is_shared = True
        wait = self._sharing.begin(place.caller.part)
        if wait:
            self._waits.add(1, {"reason": "others"})
            due = self._clock() + wait
            await asyncio.sleep(wait)
            self._sharing.came_late(max(self._clock() - due, 0.0))

    def _is_service(self, context: Context, name: str) -> bool:
        """Whether another service calls; asked about a connection's first call, and those that may have to wait."""
        if name.startswith("http:"):
            return False
        for key, value in context.invocation_metadata() or ():
            if key == "user-agent":
                return self._agent in str(value).split()
        return False

    def _meet(self, context: Context, name: str) -> Caller:
        if len(self._callers) >= self._sweep_at:
            self._forget()
        caller = self._callers[name] = Caller(asyncio.Semaphore(self._settings.turns), self._is_service(context, name))
        return caller

    def _forget(self) -> None:
        """Forget connections that are to be treated as one never seen: no call under way, the bucket full."""
        now = self._clock()
        self._callers = {name: each for name, each in self._callers.items() if each.calls or each.due > now}
        self._sweep_at = max(SWEEP_FROM, 2 * len(self._callers))

    def _full(self, name: str) -> ResourceExhausted:
        most = self._settings.most_calls
        message = (
            f"the server has {self.calls} calls under way, of {most} that grpc.limits.most_calls allows: keep fewer "
            f"calls under way at a time, or try again in a second"
        )
        return self._refuse(name, "server", message, FULL_RETRY_SECONDS)

    def _too_often(self, name: str, wait: float) -> ResourceExhausted:
        rate = self._settings.calls_per_second
        message = (
            f"too many calls on this connection: more than {rate:g} a second for too long, and more waiting than can "
            f"be answered within {self._settings.wait_seconds:g} s; keep fewer calls under way at a time, or wait "
            f"before repeating them (grpc.limits.calls_per_second sets the limit)"
        )
        return self._refuse(name, "rate", message, max(wait, 0.1))

    def _too_many(self, name: str) -> ResourceExhausted:
        message = (
            f"too many calls on this connection: {self._crowd} or more have been waiting for over "
            f"{self._ahead:.3g} s while others call too; keep fewer calls under way at a time "
            f"(grpc.limits.turns are worked on at once)"
        )
        return self._refuse(name, "waiting", message, DETAINED_WAITS * self._settings.wait_seconds)

    def _refuse(self, name: str, reason: str, message: str, seconds: float) -> ResourceExhausted:
        self._refusals.add(1, {"reason": reason})
        self._refused += 1
        now = self._clock()
        if now - self._told_at >= TOLD_EVERY_SECONDS:
            log.warning("calls refused", reason=reason, peer=name, since_last=self._refused, under_way=self.calls)
            self._told_at, self._refused = now, 0
        return Refused(message, seconds)


class Refused(ResourceExhausted):
    """A limit refused a call; the details tell when to come back."""

    def __init__(self, message: str, seconds: float) -> None:
        from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # googleapis ships no type information

        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(seconds * 1000))
        super().__init__(message, details=[retry])
