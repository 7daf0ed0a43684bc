"""What proto3 JSON can say of a message that came in: what it cannot would fail every answer that shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_admin.domain.times import check_timestamp

LONGEST_SECONDS = 315_576_000_000
"""What a google.protobuf.Duration may last, either way: about ten thousand years."""
_NANOSECONDS = 1_000_000_000
_VALUES = frozenset({core.Literal.DESCRIPTOR.full_name, core.LiteralMap.DESCRIPTOR.full_name})
"""What tasks compute: it is taken as it is, and has rules of its own."""


def check_sayable(message: Message, field: str) -> None:
    """Raise InvalidArgument for a time, a duration or a number within a Struct that has no proto3 JSON form.

    `field` is what the message is called in the request. Numbers of double fields may be anything, and literals are
    left out.
    """
    if isinstance(message, Timestamp):
        check_timestamp(message, field)
    elif isinstance(message, Duration):
        check_duration(message, field)
    elif isinstance(message, Value) and message.HasField("number_value"):
        if not math.isfinite(message.number_value):
            raise InvalidArgument.invalid(field, message.number_value, "must be a finite number")
    else:
        _check_fields(message, field)


def check_duration(duration: Duration, field: str) -> None:
    """Raise InvalidArgument unless seconds and nanoseconds are in range and have one sign."""
    seconds, nanos = duration.seconds, duration.nanos
    if abs(seconds) > LONGEST_SECONDS or abs(nanos) >= _NANOSECONDS or seconds * nanos < 0:
        rule = f"a duration of at most {LONGEST_SECONDS} seconds is needed, with nanoseconds of the same sign"
        raise InvalidArgument.invalid(field, f"{seconds}s {nanos}ns", rule)


def _check_fields(message: Message, field: str) -> None:
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None or descriptor.message_type.full_name in _VALUES:
            continue
        place = f"{field}.{descriptor.name}"
        if isinstance(value, Message):
            check_sayable(value, place)
        elif descriptor.message_type.GetOptions().map_entry:
            for key, each in value.items():
                if isinstance(each, Message):
                    check_sayable(each, f"{place}[{key}]")
        elif isinstance(value, Sequence):
            for index, each in enumerate(value):
                check_sayable(each, f"{place}[{index}]")
