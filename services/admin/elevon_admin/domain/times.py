"""Arithmetic on protobuf timestamps, in nanoseconds, without loss."""

from __future__ import annotations

import datetime

from elevon_core.errors import InvalidArgument
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

NANOSECONDS = 1_000_000_000
"""In a second."""

_EARLIEST = -62_135_596_800
_LATEST = 253_402_300_799


def nanoseconds(moment: Timestamp) -> int:
    """Nanoseconds since the epoch."""
    return moment.seconds * NANOSECONDS + moment.nanos


def check_timestamp(moment: Timestamp, field: str) -> None:
    """Raise InvalidArgument unless the moment is between the years 1 and 9999 and its nanoseconds are in range."""
    if not _EARLIEST <= moment.seconds <= _LATEST or not 0 <= moment.nanos < NANOSECONDS:
        shown = f"{moment.seconds}s {moment.nanos}ns"
        raise InvalidArgument.invalid(field, shown, "a time between the years 1 and 9999 is needed")


def set_elapsed(duration: Duration, started: Timestamp, ended: Timestamp) -> None:
    """Write the time between two moments into a duration; clocks that ran backwards give a negative one."""
    elapsed = nanoseconds(ended) - nanoseconds(started)
    seconds, nanos = divmod(abs(elapsed), NANOSECONDS)
    sign = -1 if elapsed < 0 else 1
    duration.seconds = sign * seconds
    duration.nanos = sign * nanos


def duration_nanoseconds(duration: Duration) -> int:
    """The length of a duration in nanoseconds."""
    return duration.seconds * NANOSECONDS + duration.nanos


def day_of(moment: int) -> str:
    """The day (UTC) of a moment in nanoseconds since the epoch, such as 2024-02-29."""
    return datetime.datetime.fromtimestamp(moment // NANOSECONDS, datetime.UTC).date().isoformat()
