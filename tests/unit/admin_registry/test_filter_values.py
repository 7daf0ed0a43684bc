"""From the text of filter values to what columns compare with."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from elevon_admin.domain.filter_values import ValueKind, parse_value
from elevon_core.errors import InvalidArgument
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

LARGEST = 2**63 - 1
SECOND = 10**9

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC) | zones)


@given(moments)
def test_times_in_any_zone_are_nanoseconds_since_the_epoch(moment: datetime) -> None:
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000

    assert parse_value(ValueKind.TIMESTAMP, "created_at", moment.isoformat()) == expected


@given(st.integers(-(2**62), 2**62))
def test_times_as_protobuf_writes_them_keep_their_nanoseconds(nanoseconds: int) -> None:
    written = Timestamp()
    written.FromNanoseconds(nanoseconds)

    assert parse_value(ValueKind.TIMESTAMP, "created_at", written.ToJsonString()) == nanoseconds


@given(st.integers(-(10**12), 10**12), st.integers(0, 999))
def test_durations_are_seconds_or_go_texts(seconds: int, milliseconds: int) -> None:
    assert parse_value(ValueKind.DURATION, "duration", str(seconds)) == seconds * SECOND or abs(seconds) > 9 * 10**9
    written = f"{abs(seconds) // 3600}h{abs(seconds) % 3600 // 60}m{abs(seconds) % 60}s{milliseconds}ms"
    expected = min(LARGEST, abs(seconds) * SECOND + milliseconds * 10**6)
    assert parse_value(ValueKind.DURATION, "duration", written) == expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (ValueKind.TEXT, " a ", " a "),
        (ValueKind.INTEGER, "-3", -3),
        (ValueKind.INTEGER, "9" * 30, LARGEST),
        (ValueKind.BOOLEAN, "True", True),
        (ValueKind.BOOLEAN, "0", False),
        (ValueKind.TIMESTAMP, "1970-01-01", 0),
        (ValueKind.TIMESTAMP, "1970-01-01 00:00:01", SECOND),
        (ValueKind.TIMESTAMP, "1970-01-01T00:00Z", 0),
        (ValueKind.TIMESTAMP, "1970-01-01T01:00:00.000000001+01", 1),
        (ValueKind.TIMESTAMP, "1969-12-31T23:59:59.25z", -750_000_000),
        (ValueKind.TIMESTAMP, "9999-12-31T00:00:00Z", LARGEST),
        (ValueKind.TIMESTAMP, "0001-01-01T00:00:00Z", -(2**63)),
        (ValueKind.DURATION, "1.5", 1_500_000_000),
        (ValueKind.DURATION, ".5h", 1800 * SECOND),
        (ValueKind.DURATION, "-1m1ns", -60 * SECOND - 1),
        (ValueKind.DURATION, "2\u00b5s3us", 5000),
    ],
)
def test_values_of_each_kind(kind: ValueKind, text: str, expected: object) -> None:
    assert parse_value(kind, "field", text) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ValueKind.INTEGER, "one"),
        (ValueKind.INTEGER, "1.5"),
        (ValueKind.INTEGER, "9" * 31),
        (ValueKind.BOOLEAN, "maybe"),
        (ValueKind.TIMESTAMP, "yesterday"),
        (ValueKind.TIMESTAMP, "2024-02-30T00:00:00Z"),
        (ValueKind.TIMESTAMP, "2024-01-01T25:00:00Z"),
        (ValueKind.TIMESTAMP, "2024-01-01T00:00:00+99:00"),
        (ValueKind.DURATION, "soon"),
        (ValueKind.DURATION, "1h 2m"),
        (ValueKind.DURATION, "1e9"),
        (ValueKind.DURATION, "h"),
    ],
)
def test_what_is_not_a_value_of_the_kind_is_refused_by_name(kind: ValueKind, text: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(text)) as caught:
        parse_value(kind, "duration", text)
    assert "duration" in caught.value.message


@given(st.sampled_from(ValueKind), st.text(max_size=30))
def test_any_text_is_read_or_refused(kind: ValueKind, text: str) -> None:
    try:
        found = parse_value(kind, "field", text)
    except InvalidArgument:
        return
    assert isinstance(found, str | int)


def test_durations_as_protobuf_holds_them_compare_in_nanoseconds() -> None:
    assert parse_value(ValueKind.DURATION, "duration", "90s") == Duration(seconds=90).ToNanoseconds()
