"""Cron texts of schedules: what is accepted, and what it is called in the normal form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.filter_values import ValueKind, parse_value

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_BARE_WORDS = {
    "hourly": "@hourly",
    "hours": "@hourly",
    "daily": "@daily",
    "days": "@daily",
    "weekly": "@weekly",
    "weeks": "@weekly",
    "monthly": "@monthly",
    "months": "@monthly",
    "annually": "@annually",
    "yearly": "@yearly",
    "years": "@yearly",
}
_OFFSET_UNITS = {"W": 7 * 86_400, "D": 86_400, "H": 3600, "M": 60, "S": 1}
_NUMBER = r"[+-]?\d{1,9}(?:[.,]\d{1,9})?"
_OFFSET = re.compile(
    rf"(?P<sign>[+-]?)P(?=[\dT+-])(?:(?P<Y>{_NUMBER})Y)?(?:(?P<L>{_NUMBER})M)?(?:(?P<W>{_NUMBER})W)?(?:(?P<D>{_NUMBER})D)?"
    rf"(?:T(?=[\d+-])(?:(?P<H>{_NUMBER})H)?(?:(?P<M>{_NUMBER})M)?(?:(?P<S>{_NUMBER})S)?)?"
)
LONGEST_DAYS = 3653
"""Ten years: longer distances and offsets are slips, and lead to moments that nothing can hold."""
_LONGEST = LONGEST_DAYS * 86_400 * 10**9
_UNITS = {admin.MINUTE: 60 * 10**9, admin.HOUR: 3600 * 10**9, admin.DAY: 86_400 * 10**9}
_EVERY_DAY = re.compile(r"\*(?:/0*1)?")
_ZONE = re.compile(r"(?:CRON_TZ|TZ)=(\S+)\s+(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron text that was understood: five fields, or an interval in nanoseconds; `zone` is empty for the default."""

    expression: str
    every: int = 0
    zone: str = ""


def parse_cron(text: str) -> Cron:
    """Read a cron text with its descriptors, bare words and time-zone prefix; raises InvalidArgument."""
    match = _ZONE.fullmatch(text.strip())
    zone, body = (match.group(1), match.group(2).strip()) if match else ("", text.strip())
    if zone:
        _check_zone(text, zone)
    body = _BARE_WORDS.get(body.lower(), body)
    if body.lower().startswith("@every "):
        return Cron("", _interval(text, body[len("@every ") :]), zone)
    if body.startswith("@"):
        if body.lower() not in _DESCRIPTORS:
            raise _invalid(text, f"unknown descriptor, there are {', '.join(_DESCRIPTORS)} and @every")
        return Cron(_DESCRIPTORS[body.lower()], 0, zone)
    return Cron(_fields(text, body), 0, zone)


def schedule_type(schedule: admin.Schedule) -> str:
    """The value of the column `schedule_type`: CRON, RATE or NONE."""
    if cron_text(schedule):
        return "CRON"
    return "RATE" if schedule.rate.value else "NONE"


def cron_text(schedule: admin.Schedule) -> str:
    """The cron text in either of its fields; empty when there is none.

    The original accepts the deprecated field and then cannot activate the plan.
    """
    return schedule.cron_schedule.schedule or schedule.cron_expression


def check_schedule(schedule: admin.Schedule) -> None:
    """Raise InvalidArgument for a schedule that could not run."""
    if cron_text(schedule):
        parse_cron(cron_text(schedule))
    parse_offset(schedule.cron_schedule.offset)
    rate_distance(schedule.rate)


def rate_distance(rate: admin.FixedRate) -> int:
    """Nanoseconds between the ticks of a fixed rate, 0 when there is none; raises InvalidArgument."""
    if rate.unit not in _UNITS:
        raise InvalidArgument.invalid("schedule.rate.unit", rate.unit, "must be MINUTE, HOUR or DAY")
    distance = rate.value * _UNITS[rate.unit]
    if distance > _LONGEST:
        rule = f"must be at most ten years ({LONGEST_DAYS} days)"
        shown = f"{rate.value} {admin.FixedRateUnit.Name(rate.unit)}"
        raise InvalidArgument.invalid("schedule.rate.value", shown, rule)
    return distance


def parse_offset(text: str) -> int:
    """Nanoseconds of an ISO 8601 duration such as PT10M or -P1D; empty is 0.

    Raises InvalidArgument, also for years and months, which have no length of their own, and for more than ten years.
    """
    if not text:
        return 0
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument.invalid("cron_schedule.offset", text[:200], "must be an ISO 8601 duration such as PT10M")
    if match["Y"] or match["L"]:
        rule = "years and months have no fixed length: use weeks, days, hours, minutes or seconds"
        raise InvalidArgument.invalid("cron_schedule.offset", text[:200], rule)
    seconds = sum(float(match[unit].replace(",", ".")) * size for unit, size in _OFFSET_UNITS.items() if match[unit])
    offset = round(-seconds if match["sign"] == "-" else seconds) * 10**9
    if abs(offset) > _LONGEST:
        rule = f"must be at most ten years ({LONGEST_DAYS} days)"
        raise InvalidArgument.invalid("cron_schedule.offset", text[:200], rule)
    return offset


def _fields(text: str, body: str) -> str:
    fields = body.split()
    if len(fields) != 5:
        raise _invalid(text, f"expected 5 fields, found {len(fields)}")
    fields = ["*" + field[1:] if field.startswith("?") else field for field in fields]
    try:
        CronSim(" ".join(fields), datetime(2024, 1, 1, tzinfo=UTC))
        expression = _with_days_told_apart(fields)
        CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise _invalid(text, str(error)) from None
    return expression


def _with_days_told_apart(fields: Sequence[str]) -> str:
    """The fields as one text in which a day field begins with a star only when it leaves every day in.

    When both day fields are restricted either match counts, and `*/2` restricts: so does the original read it, while
    what finds the times here goes by the star alone.
    """
    minute, hour, day, month, weekday = fields
    return " ".join((minute, hour, _days(day, "1-31"), month, _days(weekday, "0-6")))


def _days(field: str, whole: str) -> str:
    parts = field.split(",")
    if any(_EVERY_DAY.fullmatch(part) for part in parts):
        return "*"
    return ",".join(whole + part[1:] if part.startswith("*/") else part for part in parts)


def _interval(text: str, body: str) -> int:
    try:
        every = parse_value(ValueKind.DURATION, "@every", body)
    except InvalidArgument as error:
        raise _invalid(text, error.message) from None
    if not isinstance(every, int) or every < 10**9 or re.fullmatch(r"[0-9.+-]*", body.strip()):
        raise _invalid(text, "@every needs a duration of a second or more, such as 90s or 1h30m")
    if every > _LONGEST:
        raise _invalid(text, f"@every is at most ten years ({LONGEST_DAYS * 24}h)")
    return every


def _check_zone(text: str, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _invalid(text, f"unknown time zone {zone}") from None


def _invalid(text: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"Invalid cron expression: {text[:200]!r}: {reason}")
