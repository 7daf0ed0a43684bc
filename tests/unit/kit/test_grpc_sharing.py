"""Connections beside others have a third of the event loop's time; alone, all of it."""

from __future__ import annotations

import asyncio
import time
from collections import deque

import pytest
from elevon_kit.grpc_limits import CallLimits
from elevon_kit.grpc_local import LocalContext
from elevon_kit.grpc_sharing import (
    ADJUST_SECONDS,
    AHEAD_SECONDS,
    EQUAL_PARTS,
    LATE_SECONDS,
    LEAST_SECONDS,
    PERIOD_SECONDS,
    SHARE,
    Part,
    Sharing,
    Timed,
)
from elevon_kit.settings import LimitSettings
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    works=st.lists(st.sampled_from([0.0001, 0.002, 0.01, 0.05]), min_size=1, max_size=5),
    at_once=st.integers(1, 100),
)
def test_who_calls_without_end_has_its_share_and_no_more(works: list[float], at_once: int) -> None:
    clock, part, seconds = Clock(), Part(), 20.0
    sharing = Sharing(clock)
    waiting = deque(clock.now + sharing.begin(part) for _ in range(at_once))  # when each call on its way may begin
    spent, number, end = 0.0, 0, clock.now + seconds
    while clock.now < end:
        begins = waiting.popleft()
        clock.now = max(clock.now, begins)
        took = works[number % len(works)]
        spent, number = spent + max(took, LEAST_SECONDS), number + 1
        clock.now += took
        sharing.charge(part, took)
        waiting.append(clock.now + sharing.begin(part))
    mistaken = (at_once + 1) * max(LEAST_SECONDS, *works)  # what may be under way by a wrong expectation
    assert spent <= SHARE * seconds + AHEAD_SECONDS + mistaken
    assert spent >= SHARE * seconds - mistaken


def calling(sharing: Sharing, clock: Clock, connections: list[Part], seconds: float, late: float) -> None:
    """Let time pass in which all connections call, and calls that are held back come so late."""
    until = clock.now + seconds
    while clock.now < until:
        for part in connections:
            sharing.greet(part)
        sharing.came_late(late)
        clock.now += ADJUST_SECONDS / 10


@pytest.mark.parametrize("connections", [1, 2, 6, 7, 20, 200])
def test_a_part_shrinks_to_twice_an_equal_one_while_time_is_short_and_grows_again(connections: int) -> None:
    clock, parts = Clock(), [Part() for _ in range(connections)]
    sharing = Sharing(clock)
    least = min(SHARE, EQUAL_PARTS / connections)
    calling(sharing, clock, parts, 1, late=LATE_SECONDS / 2)
    assert sharing.share == SHARE
    calling(sharing, clock, parts, 3, late=2 * LATE_SECONDS)
    assert sharing.share == pytest.approx(least)
    calling(sharing, clock, parts, 6, late=LATE_SECONDS / 2)
    assert sharing.share == SHARE


def test_a_single_late_call_changes_nothing() -> None:
    clock, parts = Clock(), [Part() for _ in range(20)]
    sharing = Sharing(clock)
    calling(sharing, clock, parts, 1, late=0)
    clock.now += ADJUST_SECONDS
    sharing.came_late(5 * LATE_SECONDS)
    assert sharing.share == SHARE


def test_who_calls_no_more_than_others_is_not_held_back_when_time_is_short() -> None:
    clock, parts, took = Clock(), [Part() for _ in range(100)], 0.005
    sharing = Sharing(clock)
    calling(sharing, clock, parts, 5, late=10 * LATE_SECONDS)
    for _ in range(20):
        for part in parts:  # one after another, as a loop without a moment to spare works them off
            sharing.greet(part)
            assert sharing.begin(part) == 0
            sharing.charge(part, took)
            clock.now += took


def test_others_count_for_a_while_after_their_last_call() -> None:
    clock = Clock()
    sharing, one, other = Sharing(clock), Part(), Part()
    sharing.greet(one)
    sharing.greet(one)
    assert not sharing.is_needed()
    sharing.greet(other)
    assert sharing.is_needed()
    clock.now += PERIOD_SECONDS
    sharing.greet(one)
    assert sharing.is_needed()
    clock.now += PERIOD_SECONDS
    sharing.greet(one)
    assert not sharing.is_needed()


async def is_held_back(limits: CallLimits, agent: str) -> bool:
    """Whether a connection has to wait that calls again and again while no time passes."""
    for _ in range(200):
        entering = asyncio.create_task(limits.enter(LocalContext((("user-agent", agent),), "ipv4:127.0.0.1:1")))
        await asyncio.sleep(0)
        if not entering.done():
            entering.cancel()
            return True
        limits.leave(entering.result())
    return False


@pytest.mark.parametrize(
    ("rate", "agent", "other", "held_back"),
    [
        (300, "grpc", True, True),
        (300, "grpc", False, False),
        (0, "grpc", True, False),
        (300, "elevon-service", True, False),
    ],
    ids=["beside others", "alone", "without limits", "a service"],
)
async def test_only_a_client_beside_others_has_to_share(rate: float, agent: str, other: bool, held_back: bool) -> None:
    limits = CallLimits(LimitSettings(calls_per_second=rate), Clock())
    if other:
        limits.leave(await limits.enter(LocalContext((), "ipv4:127.0.0.1:2")))
    assert await is_held_back(limits, agent) == held_back


async def test_calls_that_come_late_to_their_turn_make_parts_smaller() -> None:
    loop = asyncio.get_running_loop()
    limits = CallLimits(LimitSettings(), loop.time)
    for port in range(2, 21):
        limits.leave(await limits.enter(LocalContext((), f"ipv4:127.0.0.1:{port}")))
    calls = [asyncio.create_task(limits.enter(LocalContext((), "ipv4:127.0.0.1:1"))) for _ in range(100)]
    until = loop.time() + 60
    while limits._sharing.share == SHARE and loop.time() < until:
        time.sleep(0.01)  # another call's work
        await asyncio.sleep(0)
        for call in filter(asyncio.Task.done, tuple(calls)):
            limits.leave(call.result())
            calls.remove(call)
            calls.append(asyncio.create_task(limits.enter(LocalContext((), "ipv4:127.0.0.1:1"))))
    assert limits._sharing.share < SHARE
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)


async def test_a_timed_coroutine_is_like_itself() -> None:
    async def work(error: Exception | None) -> str:
        assert await asyncio.sleep(0, "handed through") == "handed through"
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        except TimeoutError:
            if error is not None:
                raise error from None
        return "done"

    assert await Timed(work(None)) == "done"
    with pytest.raises(KeyError):
        await Timed(work(KeyError("a")))


async def test_what_a_coroutine_waits_for_takes_no_time_of_it() -> None:
    async def work() -> None:
        await asyncio.sleep(1)
        time.sleep(0.05)

    timed, began = Timed(work()), time.monotonic()
    await timed
    assert 0.05 <= timed.seconds <= time.monotonic() - began - 0.9


async def test_a_timed_coroutine_is_cancelled_and_may_clean_up() -> None:
    cleaned = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    async def whole() -> None:
        await Timed(work())

    running = asyncio.create_task(whole())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cleaned.is_set()
