"""What admin counts about schedules."""

from __future__ import annotations

from elevon_kit import telemetry

from elevon_admin.domain.scheduled_executions import TickStatus


class ScheduleMeasurements:
    """Counters of ticks; make one after telemetry is configured."""

    def __init__(self) -> None:
        meter = telemetry.meter()
        self._ticks = meter.create_counter("elevon.admin.schedule.ticks", "1", "Ticks of schedules, by status")
        self._lateness = meter.create_histogram(
            "elevon.admin.schedule.lateness", "s", "Time from when a tick was due to when it was dealt with"
        )

    def ticks(self, count: int, status: TickStatus) -> None:
        """Count ticks that were launched, skipped or given up."""
        self._ticks.add(count, {"status": status.name.lower()})

    def lateness(self, nanoseconds: int) -> None:
        """Record how late a tick was."""
        self._lateness.record(max(0, nanoseconds) / 1_000_000_000)
