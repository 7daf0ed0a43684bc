"""What proto3 JSON can say of a message that came in: what it cannot would fail every answer that shows it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache

from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from google.protobuf.descriptor import Descriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_admin.domain.times import NANOSECONDS, check_timestamp

LONGEST_KEY, LONGEST_PLACE = 60, 400
"""Characters of a map's key, and of all that says where a value is: it is put together for each of a million values."""

LONGEST_SECONDS = 315_576_000_000
"""What a google.protobuf.Duration may last, either way: about ten thousand years."""
_VALUES = frozenset({core.Literal.DESCRIPTOR.full_name, core.LiteralMap.DESCRIPTOR.full_name})
"""What tasks compute: it is taken as it is, and has rules of its own."""

_MAY_BE_ENDLESS = re.compile(rb"\x11.{6}[\xf0-\xff][\x7f\xff]", re.DOTALL)
"""What a number within a Struct is serialized to that is infinite or none; other bytes may look like it.

A field `number_value` is a 1-byte tag and 8 bytes, the lowest first; the 11 bits behind the sign are all set.
"""

_ODD = frozenset(kind.DESCRIPTOR.full_name for kind in (Timestamp, Duration, Struct, Value))


@cache
def _is_looked_into(descriptor: Descriptor, within: tuple[str, ...] = ()) -> bool:
    """Whether a message of this kind can hold anything that has no JSON form; most cannot, however large they are."""
    if descriptor.full_name in _ODD:
        return True
    if descriptor.full_name in _VALUES or descriptor.full_name in within:
        return False
    below = (*within, descriptor.full_name)
    kinds = [field.message_type for field in descriptor.fields if field.message_type is not None]
    return any(_is_looked_into(kind, below) for kind in kinds)


def check_sayable(message: Message, field: str) -> None:
    """Raise InvalidArgument for a time, a duration or a number within a Struct that has no proto3 JSON form.

    `field` is what the message is called in the request. Numbers of double fields may be anything, and literals are
    left out.
    """
    if isinstance(message, Timestamp):
        check_timestamp(message, field)
    elif isinstance(message, Duration):
        check_duration(message, field)
    elif isinstance(message, Struct):
        if _MAY_BE_ENDLESS.search(message.SerializeToString()):
            _check_fields(message, field)
    elif isinstance(message, Value) and message.HasField("number_value"):
        if not math.isfinite(message.number_value):
            raise InvalidArgument.invalid(field, message.number_value, "must be a finite number")
    elif _is_looked_into(message.DESCRIPTOR):
        _check_fields(message, field)


def check_duration(duration: Duration, field: str) -> None:
    """Raise InvalidArgument unless seconds and nanoseconds are in range and have one sign."""
    seconds, nanos = duration.seconds, duration.nanos
    if abs(seconds) > LONGEST_SECONDS or abs(nanos) >= NANOSECONDS or seconds * nanos < 0:
        rule = f"a duration of at most {LONGEST_SECONDS} seconds is needed, with nanoseconds of the same sign"
        raise InvalidArgument.invalid(field, f"{seconds}s {nanos}ns", rule)


def _check_fields(message: Message, field: str) -> None:
    for descriptor, value in message.ListFields():
        kind = descriptor.message_type
        if kind is None or not _is_looked_into(kind):
            continue
        place = _below(field, f".{descriptor.name}")
        if isinstance(value, Message):
            check_sayable(value, place)
        elif kind.GetOptions().map_entry:
            for key, each in value.items():
                if isinstance(each, Message):
                    check_sayable(each, _below(place, f"[{str(key)[:LONGEST_KEY]}]"))
        elif isinstance(value, Sequence):
            for index, each in enumerate(value):
                check_sayable(each, _below(place, f"[{index}]"))


def _below(place: str, part: str) -> str:
    """Where something is within a place, of which the end is told when there is too much of it."""
    whole = place + part
    return whole if len(whole) <= LONGEST_PLACE else f"…{whole[-LONGEST_PLACE // 2 :]}"
