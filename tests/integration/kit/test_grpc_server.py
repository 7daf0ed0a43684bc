"""The server over real sockets: two names, clean codes whatever arrives, a canonical line per call, an orderly end."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import grpc
import pytest
import structlog
from elevon_core.errors import (
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from elevon_idl.catalog import v1 as catalog
from elevon_idl.catalog.v1 import data_catalog_pb2_grpc
from elevon_idl.connector import v1 as connector
from elevon_idl.connector.v1 import connector_service_pb2_grpc
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc
from elevon_kit.grpc_client import translate_errors
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.settings import GrpcSettings
from flyteidl.datacatalog import datacatalog_pb2, datacatalog_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

OURS = "/elevon.catalog.v1.DataCatalog/CreateDataset"
ORIGINAL = "/datacatalog.DataCatalog/CreateDataset"
GARBAGE = b"\x0a\xff\xff\xff\xff\x0f not a message"


async def code_of(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


@pytest.mark.parametrize("path", [OURS, ORIGINAL])
async def test_a_service_answers_under_both_names(running: Any, path: str) -> None:
    assert await running.raw(path, b"") == b""


async def test_an_official_stub_is_served(running: Any) -> None:
    stub = running.stub(datacatalog_pb2_grpc.DataCatalogStub)
    dataset = datacatalog_pb2.Dataset(id=datacatalog_pb2.DatasetID(name="x"))
    answer = await stub.CreateDataset(datacatalog_pb2.CreateDatasetRequest(dataset=dataset))
    assert answer == datacatalog_pb2.CreateDatasetResponse()


async def test_an_error_arrives_as_its_kind_with_its_details(running: Any) -> None:
    with pytest.raises(NotFound, match=r"^no such dataset$") as caught, translate_errors("catalog"):
        await running.create("not found")
    assert caught.value.details == (core.WorkflowExecutionIdentifier(name="detail"),)


@pytest.mark.parametrize(
    ("name", "kind"), [("timeout", DeadlineExceeded), ("defect", Internal), ("wrong answer", Internal)]
)
async def test_no_exception_is_unknown(running: Any, name: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^catalog: "), translate_errors("catalog"):
        await running.create(name)


async def test_a_defect_tells_the_caller_a_reference_and_the_log_the_rest(running: Any) -> None:
    with capture_logs() as logs:
        code, message = await code_of(running.create("defect"))
    reference = message.removeprefix("internal error, reference ")
    assert code is grpc.StatusCode.INTERNAL
    assert len(reference) == 12
    assert "secret" not in message
    unexpected, canonical = logs
    assert isinstance(unexpected["exc_info"], ZeroDivisionError)
    assert (unexpected["reference"], canonical["reference"]) == (reference, reference)
    assert canonical["log_level"] == "error"


async def test_every_call_has_one_line(running: Any) -> None:
    with capture_logs() as logs:
        await running.create("fine")
        await code_of(running.create("not found"))
    assert [(line["method"], line["code"], line["log_level"]) for line in logs] == [
        (OURS, "OK", "info"),
        (OURS, "NOT_FOUND", "info"),
    ]
    assert (logs[0]["project"], logs[0]["domain"], logs[0]["name"]) == ("p", "d", "fine")
    assert logs[0]["ms"] >= 0
    assert logs[0]["request_bytes"] > 0
    assert logs[1]["error"] == "no such dataset"


async def test_lines_of_the_servicer_say_what_the_call_is_about(running: Any) -> None:
    await asyncio.gather(running.create("one"), running.create("two"))
    assert {(bound["project"], bound["name"]) for bound in running.shelf.bound} == {("p", "one"), ("p", "two")}
    assert "project" not in structlog.contextvars.get_contextvars()


async def test_what_is_not_available_says_so(running: Any) -> None:
    stub = running.stub(data_catalog_pb2_grpc.DataCatalogStub)
    with pytest.raises(Unimplemented, match="GetDataset is not available"), translate_errors("catalog"):
        await stub.GetDataset(catalog.GetDatasetRequest())
    code, _ = await code_of(running.raw("/no.such.Service/Method", b""))
    assert code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_stream_that_is_not_available_says_so(serve: Any) -> None:
    server = await serve((propeller_service_pb2_grpc.PropellerServiceServicer, "elevon.propeller.v1.PropellerService"))
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = propeller_service_pb2_grpc.PropellerServiceStub(channel)
        call = aiter(stub.WatchExecution(propeller.WatchExecutionRequest()))
        with pytest.raises(Unimplemented, match="WatchExecution is not available"), translate_errors("propeller"):
            await anext(call)


async def test_bytes_that_are_no_message_are_the_callers_error(running: Any) -> None:
    code, message = await code_of(running.raw(OURS, GARBAGE))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "elevon.catalog.v1.CreateDatasetRequest" in message
    deep = b"".join(reversed([b"\x0a\x02\x08\x01"] + [b"\x0a\x7f"] * 200))
    assert (await code_of(running.raw(ORIGINAL, deep)))[0] is grpc.StatusCode.INVALID_ARGUMENT


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=64))
async def test_no_bytes_are_a_defect_of_ours(request_bytes: bytes) -> None:
    servicer: Any = data_catalog_pb2_grpc.DataCatalogServicer
    server = GrpcServer(GrpcSettings(drain_seconds=0), "catalog")
    server.add(servicer(), "elevon.catalog.v1.DataCatalog")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(server.address) as channel:
            method: Any = channel.unary_unary(OURS)
            code, _ = await code_of(method(request_bytes))
    finally:
        await server.stop()
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED)


async def test_a_request_over_the_limit_is_refused_and_the_connection_lives(start: Any) -> None:
    running = await start(max_message_bytes=2048)
    channel = running.channel()
    with pytest.raises(ResourceExhausted, match="larger than max"), translate_errors("catalog"):
        await running.create("x" * 4096, channel)
    await running.create("fine", channel)


async def test_an_answer_as_large_as_it_must_be_arrives(running: Any) -> None:
    stub = running.stub(connector_service_pb2_grpc.SyncAgentServiceStub)
    large = "x" * (6 * 1024 * 1024)
    requests = [connector.ExecuteTaskSyncRequest(header=connector.CreateRequestHeader(output_prefix=large))]
    answers = [answer async for answer in stub.ExecuteTaskSync(iter(requests))]
    assert answers[0].header.resource.message == large


async def test_streams_in_both_directions(running: Any) -> None:
    stub = running.stub(connector_service_pb2_grpc.SyncAgentServiceStub)
    requests = [
        connector.ExecuteTaskSyncRequest(header=connector.CreateRequestHeader(output_prefix=name)) for name in "abc"
    ]
    with capture_logs() as logs:
        answers = [answer.header.resource.message async for answer in stub.ExecuteTaskSync(iter(requests))]
    assert answers == ["a", "b", "c"]
    assert [line["code"] for line in logs] == ["OK"]


async def test_a_stream_ends_with_the_error_it_met(running: Any) -> None:
    stub = running.stub(connector_service_pb2_grpc.SyncAgentServiceStub)
    requests = [
        connector.ExecuteTaskSyncRequest(header=connector.CreateRequestHeader(output_prefix=name))
        for name in ("a", "fail")
    ]
    answers = aiter(stub.ExecuteTaskSync(iter(requests)))
    assert (await anext(answers)).header.resource.message == "a"
    with pytest.raises(InvalidArgument, match=r"^missing header$"), translate_errors("connector"):
        await anext(answers)
    raw = running.channel().stream_stream("/flyteidl.service.SyncAgentService/ExecuteTaskSync")
    assert (await code_of(anext(aiter(raw(iter([GARBAGE]))))))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_cancelled_call_is_cancelled_in_the_servicer(running: Any) -> None:
    with capture_logs() as logs:
        call = asyncio.create_task(running.create("wait"))
        await running.shelf.running.wait()
        call.cancel()
        await running.shelf.cancelled.wait()
        await asyncio.sleep(0)
    assert [line["code"] for line in logs] == ["CANCELLED"]


async def test_a_deadline_passes(running: Any) -> None:
    seconds = 0.1
    while not running.shelf.running.is_set():  # it may pass before the call is there
        with pytest.raises(DeadlineExceeded), translate_errors("catalog"):
            await running.create("wait", timeout=seconds)
        seconds *= 2
    await running.shelf.cancelled.wait()


async def test_calls_made_until_the_end_are_told_to_try_again(start: Any) -> None:
    running = await start(drain_seconds=10)
    channel = running.channel()
    waiting = asyncio.create_task(running.create("wait", channel))
    await running.shelf.running.wait()
    stopping = asyncio.create_task(running.server.stop())
    await running.server.draining.wait()

    async def go_on_calling() -> None:
        while True:
            await running.create("late", channel)

    with pytest.raises(Unavailable), translate_errors("catalog"):
        await go_on_calling()
    running.shelf.release.set()
    await waiting
    await stopping


async def test_running_calls_finish_when_the_server_stops(start: Any) -> None:
    running = await start(drain_seconds=10)
    channel = running.channel()
    call = asyncio.create_task(running.create("wait", channel))
    await running.shelf.running.wait()
    stopping = asyncio.create_task(running.server.stop())
    await running.server.draining.wait()
    running.shelf.release.set()
    await call
    await stopping
    with pytest.raises(Unavailable), translate_errors("catalog"):
        await running.create("late", channel)


async def test_calls_that_outlast_the_drain_are_cancelled(start: Any) -> None:
    running = await start(drain_seconds=0.05)
    call = asyncio.create_task(running.create("wait"))
    await running.shelf.running.wait()
    await running.server.stop()
    await running.shelf.cancelled.wait()
    assert (await code_of(call))[0] in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)


async def test_long_streams_hear_of_the_end(start: Any) -> None:
    running = await start(drain_seconds=10)
    stub = running.stub(propeller_service_pb2_grpc.PropellerServiceStub)
    answers = aiter(stub.WatchExecution(propeller.WatchExecutionRequest()))
    await anext(answers)
    stopping = asyncio.create_task(running.server.stop())
    assert [answer async for answer in answers] == [propeller.WatchExecutionResponse()]
    await stopping


async def test_a_servicer_must_be_asynchronous() -> None:
    class Synchronous(data_catalog_pb2_grpc.DataCatalogServicer):
        def CreateDataset(self, request: object, context: object) -> Any:
            return catalog.CreateDatasetResponse()

    synchronous: Any = Synchronous
    server = GrpcServer(GrpcSettings(), "catalog")
    with pytest.raises(Internal, match=r"Synchronous\.CreateDataset must be a coroutine function"):
        server.add(synchronous(), "elevon.catalog.v1.DataCatalog")
    with pytest.raises(Internal, match="there is no service"):
        server.add(object(), "elevon.catalog.v1.Nothing")


async def test_a_taken_port_is_unavailable(running: Any) -> None:
    port = int(running.server.address.rpartition(":")[2])
    second = GrpcServer(GrpcSettings(port=port), "catalog")
    with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{port}"):
        await second.start()


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS_FRAME = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
PING_FRAME = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + b"elevon!!"
PING, GOAWAY = 6, 7


async def frames_after_pings(address: str, pings: int, pause: float) -> list[int]:
    """Speak HTTP/2 by hand: send pings on a connection without calls and answer the types of the frames that come."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(PREFACE + SETTINGS_FRAME)
    answered: list[int] = []

    async def read() -> None:
        while header := await reader.readexactly(9):
            await reader.readexactly(int.from_bytes(header[:3]))
            answered.append(header[3])
            if header[3] == GOAWAY or answered.count(PING) == pings:
                return

    reading = asyncio.create_task(read())
    for _ in range(pings):
        writer.write(PING_FRAME)
        await asyncio.sleep(pause)
        if reading.done():
            break
    async with asyncio.timeout(10):
        await reading
    writer.close()
    return answered


async def test_pings_without_calls_are_answered(start: Any) -> None:
    running = await start(min_ping_seconds=0.05)
    frames = await frames_after_pings(running.server.address, pings=6, pause=0.12)
    assert frames.count(PING) == 6
    assert GOAWAY not in frames


async def test_pings_that_come_too_fast_end_the_connection(start: Any) -> None:
    running = await start(min_ping_seconds=10)
    assert GOAWAY in await frames_after_pings(running.server.address, pings=6, pause=0.05)


def test_clients_that_ping_every_ten_seconds_are_welcome() -> None:
    assert GrpcSettings().min_ping_seconds < 10


async def test_bytes_that_are_no_http_do_no_harm(running: Any) -> None:
    host, _, port = running.server.address.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)))
    await running.create("fine")


async def test_the_server_listens_on_ipv6_too(start: Any) -> None:
    running = await start(host="::1")
    assert running.server.address.startswith("[::1]:")
    await running.create("fine")
