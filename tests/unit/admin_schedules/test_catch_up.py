"""Which ticks are launched and which are skipped, and what is remembered of those."""

from __future__ import annotations

import pytest
from elevon_admin.domain.catch_up import (
    POLICY_ANNOTATION,
    TICKS_AT_ONCE,
    WINDOW_ANNOTATION,
    CatchUp,
    CatchUpMode,
    Period,
    catch_up_of,
    decide,
)
from elevon_admin.domain.entities import EntityKey
from elevon_admin.domain.scheduled_executions import execution_name
from elevon_admin.domain.timetables import SECOND, Distances
from elevon_core.errors import InvalidArgument
from hypothesis import given, settings
from hypothesis import strategies as st

MINUTE = 60 * SECOND
MINUTES = Distances(MINUTE, 0)
DEFAULT = CatchUp(CatchUpMode.ALL, 60 * MINUTE)


def outcome(mode: CatchUpMode, now: int, *, window: int = 60, on_time: int = 0) -> tuple[list[int], list[object]]:
    decision = decide(MINUTES, Period(0, now * MINUTE, now * MINUTE), CatchUp(mode, window * MINUTE), on_time * MINUTE)
    skipped = [(group.first.due_at // MINUTE, group.last.due_at // MINUTE, group.count) for group in decision.skipped]
    assert decision.decided_until == now * MINUTE
    assert decision.next_due_at == (now + 1) * MINUTE
    return [tick.due_at // MINUTE for tick in decision.launched], list(skipped)


def test_none_skips_everything_that_was_missed() -> None:
    assert outcome(CatchUpMode.NONE, 5) == ([5], [(1, 4, 4)])
    assert outcome(CatchUpMode.NONE, 5, on_time=2) == ([3, 4, 5], [(1, 2, 2)])


def test_one_launches_the_newest_only() -> None:
    missed = Period(0, 5 * MINUTE, 5 * MINUTE + 30 * SECOND)
    decision = decide(MINUTES, missed, CatchUp(CatchUpMode.ONE, 60 * MINUTE), 0)
    assert [tick.due_at for tick in decision.launched] == [5 * MINUTE]
    assert [group.count for group in decision.skipped] == [4]


def test_all_launches_what_lies_in_the_window() -> None:
    assert outcome(CatchUpMode.ALL, 5) == ([1, 2, 3, 4, 5], [])
    assert outcome(CatchUpMode.ALL, 5, window=2) == ([3, 4, 5], [(1, 2, 2)])


def test_one_outside_the_window_is_none() -> None:
    late = Period(0, 5 * MINUTE, 500 * MINUTE)
    decision = decide(MINUTES, late, CatchUp(CatchUpMode.ONE, 60 * MINUTE), 0)
    assert not decision.launched
    assert [group.count for group in decision.skipped] == [5]


def test_a_deactivated_plan_launches_nothing() -> None:
    decision = decide(MINUTES, Period(0, 5 * MINUTE, 5 * MINUTE, "deactivated"), DEFAULT, 60 * MINUTE)
    assert not decision.launched
    assert [(group.count, group.reason) for group in decision.skipped] == [(5, "deactivated")]


def test_nothing_is_due_while_the_clock_stands_before_the_beginning() -> None:
    decision = decide(MINUTES, Period(5 * MINUTE, 3 * MINUTE, 3 * MINUTE), DEFAULT, 0)
    assert (list(decision.launched), decision.decided_until, decision.next_due_at) == ([], 5 * MINUTE, 6 * MINUTE)


@settings(deadline=None)
@given(
    end=st.integers(0, 3 * TICKS_AT_ONCE),
    mode=st.sampled_from(CatchUpMode),
    window=st.integers(1, 3 * TICKS_AT_ONCE),
    on_time=st.integers(0, 10),
)
def test_every_tick_is_decided_once_however_many_there_are(
    end: int, mode: CatchUpMode, window: int, on_time: int
) -> None:
    begin, launched, skipped = 0, list[int](), 0
    while begin < end * MINUTE:
        period = Period(begin, end * MINUTE, end * MINUTE)
        decision = decide(MINUTES, period, CatchUp(mode, window * MINUTE), on_time * MINUTE)
        assert begin < decision.decided_until <= end * MINUTE
        begin = decision.decided_until
        launched += [tick.due_at // MINUTE for tick in decision.launched]
        skipped += sum(group.count for group in decision.skipped)
    fresh = list(range(max(1, end - on_time), end + 1)) if end else []
    within = list(range(max(1, end - max(window, on_time)), end + 1)) if end else []
    expected = within if mode is CatchUpMode.ALL else fresh
    assert launched == expected
    assert len(launched) + skipped == end


def test_annotations_of_the_plan_win() -> None:
    assert catch_up_of({}, DEFAULT) == DEFAULT
    given_both = {POLICY_ANNOTATION: "one", WINDOW_ANNOTATION: "90m"}
    assert catch_up_of(given_both, DEFAULT) == CatchUp(CatchUpMode.ONE, 90 * MINUTE)


@pytest.mark.parametrize(
    "annotations",
    [{POLICY_ANNOTATION: "some"}, {WINDOW_ANNOTATION: "soon"}, {WINDOW_ANNOTATION: "-1h"}, {WINDOW_ANNOTATION: "0s"}],
)
def test_annotations_that_mean_nothing_are_refused(annotations: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match="annotation elevon/catch-up"):
        catch_up_of(annotations, DEFAULT)


def test_names_are_those_of_the_original() -> None:
    key = EntityKey("project", "domain", "name", "version")
    names = {execution_name(key, second * SECOND) for second in range(1000)}
    assert len(names) == 1000
    assert all(len(name) == 20 and name[0] == "f" and name.endswith("000") for name in names)
    assert execution_name(key, 1_700_000_000 * SECOND + 5) == execution_name(key, 1_700_000_000 * SECOND)
