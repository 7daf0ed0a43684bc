"""What admin counts about executions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from elevon_core.errors import AlreadyExists, ElevonError
from elevon_kit import telemetry
from opentelemetry.metrics import CallbackOptions, Observation

from elevon_admin.domain.dispatches import DispatchKind


class ExecutionMeasurements:
    """Counters of launches, events and deliveries; make one after telemetry is configured."""

    def __init__(self) -> None:
        self._meter = telemetry.meter()
        self._launches = self._meter.create_counter("elevon.admin.launches", "1", "Executions created")
        self._events = self._meter.create_counter("elevon.admin.events", "1", "Events of engines, by outcome")
        self._deliveries = self._meter.create_counter("elevon.admin.deliveries", "1", "Calls to the engine, by outcome")

    def launched(self) -> None:
        """Count an execution."""
        self._launches.add(1)

    def reported(self, outcomes: Sequence[ElevonError | None]) -> None:
        """Count events."""
        for outcome, count in Counter(map(_outcome, outcomes)).items():
            self._events.add(count, {"outcome": outcome})

    def delivered(self, kind: DispatchKind, outcome: str) -> None:
        """Count a call to the engine; the outcome is `acknowledged` or `failed`."""
        self._deliveries.add(1, {"kind": kind.name.lower(), "outcome": outcome})

    def watch_waiting(self, waiting: Callable[[], int]) -> None:
        """Show how many dispatches are held in memory, asked when somebody looks."""

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(waiting())]

        self._meter.create_observable_gauge(
            "elevon.admin.dispatches.waiting", [observe], "{call}", "Calls to the engine not yet acknowledged"
        )


def _outcome(error: ElevonError | None) -> str:
    if error is None:
        return "recorded"
    return "already_recorded" if isinstance(error, AlreadyExists) else "refused"
