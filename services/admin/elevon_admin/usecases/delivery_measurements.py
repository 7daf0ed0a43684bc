"""What admin counts about messages to receivers outside."""

from __future__ import annotations

from elevon_kit import telemetry


class DeliveryMeasurements:
    """A counter of attempts; make one after telemetry is configured."""

    def __init__(self) -> None:
        self._messages = telemetry.meter().create_counter(
            "elevon.admin.messages", "1", "Messages to receivers outside, by receiver and outcome"
        )

    def sent(self, receiver: str, outcome: str, count: int = 1) -> None:
        """Count messages; the outcome is `acknowledged`, `failed` or `given_up`."""
        self._messages.add(count, {"receiver": receiver, "outcome": outcome})
