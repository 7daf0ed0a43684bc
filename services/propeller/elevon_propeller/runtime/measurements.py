"""What propeller counts and times."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from elevon_kit import telemetry
from opentelemetry.metrics import CallbackOptions, Observation

from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.plugins.contract import AttemptPhase


class RuntimeMeasurements:
    """Counters of attempts and executions, times of steps, what waits; make one after telemetry is configured."""

    def __init__(self) -> None:
        self._meter = telemetry.meter()
        self._attempts = self._meter.create_counter(
            "elevon.propeller.attempts", "1", "Attempts that have ended, by plugin and outcome"
        )
        self._executions = self._meter.create_counter(
            "elevon.propeller.executions.ended", "1", "Executions that have ended, by phase"
        )
        self._steps = self._meter.create_histogram(
            "elevon.propeller.step.duration",
            "s",
            "From looking at what has happened until what follows is durable",
        )
        self._observations = self._meter.create_counter(
            "elevon.propeller.observations", "1", "Things that have happened to executions, looked at in steps"
        )

    def attempt_ended(self, plugin: str, outcome: AttemptPhase) -> None:
        """Count an attempt by how it ended."""
        self._attempts.add(1, {"plugin": plugin, "outcome": outcome.value})

    def execution_ended(self, phase: ExecutionPhase) -> None:
        """Count an execution by how it ended."""
        self._executions.add(1, {"phase": phase.name.lower()})

    def stepped(self, observations: int, seconds: float) -> None:
        """Record a step: how much was looked at, and how long it took to be durable."""
        self._steps.record(seconds)
        self._observations.add(observations)

    def watch(self, name: str, unit: str, description: str, read: Callable[[], int]) -> None:
        """Show a number that is asked for whenever somebody looks."""

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(read())]

        self._meter.create_observable_gauge(f"elevon.propeller.{name}", [observe], unit, description)
