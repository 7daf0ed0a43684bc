"""Calls that are done together, and entities that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from elevon_admin.usecases.entity_cache import EntityCache
from elevon_core.errors import Unavailable
from elevon_kit.gathering import Gathered
from hypothesis import given
from hypothesis import strategies as st


class Doubling:
    """Doubles numbers, refuses zero, breaks on a negative one, is away at -100; remembers the groups."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    async def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.groups.append(list(items))
        await asyncio.sleep(0)
        if min(items) == -100:
            raise Unavailable("away")
        if min(items) < 0:
            raise ArithmeticError("negative")
        return [ValueError("zero") if item == 0 else item * 2 for item in items]


async def test_each_caller_gets_its_own_outcome() -> None:
    double: Gathered[int, int] = Gathered(Doubling())

    outcomes = await asyncio.gather(double(1), double(0), double(3), return_exceptions=True)

    assert [outcomes[0], outcomes[2]] == [2, 6]
    assert isinstance(outcomes[1], ValueError)


async def test_calls_that_come_together_are_done_together_in_groups_of_a_largest_size() -> None:
    behind = Doubling()
    double = Gathered(behind, most=4)

    assert await asyncio.gather(*map(double, range(1, 11))) == [number * 2 for number in range(1, 11)]

    assert behind.groups == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


async def test_what_breaks_a_group_reaches_who_brought_it_and_nobody_else() -> None:
    behind = Doubling()
    double = Gathered(behind, most=3)

    outcomes = await asyncio.gather(*map(double, (1, -1, 0, 2)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [int, ArithmeticError, ValueError, int]
    assert behind.groups == [[1, -1, 0], [1], [-1], [0], [2]]
    assert await double(5) == 10


@pytest.mark.parametrize("most", [4, 2])
async def test_nobody_waits_for_ever_when_the_work_is_cancelled_while_items_are_done_apart(most: int) -> None:
    began = asyncio.Event()

    async def behind(items: Sequence[int]) -> Sequence[int]:
        if len(items) > 1:
            raise ArithmeticError("together")
        began.set()
        await asyncio.sleep(3600)
        return items

    gathered: Gathered[int, int] = Gathered(behind, most)
    callers = [asyncio.ensure_future(gathered(number)) for number in range(4)]
    await began.wait()
    assert gathered._working is not None
    gathered._working.cancel()
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}


async def test_an_outage_reaches_the_whole_group_and_is_asked_about_once() -> None:
    behind = Doubling()
    double = Gathered(behind, most=3)

    outcomes = await asyncio.gather(*map(double, (1, -100, 3, 4)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable, Unavailable, int]
    assert behind.groups == [[1, -100, 3], [4]]


async def test_a_caller_that_went_away_before_its_group_is_left_out() -> None:
    behind = Doubling()
    double = Gathered(behind)
    gone = asyncio.ensure_future(double(1))
    stays = asyncio.ensure_future(double(2))
    await asyncio.sleep(0)
    gone.cancel()

    assert await stays == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert behind.groups[-1][-1] == 2


operations = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60)), max_size=40)


@given(operations)
def test_a_cache_stays_within_its_bytes_and_answers_only_what_was_put(steps: list[tuple[int, int]]) -> None:
    cache: EntityCache[tuple[int, int]] = EntityCache(100)
    latest: dict[int, int] = {}
    for key, size in steps:
        cache.put(key, (key, size), size)
        latest[key] = size
        kept = {other: cache.get(other) for other in range(6)}
        assert kept[key] == (key, size)
        assert all(value is None or value == (other, latest[other]) for other, value in kept.items())
        assert sum(value[1] for value in kept.values() if value is not None) <= 100


def test_a_cache_drops_what_was_used_longest_ago_and_skips_what_is_too_large() -> None:
    cache: EntityCache[str] = EntityCache(3)
    for key in "abc":
        cache.put(key, key, 1)
    assert cache.get("a") == "a"
    cache.put("d", "d", 1)
    cache.put("e", "e", 4)

    assert [cache.get(key) for key in "abcde"] == ["a", None, "c", "d", None]
