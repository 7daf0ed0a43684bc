"""Durations and points in time as queries spell them."""

from __future__ import annotations

import re
from decimal import Decimal

from elevon_core.errors import InvalidArgument
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_admin.domain import times
from elevon_admin.domain.sayable import LONGEST_SECONDS

NANOSECONDS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ns": 1,
}
PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(h|ms|m|s|us|µs|μs|ns)")
WHOLE = re.compile(rf"([+-]?)((?:{PART.pattern})+)")
LONGEST = LONGEST_SECONDS * times.NANOSECONDS


def set_duration(target: Message, name: str, text: str) -> None:
    """Set a Duration from text such as `3600s` or `1h30m`; raises InvalidArgument."""
    assert isinstance(target, Duration)
    found = WHOLE.fullmatch(text)
    total = 0
    for number, unit in PART.findall(found[2]) if found else ():
        total += int(Decimal(number) * NANOSECONDS[unit])
    if not (found or text == "0") or total > LONGEST:
        raise InvalidArgument.invalid(name, text, "it must be a duration, such as 3600s or 1h30m")
    target.FromNanoseconds(-total if found and found[1] == "-" else total)


def set_timestamp(target: Message, name: str, text: str) -> None:
    """Set a Timestamp from RFC 3339 text; raises InvalidArgument."""
    assert isinstance(target, Timestamp)
    try:
        target.FromJsonString(text)
    except ValueError:
        raise InvalidArgument.invalid(name, text, "it must be a time, such as 2030-01-31T12:00:00Z") from None
