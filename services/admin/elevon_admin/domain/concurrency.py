"""How many executions of a launch plan may run at once, and what becomes of one more."""

from __future__ import annotations

import enum
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from elevon_core.errors import AlreadyExists, InvalidArgument
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.records import ExecutionKey

BEHAVIOR_ANNOTATION = "elevon/concurrency"
"""Annotation of a launch plan: skip, wait or replace; it overrides the behavior of its concurrency policy.

An annotation, because the messages know no number for waiting and replacing.
"""

WAITING_ANNOTATION = "elevon/waiting"
"""Annotation of an execution that waits for a place: why. It is gone once the execution is handed to the engine."""


class PlanName(NamedTuple):
    """A launch plan in all its versions: they share the places."""

    project: str
    domain: str
    name: str

    def __str__(self) -> str:
        return f"{self.project}:{self.domain}:{self.name}"


class Behavior(enum.Enum):
    """What becomes of an execution for which there is no place."""

    SKIP = "skip"
    WAIT = "wait"
    REPLACE = "replace"


class Verdict(enum.Enum):
    """What becomes of a new execution."""

    START = "start"
    HOLD = "hold"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """At most `maximum` executions of a launch plan may be in the engine's hands and not over."""

    plan: PlanName
    maximum: int
    behavior: Behavior


@dataclass(slots=True)
class Occupancy:
    """How many executions of a launch plan are with the engine and not over, and how many wait for a place."""

    running: int
    waiting: int

    def take(self, limit: ConcurrencyLimit) -> Verdict:
        """Decide about one more execution, and count it."""
        full = self.running >= limit.maximum
        if limit.behavior is Behavior.SKIP:
            if full:
                return Verdict.REFUSE
        elif full or self.waiting:
            self.waiting += 1
            return Verdict.HOLD
        self.running += 1
        return Verdict.START

    def admit(self, maxima: Sequence[int]) -> int:
        """How many of those that wait get a place now, and count them.

        `maxima` are the limits of those that wait, in order of creation: nobody overtakes.
        """
        for admitted, maximum in enumerate(maxima):
            if self.running >= maximum:
                return admitted
            self.running += 1
            self.waiting -= 1
        return len(maxima)


def concurrency_limit(plan: admin.LaunchPlan) -> ConcurrencyLimit | None:
    """The limit that a launch plan sets, unless its policy lets executions through; raises InvalidArgument."""
    behavior = behavior_of(plan.spec)
    if behavior is None:
        return None
    name = PlanName(plan.id.project, plan.id.domain, plan.id.name)
    return ConcurrencyLimit(name, plan.spec.concurrency_policy.max, behavior)


def check_policy(spec: admin.LaunchPlanSpec) -> None:
    """Raise InvalidArgument unless the policy makes sense: one that is to be registered, as stored ones may differ."""
    behavior_of(spec)
    policy = spec.concurrency_policy
    if policy.behavior != admin.CONCURRENCY_LIMIT_BEHAVIOR_UNSPECIFIED and policy.max < 1:
        raise InvalidArgument.invalid("concurrency_policy.max", policy.max, "must be at least 1 where behavior is set")


def behavior_of(spec: admin.LaunchPlanSpec) -> Behavior | None:
    """What the policy does with one execution too many; None when there is no limit. Raises InvalidArgument."""
    policy, named = spec.concurrency_policy, spec.annotations.values.get(BEHAVIOR_ANNOTATION)
    if named is None:
        if policy.behavior == admin.CONCURRENCY_LIMIT_BEHAVIOR_UNSPECIFIED or policy.max <= 0:
            return None
        if policy.behavior != admin.CONCURRENCY_LIMIT_BEHAVIOR_SKIP:
            rule = f"must be SKIP; the annotation {BEHAVIOR_ANNOTATION} can be wait or replace"
            raise InvalidArgument.invalid("concurrency_policy.behavior", policy.behavior, rule)
        return Behavior.SKIP
    try:
        behavior = Behavior(named)
    except ValueError:
        raise InvalidArgument.invalid(BEHAVIOR_ANNOTATION, named, "must be skip, wait or replace") from None
    if policy.max <= 0:
        rule = f"must be at least 1 where the annotation {BEHAVIOR_ANNOTATION} is set"
        raise InvalidArgument.invalid("concurrency_policy.max", policy.max, rule)
    return behavior


def refusal(limit: ConcurrencyLimit) -> AlreadyExists:
    """The error for an execution that is skipped."""
    message = f"concurrency limit ({limit.maximum}) reached for launch plan {limit.plan.name}; skipping execution"
    return AlreadyExists(message)


def hold(spec: admin.ExecutionSpec, limit: ConcurrencyLimit) -> None:
    """Say in an execution's spec why it waits."""
    executions = "execution" if limit.maximum == 1 else "executions"
    what = f"{limit.maximum} {executions} of launch plan {limit.plan} may run at once"
    until = "those it replaces are over" if limit.behavior is Behavior.REPLACE else "one that runs is over"
    spec.annotations.values[WAITING_ANNOTATION] = f"{what}: this one starts when {until}"


def forget_waiting(annotations: MutableMapping[str, str]) -> None:
    """Take back what `hold` says."""
    annotations.pop(WAITING_ANNOTATION, None)


def cause_of_replacement(newer: ExecutionKey) -> str:
    """Why an older execution is aborted."""
    return f"replaced by the newer execution {newer} of the same launch plan"


def replaced(older: Sequence[int], maximum: int) -> Sequence[int]:
    """Which executions give way to a new one: the oldest, until the new one makes no more than the maximum.

    `older` are the rows that are neither over nor being aborted, running or waiting, in order of creation.
    """
    return older[: max(0, len(older) + 1 - maximum)]
