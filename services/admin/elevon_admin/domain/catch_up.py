"""Which of the ticks that are due are launched, and which are skipped because their time was missed."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from elevon_core.errors import InvalidArgument

from elevon_admin.domain.filter_values import ValueKind, parse_value
from elevon_admin.domain.timetables import Tick, Timetable

POLICY_ANNOTATION = "elevon/catch-up"
"""Annotation of a launch plan: none, one or all."""

WINDOW_ANNOTATION = "elevon/catch-up-window"
"""Annotation of a launch plan: a duration such as 6h."""

TICKS_AT_ONCE = 1_000
"""Most ticks of one decision; what is left is decided next."""


class CatchUpMode(enum.Enum):
    """What becomes of ticks that nobody launched in time."""

    NONE = "none"
    ONE = "one"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class CatchUp:
    """A policy; ticks that were due longer ago than the window, in nanoseconds, are skipped in any case."""

    mode: CatchUpMode
    window: int


@dataclass(frozen=True, slots=True)
class SkippedTicks:
    """Neighbouring ticks that are not launched."""

    first: Tick
    last: Tick
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Period:
    """What is decided about: ticks due after `begin` and not after `end`, seen at `now`; nanoseconds.

    `skip_all` is the reason for launching none of them, if there is one.
    """

    begin: int
    end: int
    now: int
    skip_all: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to ticks; `decided_until` is where the next period begins, at `next_due_at` there is work again.

    `next_due_at` is None when the schedule has no further ticks.
    """

    launched: Sequence[Tick]
    skipped: Sequence[SkippedTicks]
    decided_until: int
    next_due_at: int | None


def catch_up_of(annotations: Mapping[str, str], default: CatchUp) -> CatchUp:
    """The policy of a launch plan; raises InvalidArgument."""
    mode, window = default.mode, default.window
    if POLICY_ANNOTATION in annotations:
        text = annotations[POLICY_ANNOTATION]
        if text not in [each.value for each in CatchUpMode]:
            raise InvalidArgument.invalid(f"annotation {POLICY_ANNOTATION}", text[:200], "must be none, one or all")
        mode = CatchUpMode(text)
    if WINDOW_ANNOTATION in annotations:
        window = _window(annotations[WINDOW_ANNOTATION])
    return CatchUp(mode, window)


def _window(text: str) -> int:
    field = f"annotation {WINDOW_ANNOTATION}"
    try:
        window = parse_value(ValueKind.DURATION, field, text)
    except InvalidArgument:
        window = 0
    if not isinstance(window, int) or window <= 0:
        raise InvalidArgument.invalid(field, text[:200], "must be a duration such as 90m or 6h")
    return window


def decide(timetable: Timetable, period: Period, policy: CatchUp, on_time: int) -> Decision:
    """Decide about the ticks of a period, at most TICKS_AT_ONCE of them; `on_time` in nanoseconds.

    A tick that was due no longer ago than `on_time` is launched whatever the policy says.
    """
    coming = timetable.after(period.begin)
    found: list[Tick] = []
    following: Tick | None = None
    for tick in islice(coming, TICKS_AT_ONCE + 1):
        if tick.due_at > period.end or len(found) == TICKS_AT_ONCE:
            following = tick
            break
        found.append(tick)
    more = following is not None and following.due_at <= period.end
    reasons = [_reason(tick, period, policy, on_time, newest=not more and tick is found[-1]) for tick in found]
    return Decision(
        [tick for tick, reason in zip(found, reasons, strict=True) if not reason],
        _skipped(found, reasons),
        found[-1].due_at if more else max(period.begin, period.end),
        None if following is None else following.due_at,
    )


def _reason(tick: Tick, period: Period, policy: CatchUp, on_time: int, *, newest: bool) -> str:
    """Why a tick is skipped; empty if it is launched."""
    if period.skip_all:
        return period.skip_all
    age = period.now - tick.due_at
    if age <= on_time:
        return ""
    if policy.mode is CatchUpMode.NONE:
        return "missed, and the catch-up policy is none"
    if age > policy.window:
        return "missed longer ago than the catch-up window"
    if policy.mode is CatchUpMode.ONE and not newest:
        return "missed, and the catch-up policy is one: a later one counts for it"
    return ""


def _skipped(ticks: Sequence[Tick], reasons: Sequence[str]) -> list[SkippedTicks]:
    """Neighbours with the same reason as one."""
    groups: list[SkippedTicks] = []
    previous = ""
    for tick, reason in zip(ticks, reasons, strict=True):
        if reason and reason == previous:
            group = groups[-1]
            groups[-1] = SkippedTicks(group.first, tick, group.count + 1, reason)
        elif reason:
            groups.append(SkippedTicks(tick, tick, 1, reason))
        previous = reason
    return groups
