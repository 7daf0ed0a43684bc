"""From the text of a filter value to what a column of its kind compares with."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from elevon_core.errors import InvalidArgument

_LARGEST = 2**63 - 1
_SMALLEST = -(2**63)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d{1,9})\d*)?\s*([Zz]|[+-]\d{2}(?::?\d{2})?)?)?"
)
_NUMBER = r"[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}"
_DURATION_PART = re.compile(rf"({_NUMBER})(ns|us|µs|\u03bcs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "\u03bcs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


class ValueKind(enum.Enum):
    """What a column holds, as far as filters care."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    """Nanoseconds since the epoch, UTC."""
    DURATION = "duration"
    """Nanoseconds."""


def parse_value(kind: ValueKind, field: str, text: str) -> str | int | bool:
    """Convert one value; times outside the years a 64-bit count of nanoseconds reaches are clamped to its ends.

    Raises InvalidArgument naming the field and the value.
    """
    return _PARSERS[kind](field, text)


def _text(field: str, text: str) -> str:
    return text


def _integer(field: str, text: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,30}", text.strip()) is None:
        raise InvalidArgument.invalid("filters", text, f"{field} compares with a whole number")
    return _clamped(int(text))


def _boolean(field: str, text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in ("true", "false", "1", "0", "t", "f"):
        raise InvalidArgument.invalid("filters", text, f"{field} compares with true or false")
    return lowered in ("true", "1", "t")


def _timestamp(field: str, text: str) -> int:
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument.invalid("filters", text, f"{field} compares with an RFC 3339 time")
    day, time, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time or '00:00:00'}{_zone(zone)}")
    except ValueError as error:
        raise InvalidArgument.invalid("filters", text, f"{field} compares with an RFC 3339 time: {error}") from None
    elapsed = moment - _EPOCH
    seconds = elapsed.days * 86_400 + elapsed.seconds
    return _clamped(seconds * 10**9 + int((fraction or "").ljust(9, "0")))


def _zone(zone: str | None) -> str:
    if zone is None or zone in ("Z", "z"):
        return "+00:00"
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return f"{zone[0]}{digits[:2]}:{digits[2:]}"


def _duration(field: str, text: str) -> int:
    body = text.strip()
    sign = -1 if body.startswith("-") else 1
    body = body[1:] if body[:1] in ("+", "-") else body
    if re.fullmatch(_NUMBER, body):
        return _clamped(sign * int(Decimal(body) * _NANOSECONDS["s"]))
    parts = _DURATION_PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise InvalidArgument(f"Failed to parse duration [{text[:200]}]: {field} compares with seconds or 1h2m3s")
    return _clamped(sign * int(sum(Decimal(number) * _NANOSECONDS[unit] for number, unit in parts)))


def _clamped(number: int) -> int:
    return max(_SMALLEST, min(_LARGEST, number))


_PARSERS: dict[ValueKind, Callable[[str, str], str | int | bool]] = {
    ValueKind.TEXT: _text,
    ValueKind.INTEGER: _integer,
    ValueKind.BOOLEAN: _boolean,
    ValueKind.TIMESTAMP: _timestamp,
    ValueKind.DURATION: _duration,
}
