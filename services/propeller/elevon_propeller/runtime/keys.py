"""Numbers for executions: they grow with time, so rows of the same age lie together, and replicas need not agree."""

from __future__ import annotations

import secrets

from elevon_propeller.runtime.clock import Clock

_COUNTER_BITS = 20


class Keys:
    """Gives out 61-bit numbers: milliseconds, then a counter that starts at random.

    Two replicas can hit on the same number only within one millisecond and by chance; the store refuses the second.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counter = secrets.randbits(_COUNTER_BITS)

    def next(self) -> int:
        """A number not given out before by this object."""
        self._counter = (self._counter + 1) % (1 << _COUNTER_BITS)
        return (self._clock() // 1_000) << _COUNTER_BITS | self._counter
