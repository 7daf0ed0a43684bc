"""All timers of a process in one heap; nothing is stored of them, they are set again from the state."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from weakref import ref as weakref

from elevon_propeller.engine.decision import Timer
from elevon_propeller.engine.observations import TimerFired
from elevon_propeller.runtime.actors import Actor
from elevon_propeller.runtime.clock import Clock

Post = Callable[[Actor, TimerFired], None]


class Timers:
    """Wakes actors; timers of actors that are gone fall away when their time comes, and keep nothing in memory."""

    def __init__(self, clock: Clock, post: Post) -> None:
        self._clock = clock
        self._post = post
        self._heap: list[tuple[int, int, weakref[Actor], Timer]] = []
        self._count = 0
        self._changed = asyncio.Event()

    def add(self, actor: Actor, timer: Timer) -> None:
        """Set a timer."""
        self._count += 1
        heapq.heappush(self._heap, (timer.at, self._count, weakref(actor), timer))
        if self._heap[0][1] == self._count:
            self._changed.set()

    async def run(self) -> None:
        """Fire timers when their time has come; endless."""
        while True:
            self._changed.clear()
            pause = self._fire()
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _fire(self) -> float | None:
        """Fire what is due; returns seconds until the next one, at most a minute so that a changed clock is noticed."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            _, _, found, timer = heapq.heappop(self._heap)
            actor = found()
            if actor is not None and not actor.closed:
                self._post(actor, TimerFired(now, timer.node_id, timer.kind, timer.number))
        return min((self._heap[0][0] - now) / 1_000_000 + 0.000_5, 60.0) if self._heap else None

    def __len__(self) -> int:
        return len(self._heap)
