"""A plugin for tests: attempts end when the test says so."""

from __future__ import annotations

from collections.abc import Callable

from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report, ReportSink

Script = Callable[[Attempt], Report | None]
"""Answers the final report of an attempt at once, or None to leave it running until `finish`."""


class FakePlugin:
    """Keeps attempts in memory and counts what was asked of it; `script` may end them at once.

    Tests read and give generated names where an attempt has one, since its own name is hard to foresee.
    """

    def __init__(
        self,
        plugin_id: str = "fake",
        task_types: frozenset[str] = frozenset(),
        script: Script | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._id = plugin_id
        self._task_types = task_types
        self._script = script
        self._clock = clock
        self._sinks: dict[str, ReportSink] = {}
        self._ended: dict[str, Report] = {}
        self._shown: dict[str, str] = {}
        self.started: list[str] = []
        self.aborted: list[tuple[str, str]] = []
        self.finalized: list[str] = []
        self.detached: list[str] = []

    @property
    def id(self) -> str:
        """The id given."""
        return self._id

    @property
    def task_types(self) -> frozenset[str]:
        """The task types given."""
        return self._task_types

    @property
    def running(self) -> frozenset[str]:
        """Names of the attempts that have not ended."""
        return frozenset(self._shown[name] for name in self._sinks)

    async def open(self) -> None:
        """Nothing to prepare."""

    async def start(self, attempt: Attempt, report: ReportSink) -> None:
        """Begin, or attach again; an attempt that has ended reports its end once more."""
        if attempt.name in self._ended:
            report(self._ended[attempt.name])
            return
        self._shown[attempt.name] = attempt.generated_name or attempt.name
        self.started.append(self._shown[attempt.name])
        self._sinks[attempt.name] = report
        report(Report(AttemptPhase.RUNNING, self._clock()))
        final = self._script(attempt) if self._script else None
        if final is not None:
            self._end(attempt.name, final)

    def finish(self, name: str, final: Report) -> None:
        """End a running attempt with this report; raises KeyError when none of that name runs."""
        running = {self._shown[each]: each for each in self._sinks}
        self._end(running[name], final)

    def say(self, name: str, news: Report) -> None:
        """Report something of a running attempt that goes on; raises KeyError when none of that name runs."""
        running = {self._shown[each]: each for each in self._sinks}
        self._sinks[running[name]](news)

    def _end(self, name: str, final: Report) -> None:
        sink = self._sinks.pop(name)
        self._ended[name] = final
        sink(final)

    async def abort(self, name: str, reason: str) -> None:
        """Stop; nothing more is reported."""
        self.aborted.append((self._shown.get(name, name), reason))
        self._sinks.pop(name, None)

    async def finalize(self, name: str) -> None:
        """Forget how the attempt ended."""
        self.finalized.append(self._shown.get(name, name))
        self._ended.pop(name, None)

    async def detach(self, name: str) -> None:
        """Forget who listens."""
        self.detached.append(self._shown.get(name, name))
        self._sinks.pop(name, None)

    async def close(self) -> None:
        """Forget who listens."""
        self._sinks.clear()
