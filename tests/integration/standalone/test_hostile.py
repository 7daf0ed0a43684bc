"""Rude and broken clients against a whole control plane, at its one port and at each service behind it.

After every attack the server answers others; in the end no process has died, and files and memory are given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from elevon.front_door import HTTP2_PREFACE
from elevon.layout import SERVICES
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import admin_service_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.benchmarks.plane import Plane
from tests.integration.standalone.hostile import (
    HELLO,
    HTTP2_ATTACKS,
    HTTP_ATTACKS,
    PATIENCE,
    attack,
    frame,
)

MEBIBYTE = 1024 * 1024
GRPC_PLACES = ("door", *SERVICES)
HTTP_PLACES = ("door", "admin http")
IMPATIENT = {
    "STANDALONE_FIRST_BYTES_SECONDS": "1",
    "ADMIN_HTTP__HEADER_SECONDS": "1",
    "ADMIN_HTTP__STALL_SECONDS": "1",
    "ADMIN_HTTP__IDLE_SECONDS": "1",
    **{f"{service.upper()}_GRPC__HANDSHAKE_SECONDS": "1" for service in SERVICES},
}
"""As little patience as a decent client on a busy machine still needs."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Target:
    """A control plane under attack."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.pids = {name: plane.pid(name) for name in SERVICES} | {"up": plane.process.pid}
        self.places = {"door": plane.target.replace("localhost", "127.0.0.1")}
        for name in SERVICES:
            told = json.loads(plane.layout.ready(name).read_text())
            self.places[name] = told["grpc"]
            if "http" in told:
                self.places[f"{name} http"] = told["http"]
        self.files = self.open_files()
        self.memory = self.resident()

    def open_files(self) -> dict[str, int]:
        """How many files and connections each process has open."""
        return {name: len(list(Path(f"/proc/{pid}/fd").iterdir())) for name, pid in self.pids.items()}

    def resident(self) -> float:
        """Memory of all processes, MiB."""
        return self.plane.resident(*self.pids)

    async def is_well(self) -> None:
        """Assert that the services answer, by gRPC and by HTTP."""
        for place in GRPC_PLACES:
            async with grpc.aio.insecure_channel(self.places[place]) as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE, wait_for_ready=True)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING, place
        async with httpx.AsyncClient(base_url=f"http://{self.places['door']}", timeout=PATIENCE) as http:
            async with asyncio.timeout(PATIENCE):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        answer = await http.get("/api/v1/version")
                        if answer.status_code != httpx.codes.REQUEST_TIMEOUT:  # we were late ourselves
                            break
            assert answer.status_code == 200

    async def lets_go(self) -> None:
        """Wait until the connections of attackers are gone; a few of our own may be kept for a while."""
        async with asyncio.timeout(PATIENCE):
            while any(now > self.files[name] + 12 for name, now in self.open_files().items()):
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    """A control plane that is attacked by all tests, one after the other; in the end it is as well as before."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in IMPATIENT.items():
            environment.setenv(f"ELEVON_{name}", value)
        plane = await Plane.start(tmp_path_factory.mktemp("hostile") / "data")
    try:
        target = Target(plane)
        yield target
        await target.is_well()
        await target.lets_go()
        assert {name: plane.pid(name) for name in SERVICES} | {"up": plane.process.pid} == target.pids
        assert target.resident() < target.memory + 300, "MiB"
    finally:
        await plane.stop()


@pytest.mark.parametrize("place", GRPC_PLACES)
async def test_broken_frames(target: Target, place: str) -> None:
    for name, data in HTTP2_ATTACKS.items():
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(attack(target.places[place], data) for _ in range(3)))
        assert target.plane.pid("admin") == target.pids["admin"], name
    await target.is_well()


@pytest.mark.parametrize("place", HTTP_PLACES)
async def test_broken_requests(target: Target, place: str) -> None:
    async def broken(name: str, data: bytes, stay: bool) -> None:
        answer = await attack(target.places[place], data, stay=stay)
        assert b"HTTP/1.1 5" not in answer.replace(b"HTTP/1.1 501", b""), name

    attacks = [broken(name, data, stay) for name, data in HTTP_ATTACKS.items() for stay in (False, True)]
    await asyncio.gather(*attacks)
    await target.is_well()


@pytest.mark.parametrize(
    ("place", "begun"),
    [
        ("door", b""),
        ("door", b"PR"),
        ("door", HTTP2_PREFACE),
        ("door", b"GET /api/v1/version HTTP/1.1\r\nX-A: "),
        ("admin", b""),
        ("admin", HTTP2_PREFACE[:12]),
        ("propeller", HTTP2_PREFACE),
        ("catalog", b"\x00"),
        ("admin http", b"POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"),
    ],
)
async def test_hundreds_that_begin_and_do_not_go_on(target: Target, place: str, begun: bytes) -> None:
    slow = [asyncio.create_task(attack(target.places[place], begun, stay=True)) for _ in range(200)]
    await target.is_well()
    await asyncio.gather(*slow)
    await target.lets_go()


@pytest.mark.parametrize("place", GRPC_PLACES)
async def test_half_open_connections_that_come_and_go(target: Target, place: str) -> None:
    host, _, port = target.places[place].rpartition(":")
    for _ in range(5):
        opened = await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(100)))
        for number, (_, writer) in enumerate(opened):
            writer.write(HELLO if number % 2 else b"GET / HT")
            writer.transport.abort()
    await target.is_well()
    await target.lets_go()


@pytest.mark.parametrize("place", GRPC_PLACES)
async def test_metadata_and_messages_that_are_too_large(target: Target, place: str) -> None:
    options = [("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 64 * MEBIBYTE)]
    async with grpc.aio.insecure_channel(target.places[place], options=options) as channel:
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        for metadata, message in (
            ([("x-large", "a" * MEBIBYTE)], b""),
            ([("x-many", "a" * 100)] * 5_000, b""),
            ([], bytes(40 * MEBIBYTE)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await check(message, metadata=metadata, timeout=PATIENCE, wait_for_ready=True)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await target.is_well()


async def test_many_large_messages_at_once(target: Target) -> None:
    async def send(channel: grpc.aio.Channel) -> grpc.StatusCode:
        create: Any = channel.unary_unary("/flyteidl.service.AdminService/CreateTask")
        try:
            await create(bytes(40 * MEBIBYTE), timeout=PATIENCE, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(target.places["door"], options=options) for _ in range(4)]
    codes = await asyncio.gather(*(send(channel) for channel in channels for _ in range(3)))
    assert set(codes) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    for channel in channels:
        await channel.close()
    await target.is_well()


async def test_a_stream_of_data_that_nobody_asked_for(target: Target) -> None:
    """Frames within what flow control allows go into one message that never ends; the rest is not read."""
    data = HELLO + frame(1, 4, 1, b"") + b"".join(frame(0, 0, 1, bytes(16_384)) for _ in range(2_000))
    await asyncio.gather(*(attack(target.places["door"], data) for _ in range(10)))
    await target.is_well()


frames = st.builds(
    frame,
    st.integers(0, 12),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1]),
    st.binary(max_size=64),
    st.none() | st.integers(0, 100),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(sent=st.lists(frames, max_size=8), place=st.sampled_from(GRPC_PLACES))
async def test_frames_drawn_by_lot(target: Target, sent: list[bytes], place: str) -> None:
    await attack(target.places[place], HELLO + b"".join(sent))
    async with grpc.aio.insecure_channel(target.places["door"]) as channel:
        stub: Any = admin_service_pb2_grpc.AdminServiceStub(channel)
        version = await stub.GetVersion(admin.GetVersionRequest(), timeout=PATIENCE, wait_for_ready=True)
        assert version.control_plane_version.Version.startswith("v")
