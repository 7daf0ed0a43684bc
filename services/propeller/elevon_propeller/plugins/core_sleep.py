"""The `core-sleep` plugin: a task that is over when the duration given as its only input has passed; nothing runs."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from elevon_core import types
from elevon_idl.core import v1 as core

from elevon_propeller.plugins import reports
from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report, ReportSink

_LONGEST = timedelta(days=365 * 1000)


class CoreSleepPlugin:
    """Sleeps by timer: an attempt at rest costs one heap entry.

    The end is counted from `attempt.started_at`, so a restart neither shortens nor prolongs it. The task must have
    exactly one input, a duration that is not negative, and no outputs; anything else fails for good with
    `BadTaskSpecification`.
    """

    id = "core-sleep"
    task_types = frozenset({"core-sleep"})

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._asleep: dict[str, asyncio.TimerHandle] = {}

    async def open(self) -> None:
        """Nothing to prepare."""

    async def start(self, attempt: Attempt, report: ReportSink) -> None:
        """Set the alarm for what remains of the sleep."""
        await self.finalize(attempt.name)
        problem = _problem(attempt)
        if problem:
            report(reports.permanent(self._clock(), "BadTaskSpecification", problem))
            return
        wakes_at = attempt.started_at + _duration(next(iter(attempt.inputs.literals.values())))
        now = self._clock()
        if wakes_at <= now:
            report(reports.succeeded(now, core.LiteralMap()))
            return
        report(Report(AttemptPhase.RUNNING, now, reason=f"sleeping until {wakes_at.isoformat()}"))
        self._set_alarm(attempt.name, wakes_at, report)

    async def abort(self, name: str, reason: str) -> None:
        """Switch the alarm off."""
        await self.finalize(name)

    async def finalize(self, name: str) -> None:
        """Switch the alarm off."""
        handle = self._asleep.pop(name, None)
        if handle is not None:
            handle.cancel()

    async def detach(self, name: str) -> None:
        """Switch the alarm off."""
        await self.finalize(name)

    async def close(self) -> None:
        """Switch all alarms off; they are set again from the recorded starts."""
        while self._asleep:
            self._asleep.popitem()[1].cancel()

    def _set_alarm(self, name: str, wakes_at: datetime, report: ReportSink) -> None:
        remaining = (wakes_at - self._clock()).total_seconds()
        loop = asyncio.get_running_loop()
        self._asleep[name] = loop.call_later(max(remaining, 0.0), self._ring, name, wakes_at, report)

    def _ring(self, name: str, wakes_at: datetime, report: ReportSink) -> None:
        if self._clock() < wakes_at:  # the loop's clock and the wall clock may disagree
            self._set_alarm(name, wakes_at, report)
            return
        self._asleep.pop(name, None)
        report(reports.succeeded(self._clock(), core.LiteralMap()))


def _duration(literal: core.Literal) -> timedelta:
    value = literal.scalar.primitive.duration
    return min(timedelta(seconds=value.seconds, microseconds=value.nanos // 1000), _LONGEST)


def _problem(attempt: Attempt) -> str:
    interface = attempt.task.interface
    inputs, outputs = interface.inputs.variables, interface.outputs.variables
    if len(inputs) != 1:
        return f"a core-sleep task has exactly one input, a duration; this one has {len(inputs)}: {sorted(inputs)}"
    if outputs:
        return f"a core-sleep task has no outputs; this one has {sorted(outputs)}"
    name, variable = next(iter(inputs.items()))
    if variable.type.simple != core.DURATION:
        return f"the input of a core-sleep task is a duration; {name!r} is {types.describe(variable.type)}"
    literal = attempt.inputs.literals.get(name)
    if literal is None or not literal.scalar.primitive.HasField("duration"):
        return f"input {name!r} of a core-sleep task is missing or not a duration"
    value = literal.scalar.primitive.duration
    if value.seconds < 0 or value.nanos < 0:
        return f"input {name!r} of a core-sleep task is negative: {value.seconds + value.nanos / 1e9} seconds"
    return ""
