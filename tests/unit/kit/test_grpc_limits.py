"""What the limits let through, under a clock of the tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from elevon_core.errors import ResourceExhausted
from elevon_kit.grpc_limits import SWEEP_FROM, CallLimits, Place
from elevon_kit.grpc_local import LocalContext
from elevon_kit.settings import LimitSettings
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def passes(limits: CallLimits, peer: str) -> bool:
    """Make a call that ends at once; whether it was let in."""
    try:
        limits.leave(await limits.enter(LocalContext((), peer)))
    except ResourceExhausted:
        return False
    return True


@given(
    rate=st.integers(1, 100),
    burst=st.integers(1, 20),
    pauses=st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.1, 1.0]), max_size=200),
)
def test_no_more_pass_than_the_bucket_holds_and_none_that_it_holds_is_refused(
    rate: int, burst: int, pauses: list[float]
) -> None:
    async def play() -> None:
        clock = Clock()
        limits = CallLimits(LimitSettings(calls_per_second=rate, burst_calls=burst, wait_seconds=0), clock)
        tokens = float(burst)
        for pause in pauses:
            clock.now += pause
            tokens = min(float(burst), tokens + pause * rate)
            passed = await passes(limits, "ipv4:127.0.0.1:1")
            # At the boundary itself rounding decides.
            assert passed == (tokens >= 1) or abs(tokens - 1) < 1e-6, tokens
            tokens -= passed
        assert limits.calls == 0

    asyncio.run(play())


async def test_one_connection_does_not_use_up_what_another_has() -> None:
    limits = CallLimits(LimitSettings(calls_per_second=1, burst_calls=1, wait_seconds=0), Clock())
    assert [await passes(limits, f"ipv4:127.0.0.1:{port}") for port in (1, 1, 2, 2)] == [True, False, True, False]


async def test_a_rate_of_zero_is_no_limit() -> None:
    limits = CallLimits(LimitSettings(calls_per_second=0, burst_calls=1, wait_seconds=0), Clock())
    assert all([await passes(limits, "ipv4:127.0.0.1:1") for _ in range(1000)])


async def test_connections_that_came_and_went_are_forgotten() -> None:
    clock = Clock()
    limits = CallLimits(LimitSettings(calls_per_second=10, burst_calls=10), clock)
    held = await limits.enter(LocalContext((), "ipv4:127.0.0.1:0"))
    for port in range(1, 10 * SWEEP_FROM):
        clock.now += 0.01
        assert await passes(limits, f"ipv4:127.0.0.1:{port}")
    assert len(limits._callers) <= SWEEP_FROM
    assert limits._callers["ipv4:127.0.0.1:0"].calls == 1
    limits.leave(held)


@pytest.mark.parametrize(
    ("peer", "agent", "served"),
    [
        ("ipv4:127.0.0.1:1", "grpc-python-asyncio/1.80 grpc-c/50 (linux; chttp2) elevon-service/key", True),
        ("ipv4:127.0.0.1:1", "grpc-python-asyncio/1.80 grpc-c/50 (linux; chttp2) elevon-service/keys", False),
        ("ipv4:127.0.0.1:1", "elevon-service", False),
        ("http:127.0.0.1:1", "elevon-service/key", False),
    ],
)
async def test_only_a_channel_that_shows_the_key_is_a_service(peer: str, agent: str, served: bool) -> None:
    strict = LimitSettings.model_validate(
        {"calls_per_second": 1, "burst_calls": 1, "wait_seconds": 0, "service_key": "key"}
    )
    limits = CallLimits(strict, Clock())
    assert await passes(limits, peer)
    try:
        limits.leave(await limits.enter(LocalContext((("user-agent", agent),), peer)))
    except ResourceExhausted:
        assert not served
    else:
        assert served


@dataclass(frozen=True)
class Crowd:
    """A connection with calls that wait for their turn, and what becomes of its next one."""

    waiting: int = 4
    seconds: float = 1.5
    agent: str = "grpc"
    beside_others: bool = True
    refused: bool = True


@pytest.mark.parametrize(
    "crowd",
    [
        Crowd(),
        Crowd(waiting=3, refused=False),
        Crowd(seconds=0.5, refused=False),
        Crowd(agent="elevon-service", refused=False),
        Crowd(beside_others=False, refused=False),
    ],
    ids=["many for long", "few", "not for long", "of a service", "alone"],
)
async def test_who_keeps_many_calls_waiting_beside_others_for_long_is_refused_more(crowd: Crowd) -> None:
    clock = Clock()
    settings = LimitSettings(calls_per_second=10, burst_calls=11, wait_seconds=0, turns=2, streams=8)
    limits = CallLimits(settings, clock)
    context = LocalContext((("user-agent", crowd.agent),), "ipv4:127.0.0.1:1")
    if crowd.beside_others:
        assert await passes(limits, "ipv4:127.0.0.1:2")
    working = [await limits.enter(context) for _ in range(settings.turns)]
    waiting = [asyncio.create_task(limits.enter(context)) for _ in range(crowd.waiting)]
    await asyncio.sleep(0)
    clock.now += crowd.seconds
    if crowd.beside_others:
        assert await passes(limits, "ipv4:127.0.0.1:2")
    one_more = asyncio.create_task(limits.enter(context))
    await asyncio.sleep(0.01)
    if crowd.refused:
        with pytest.raises(ResourceExhausted, match="4 or more have been waiting for over 1 s while others call"):
            await one_more
    else:
        waiting.append(one_more)
    for place in working:
        limits.leave(place)
    for call in asyncio.as_completed(waiting):
        limits.leave(await call)
    assert limits.calls == 0


async def test_patience_begins_anew_when_few_calls_wait() -> None:
    clock = Clock()
    settings = LimitSettings(calls_per_second=10, burst_calls=100, wait_seconds=0, turns=1, streams=8)
    limits = CallLimits(settings, clock)
    context = LocalContext((), "ipv4:127.0.0.1:1")

    async def more(count: int) -> list[asyncio.Task[Place]]:
        assert await passes(limits, "ipv4:127.0.0.1:2")
        made = [asyncio.create_task(limits.enter(context)) for _ in range(count)]
        await asyncio.sleep(0)
        return made

    calls = await more(6)
    clock.now += 20
    for call in calls[:4]:
        limits.leave(await call)
    calls = [*calls[4:], *await more(4)]
    clock.now += 9
    calls += await more(1)
    assert not calls[-1].done()
    clock.now += 9
    (refused,) = await more(1)
    with pytest.raises(ResourceExhausted):
        await refused
    for call in calls:
        limits.leave(await call)


@pytest.mark.parametrize("streams", [1, 2, 3, 4, 7])
async def test_patience_has_a_beginning_however_few_calls_may_be_open(streams: int) -> None:
    clock = Clock()
    settings = LimitSettings(calls_per_second=10, burst_calls=100, wait_seconds=0, turns=1, streams=streams)
    limits = CallLimits(settings, clock)
    context = LocalContext((), "ipv4:127.0.0.1:1")
    calls = []
    for _ in range(1 + max(streams // 2, 1) + 1):
        assert await passes(limits, "ipv4:127.0.0.1:2")
        calls.append(asyncio.create_task(limits.enter(context)))
        await asyncio.sleep(0.005)
    for call in calls:
        limits.leave(await call)


@pytest.mark.looptime  # who is refused is kept for minutes before
async def test_calls_that_wait_for_the_rate_are_a_crowd_too() -> None:
    clock = Clock()
    settings = LimitSettings(calls_per_second=10, burst_calls=11, wait_seconds=30, turns=2, streams=8)
    limits = CallLimits(settings, clock)
    peer = "ipv4:127.0.0.1:1"
    assert await passes(limits, "ipv4:127.0.0.1:2")
    assert [await passes(limits, peer) for _ in range(9)] == [True] * 9
    working = [await limits.enter(LocalContext((), peer)) for _ in range(settings.turns)]
    waiting = [asyncio.create_task(limits.enter(LocalContext((), peer))) for _ in range(4)]
    await asyncio.sleep(0)
    assert limits.calls == settings.turns + len(waiting)
    clock.now += 1.5
    assert await passes(limits, "ipv4:127.0.0.1:2")
    with pytest.raises(ResourceExhausted, match="4 or more have been waiting for over 1 s while others call"):
        await limits.enter(LocalContext((), peer))
    for call in waiting:
        call.cancel()
    await asyncio.wait(waiting)
    for place in working:
        limits.leave(place)
    assert limits.calls == 0
