"""The heap of all timers of a process."""

from __future__ import annotations

import asyncio
from typing import cast

from elevon_propeller.engine.decision import Timer
from elevon_propeller.engine.phases import TimerKind
from elevon_propeller.runtime.actors import Actor
from elevon_propeller.runtime.timers import Timers


class Someone:
    """An actor, as far as a timer that never fires knows it."""


async def test_being_stopped_in_the_moment_of_a_change_is_being_stopped() -> None:
    actor = Someone()
    timers = Timers(lambda: 0, lambda *_: None)
    timers.add(cast("Actor", actor), Timer(2_000_000_000, "n0", TimerKind.SLEEP, 0))
    running = asyncio.create_task(timers.run())
    for _ in range(3):
        await asyncio.sleep(0)
    timers.add(cast("Actor", actor), Timer(1_000_000_000, "n0", TimerKind.SLEEP, 0))
    running.cancel()
    await asyncio.wait([running], timeout=5)
    assert running.cancelled()
