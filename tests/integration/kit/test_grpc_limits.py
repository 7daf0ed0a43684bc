"""Limits over real connections: who floods is told to slow down, whoever else calls meanwhile is served."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from elevon_kit import grpc_client, telemetry
from elevon_kit.grpc_limits import CallLimits
from elevon_kit.grpc_status import unpack_details
from elevon_kit.settings import GrpcClientSettings, LimitSettings, TelemetrySettings
from elevon_kit.telemetry_exporters import prometheus_page
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # googleapis ships no type information
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

OF_ITS_OWN = {"grpc.use_local_subchannel_pool": 1}
"""Channels to the same place share a connection unless told otherwise."""

OK, LIMITED = grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED
STRICT: dict[str, Any] = {"calls_per_second": 1, "burst_calls": 5, "wait_seconds": 0.01}

Connect = Callable[..., grpc.aio.Channel]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens channels with connections of their own."""
    opened: list[grpc.aio.Channel] = []

    def to(running: Any, **settings: Any) -> grpc.aio.Channel:
        made = grpc_client.channel(running.server.address, GrpcClientSettings(**settings), OF_ITS_OWN)
        opened.append(made)
        return made

    yield to
    for each in opened:
        await each.close()


def client(running: Any) -> grpc.aio.Channel:
    """A channel as any client opens it, which does not say that it is a service."""
    made = grpc.aio.insecure_channel(running.server.address, options=[*OF_ITS_OWN.items()])
    running.channels.append(made)
    return made


async def code(call: Awaitable[Any]) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return OK


async def codes(*calls: Awaitable[Any]) -> Counter[grpc.StatusCode]:
    return Counter(await asyncio.gather(*map(code, calls)))


def limits_of(running: Any) -> CallLimits:
    found: CallLimits = running.server._handlers.limits
    return found


async def until_calls(running: Any, count: int) -> None:
    async with asyncio.timeout(30):
        while limits_of(running).calls != count:
            await asyncio.sleep(0.002)


async def test_who_floods_is_refused_while_others_are_served(start: Any) -> None:
    running = await start(limits=LimitSettings(**STRICT))
    flooding = client(running)
    found, others = await asyncio.gather(
        codes(*(running.create("fine", flooding) for _ in range(200))),
        codes(*(running.create("fine", client(running)) for _ in range(10))),
    )
    assert others == {OK: 10}
    assert set(found) == {OK, LIMITED}
    assert found[OK] >= 5
    assert limits_of(running).calls == 0


async def test_a_refusal_says_what_to_do_and_when(start: Any) -> None:
    running = await start(limits=LimitSettings(**STRICT))
    flooding = client(running)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.gather(*(running.create("fine", flooding) for _ in range(50)))
    assert caught.value.code() is LIMITED
    assert "keep fewer calls under way" in (caught.value.details() or "")
    assert "grpc.limits.calls_per_second" in (caught.value.details() or "")
    (retry,) = unpack_details(caught.value.trailing_metadata())
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() >= 100


async def test_who_only_calls_too_often_waits(start: Any) -> None:
    running = await start(limits=LimitSettings(calls_per_second=200, burst_calls=1, wait_seconds=60))
    one = client(running)
    assert await codes(*(running.create("fine", one) for _ in range(40))) == {OK: 40}


@pytest.mark.parametrize(
    ("key", "shown", "expected"),
    [("", "", {OK}), ("k1", "k1", {OK}), ("k1", "k2", {OK, LIMITED}), ("k1", "", {OK, LIMITED})],
)
async def test_services_are_not_held_back(
    start: Any, connect: Connect, key: str, shown: str, expected: set[grpc.StatusCode]
) -> None:
    running = await start(limits=LimitSettings(service_key=key, **STRICT))
    channel = connect(running, service_key=shown)
    assert set(await codes(*(running.create("fine", channel) for _ in range(100)))) == expected


async def test_a_connection_has_some_turns_and_others_have_theirs(start: Any) -> None:
    running = await start(limits=LimitSettings(turns=2))
    busy, other = client(running), client(running)
    calls = [asyncio.create_task(code(running.create("wait", busy))) for _ in range(5)]
    await until_calls(running, 5)
    assert len(running.shelf.bound) == 2
    assert await code(running.create("fine", other)) is OK
    running.shelf.release.set()
    assert await asyncio.gather(*calls) == [OK] * 5


async def test_whoever_gives_up_while_waiting_leaves_the_turn_to_others(start: Any) -> None:
    running = await start(limits=LimitSettings(turns=1))
    busy = client(running)
    first = asyncio.create_task(code(running.create("wait", busy)))
    async with asyncio.timeout(30):
        await running.shelf.running.wait()
    assert await code(running.create("fine", busy, timeout=0.05)) is grpc.StatusCode.DEADLINE_EXCEEDED
    await until_calls(running, 1)
    running.shelf.release.set()
    assert await first is OK
    assert await code(running.create("fine", busy)) is OK
    await until_calls(running, 0)


async def test_a_full_server_refuses_more(start: Any) -> None:
    running = await start(limits=LimitSettings(most_calls=3, wait_seconds=0))
    calls = [asyncio.create_task(code(running.create("wait", client(running)))) for _ in range(3)]
    await until_calls(running, 3)
    with pytest.raises(grpc.aio.AioRpcError, match=r"grpc\.limits\.most_calls") as caught:
        await running.create("fine", client(running))
    assert caught.value.code() is LIMITED
    assert unpack_details(caught.value.trailing_metadata())
    running.shelf.release.set()
    assert await asyncio.gather(*calls) == [OK] * 3
    assert await code(running.create("fine", client(running))) is OK


async def test_the_second_half_is_for_connections_with_few_calls(start: Any) -> None:
    running = await start(limits=LimitSettings(most_calls=8, turns=4, wait_seconds=0))
    greedy = client(running)
    calls = [asyncio.create_task(code(running.create("wait", greedy))) for _ in range(4)]
    await until_calls(running, 4)
    assert await code(running.create("fine", greedy)) is LIMITED
    assert await code(running.create("fine", client(running))) is OK
    running.shelf.release.set()
    assert await asyncio.gather(*calls) == [OK] * 4


async def test_a_call_that_finds_room_after_a_wait_is_served(start: Any) -> None:
    running = await start(limits=LimitSettings(most_calls=1, wait_seconds=1))
    first = asyncio.create_task(code(running.create("wait", client(running))))
    await until_calls(running, 1)
    second = asyncio.create_task(code(running.create("fine", client(running))))
    await asyncio.sleep(0.05)
    assert not second.done()
    running.shelf.release.set()
    assert [await first, await second] == [OK, OK]


async def test_health_is_always_told(start: Any) -> None:
    running = await start(limits=LimitSettings(most_calls=1, wait_seconds=0))
    call = asyncio.create_task(code(running.create("wait", client(running))))
    await until_calls(running, 1)
    stub: Any = health_pb2_grpc.HealthStub(client(running))
    for _ in range(20):
        answer = await stub.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    running.shelf.release.set()
    assert await call is OK


async def test_a_flood_is_one_line_of_the_log_and_counted(start: Any) -> None:
    metrics = telemetry.configure_telemetry(TelemetrySettings(metrics="prometheus"), "catalog")
    try:
        running = await start(limits=LimitSettings(**STRICT))
        flooding = client(running)
        with capture_logs() as logs:
            found = await codes(*(running.create("fine", flooding) for _ in range(100)))
        page = prometheus_page()[0].decode()
    finally:
        metrics.stop()
    warnings = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["event"], line["reason"]) for line in warnings] == [("calls refused", "rate")]
    assert 'rpc_server_refused_total{otel_scope_name="elevon"' in page
    assert any(
        line.startswith("rpc_server_refused_total{") and line.endswith(f" {found[LIMITED]}.0")
        for line in page.splitlines()
    )


async def test_a_server_holds_no_more_streams_than_it_may(start: Any) -> None:
    running = await start(limits=LimitSettings(most_streams=2))
    calls = [asyncio.create_task(code(running.create("wait", client(running)))) for _ in range(2)]
    await until_calls(running, 2)
    assert await code(running.create("fine", client(running))) is LIMITED
    running.shelf.release.set()
    assert await asyncio.gather(*calls) == [OK] * 2
