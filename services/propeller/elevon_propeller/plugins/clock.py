"""Where plugins read the time, so that tests can turn it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Answers the present moment in UTC."""


def system_clock() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)
