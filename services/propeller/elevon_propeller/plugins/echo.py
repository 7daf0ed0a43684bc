"""The `echo` plugin: a task whose outputs are its inputs; it measures the control plane and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from elevon_core import types
from elevon_idl.core import v1 as core

from elevon_propeller.plugins import reports
from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report, ReportSink


class EchoPlugin:
    """Copies inputs to outputs, after `delay` counted from the attempt's start.

    One input and one output are paired whatever their names; several must bear the same names. Anything else fails for
    good with `BadTaskSpecification`. Without a delay the only report is the success, made before `start` returns.
    """

    id = "echo"
    task_types = frozenset({"echo"})

    def __init__(self, delay: timedelta = timedelta(0), clock: Clock = system_clock) -> None:
        self._delay = delay
        self._clock = clock
        self._waiting: dict[str, asyncio.TimerHandle] = {}

    async def open(self) -> None:
        """Nothing to prepare."""

    async def start(self, attempt: Attempt, report: ReportSink) -> None:
        """Echo at once, or when the delay is over."""
        if attempt.name in self._waiting:
            self._waiting.pop(attempt.name).cancel()
        remaining = (attempt.started_at + self._delay - self._clock()).total_seconds() if self._delay else 0.0
        if remaining <= 0:
            report(self._echo(attempt))
            return
        report(Report(AttemptPhase.RUNNING, self._clock()))
        loop = asyncio.get_running_loop()
        self._waiting[attempt.name] = loop.call_later(remaining, self._finish, attempt, report)

    async def abort(self, name: str, reason: str) -> None:
        """Forget the attempt."""
        await self.finalize(name)

    async def finalize(self, name: str) -> None:
        """Forget the attempt."""
        handle = self._waiting.pop(name, None)
        if handle is not None:
            handle.cancel()

    async def detach(self, name: str) -> None:
        """Forget the attempt."""
        await self.finalize(name)

    async def close(self) -> None:
        """Forget all attempts; they start again from their recorded start."""
        while self._waiting:
            self._waiting.popitem()[1].cancel()

    def _finish(self, attempt: Attempt, report: ReportSink) -> None:
        self._waiting.pop(attempt.name, None)
        report(self._echo(attempt))

    def _echo(self, attempt: Attempt) -> Report:
        interface = attempt.task.interface
        problem = _problem(interface)
        if problem:
            return reports.permanent(self._clock(), "BadTaskSpecification", problem)
        outputs = core.LiteralMap()
        for source, target in _pairs(interface).items():
            if source in attempt.inputs.literals:
                outputs.literals[target].CopyFrom(attempt.inputs.literals[source])
        return reports.succeeded(self._clock(), outputs)


def _pairs(interface: core.TypedInterface) -> dict[str, str]:
    sources, targets = interface.inputs.variables, interface.outputs.variables
    if len(sources) == 1:
        return {next(iter(sources)): next(iter(targets))}
    return {name: name for name in sources}


def _problem(interface: core.TypedInterface) -> str:
    sources, targets = interface.inputs.variables, interface.outputs.variables
    if len(sources) != len(targets):
        return f"an echo task has as many inputs as outputs; this one has {len(sources)} and {len(targets)}"
    if len(sources) > 1 and set(sources) != set(targets):
        return (
            "an echo task with several inputs names its outputs like them; "
            f"inputs {sorted(sources)}, outputs {sorted(targets)}"
        )
    for source, target in _pairs(interface).items():
        given, wanted = sources[source].type, targets[target].type
        if given != wanted and not types.castable(given, wanted):
            return (
                f"input {source!r} is {types.describe(given)} and cannot become output {target!r}, "
                f"which is {types.describe(wanted)}"
            )
    return ""
