"""An attempt that the plugin looks after, and how long it has been waiting for others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

from elevon_propeller.plugins.clock import Clock
from elevon_propeller.plugins.connector.records import JobRecord
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report, ReportSink


@dataclass(slots=True)
class Watched:
    """One attempt: what was last told of it, the task that looks after it, and a CreateTask that is under way."""

    attempt: Attempt
    sink: ReportSink
    last: Report | None = None
    task: asyncio.Task[None] | None = None
    creating: asyncio.Task[JobRecord] | None = None
    waiting_since: float | None = field(default=None, init=False)

    def report(self, report: Report) -> bool:
        """Pass a report on unless it tells nothing new; says whether it did."""
        before = self.last
        if (
            before is not None
            and not report.phase.is_final
            and replace(before, occurred_at=report.occurred_at) == report
        ):
            return False
        self.last = report
        self.sink(report)
        return True

    def say(self, reason: str, clock: Clock, phase: AttemptPhase | None = None) -> None:
        """Tell people why it stands as it does; links and phase stay as they were."""
        before = self.last or Report(AttemptPhase.QUEUED, clock())
        self.report(replace(before, occurred_at=clock(), reason=reason, phase=phase or before.phase))

    def waits(self, patience: timedelta) -> float:
        """Seconds that remain of its patience, which runs from the first call of this until `goes_on`."""
        now = asyncio.get_running_loop().time()
        if self.waiting_since is None:
            self.waiting_since = now
        return self.waiting_since + patience.total_seconds() - now

    def goes_on(self) -> None:
        """What was waited for is there."""
        self.waiting_since = None
