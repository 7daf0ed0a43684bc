"""The moments at which a schedule fires: by the calendar with time zones and offsets, or at equal distances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.schedules import Cron, cron_text, parse_cron, parse_offset, rate_distance

SECOND = 10**9

LATEST = 2**63 - 1
"""Ticks end here, in the year 2262: no column holds a later moment."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One firing, in nanoseconds since the epoch: when it is due, and the time the schedule names for it.

    The two differ by the schedule's offset.
    """

    due_at: int
    scheduled_at: int


class Timetable(Protocol):
    """All ticks of a schedule, none of them kept anywhere."""

    def after(self, moment: int) -> Iterator[Tick]:
        """The ticks that are due strictly after a moment, in order, none later than LATEST."""
        ...


@dataclass(frozen=True, slots=True)
class Calendar:
    """Ticks of a cron text in a zone.

    Fixed times that a change to summer time leaves out are due at its end, those that come twice in autumn are due the
    first time only; times that repeat every minute or hour follow the real clock. Never two ticks at one moment.
    """

    expression: str
    zone: ZoneInfo
    offset: int = 0

    def after(self, moment: int) -> Iterator[Tick]:
        """See Timetable."""
        last = moment - self.offset
        start = datetime.fromtimestamp(last // SECOND, self.zone)
        for found in CronSim(self.expression, start):
            named = int(found.timestamp()) * SECOND
            if max(named, named + self.offset) > LATEST:
                return
            if named > last:
                last = named
                yield Tick(named + self.offset, named)


@dataclass(frozen=True, slots=True)
class Distances:
    """Ticks at equal distances from an anchor, the first of them one distance after it."""

    distance: int
    anchor: int
    offset: int = 0

    def after(self, moment: int) -> Iterator[Tick]:
        """See Timetable."""
        steps = max(0, (moment - self.offset - self.anchor) // self.distance)
        named = self.anchor + steps * self.distance
        while max(named, named + self.offset) <= LATEST - self.distance:
            named += self.distance
            yield Tick(named + self.offset, named)


def timetable(schedule: admin.Schedule, activated_at: int, default_zone: str) -> Timetable | None:
    """The ticks of a schedule that was activated at a moment; None when it has none.

    Raises InvalidArgument for a schedule that `check_schedule` refuses.
    """
    return _remembered(schedule.SerializeToString(deterministic=True), activated_at // SECOND * SECOND, default_zone)


@lru_cache(maxsize=4096)
def _remembered(serialized: bytes, anchor: int, default_zone: str) -> Timetable | None:
    """Reading a cron text takes longer than finding its next tick."""
    schedule = admin.Schedule.FromString(serialized)
    if schedule.rate.value:
        return Distances(rate_distance(schedule.rate), anchor)
    text = cron_text(schedule)
    if not text:
        return None
    cron = parse_cron(text)
    offset = parse_offset(schedule.cron_schedule.offset)
    if cron.every:
        return Distances(cron.every, anchor, offset)
    return Calendar(cron.expression, _zone(cron, default_zone), offset)


def _zone(cron: Cron, default_zone: str) -> ZoneInfo:
    return ZoneInfo(cron.zone or default_zone)
