"""The engine's clock, replaceable in tests."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]


def system_clock() -> int:
    """Microseconds since 1970, UTC."""
    return time.time_ns() // 1_000
