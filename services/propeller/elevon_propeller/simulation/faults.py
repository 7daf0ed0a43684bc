"""What can go wrong, and when: drawn from the seed while a world is played, or given as a list to be played again."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class Danger(Enum):
    """What happens to one call of a replica to its surroundings, or to one observation on its way."""

    CRASH_BEFORE = "the replica dies before"
    CRASH_AFTER = "the replica dies after"
    REFUSED = "the call fails"
    UNHEARD = "the call has its effect, the answer is lost"
    LATE = "the call takes long"
    SLOW_ANSWER = "the answer takes long"
    CUT_OFF = "no call of the replica gets through for a while"
    MUTED = "the replica cannot renew its leases for a while"
    OUTAGE = "nobody reaches what was called for a while"
    REPEATED = "the observation comes twice"
    OVERTAKEN = "the observation comes later than others"


ON_CALLS = (
    Danger.CRASH_BEFORE,
    Danger.CRASH_AFTER,
    Danger.REFUSED,
    Danger.REFUSED,
    Danger.UNHEARD,
    Danger.UNHEARD,
    Danger.LATE,
    Danger.LATE,
    Danger.SLOW_ANSWER,
    Danger.CUT_OFF,
    Danger.MUTED,
    Danger.OUTAGE,
)
ON_MAIL = (Danger.REPEATED, Danger.OVERTAKEN)
RATES = (0.0, 0.01, 0.03, 0.06, 0.12)
"""How many calls in all meet with a danger, of which each world has one."""

MOST = 60
"""So many faults a world has at most; after them it recovers, and everything in it must come to an end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: at the call or observation of this number; `length` is in seconds."""

    moment: int
    danger: Danger
    length: float


@dataclass(slots=True)
class Faults:
    """Decides about every call and observation of a world in turn."""

    rng: random.Random
    rate: float
    planned: dict[int, Fault] | None = None
    happened: list[Fault] = field(default_factory=list)
    moment: int = 0

    @classmethod
    def of_seed(cls, seed: int) -> Faults:
        """The faults that a seed brings."""
        rng = random.Random(f"faults {seed}")
        return cls(rng, rng.choice(RATES))

    @classmethod
    def given(cls, faults: Iterable[Fault]) -> Faults:
        """These faults and no others."""
        return cls(random.Random(0), 0.0, {fault.moment: fault for fault in faults})

    def next(self, kinds: tuple[Danger, ...], what: str) -> Fault | None:
        """What happens to the next call or observation; `what` says which it is."""
        self.moment += 1
        if self.planned is not None:
            fault = self.planned.get(self.moment)
        elif self.rng.random() < self.rate and len(self.happened) < MOST:
            fault = Fault(self.moment, self.rng.choice(kinds), round(self.rng.expovariate(0.7), 3))
        else:
            return None
        if fault is None or fault.danger not in kinds:
            return None
        self.happened.append(fault)
        return fault
