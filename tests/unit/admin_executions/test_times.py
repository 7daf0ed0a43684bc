"""Timestamps and durations without loss."""

from __future__ import annotations

import pytest
from elevon_admin.domain.times import (
    check_timestamp,
    duration_nanoseconds,
    nanoseconds,
    set_elapsed,
)
from elevon_core.errors import InvalidArgument
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

moments = st.builds(Timestamp, seconds=st.integers(-62_135_596_800, 253_402_300_799), nanos=st.integers(0, 999_999_999))


@given(moments, moments)
def test_elapsed_time_is_exact_and_a_valid_duration(started: Timestamp, ended: Timestamp) -> None:
    check_timestamp(started, "at")
    duration = Duration()
    set_elapsed(duration, started, ended)
    assert duration_nanoseconds(duration) == nanoseconds(ended) - nanoseconds(started)
    assert duration.seconds * duration.nanos >= 0
    assert abs(duration.nanos) < 1_000_000_000


@pytest.mark.parametrize(
    "moment",
    [
        Timestamp(seconds=253_402_300_800),
        Timestamp(seconds=-62_135_596_801),
        Timestamp(nanos=-1),
        Timestamp(nanos=10**9),
    ],
)
def test_times_beyond_the_calendar_are_refused(moment: Timestamp) -> None:
    with pytest.raises(InvalidArgument, match="occurred_at"):
        check_timestamp(moment, "occurred_at")
