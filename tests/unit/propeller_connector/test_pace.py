"""Rates and pauses."""

from __future__ import annotations

from datetime import timedelta

from elevon_propeller.plugins.connector.pace import Pauses, Rate
from hypothesis import given
from hypothesis import strategies as st


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_no_span_of_time_sees_more_calls_than_allowed(per_second: float, burst: int, gaps: list[float]) -> None:
    now, times = 0.0, []
    rate = Rate(per_second, burst, lambda: now)
    for gap in gaps:
        now += gap
        times.append(now + rate.reserve())
    assert times == sorted(times)
    for first in range(0, len(times), 7):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + (times[last] - times[first]) * per_second + 1e-6


def test_a_burst_is_made_at_once_after_a_quiet_time() -> None:
    now = 0.0
    rate = Rate(10, 3, lambda: now)
    assert [round(rate.reserve(), 3) for _ in range(5)] == [0, 0, 0, 0.1, 0.2]
    now = 100.0
    assert [round(rate.reserve(), 3) for _ in range(4)] == [0, 0, 0, 0.1]


def test_pauses_grow_by_half_to_a_limit_and_begin_again() -> None:
    pauses = Pauses(timedelta(seconds=1), timedelta(seconds=2))
    assert [pauses.take() for _ in range(4)] == [1, 1.5, 2, 2]
    pauses.restart()
    assert pauses.take() == 1
    assert Pauses(timedelta(seconds=9), timedelta(seconds=2)).take() == 2
