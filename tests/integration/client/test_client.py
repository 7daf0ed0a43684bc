"""The client against a real server on a loopback socket."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_client import Client, ExecutionTimeout, is_terminal
from elevon_client.client import PAGE, TERMINAL_PHASES
from elevon_core.errors import NotFound, Unavailable
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import admin_service_pb2_grpc, watch_service_pb2_grpc
from elevon_idl.core import v1 as core
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.settings import GrpcSettings

Phase = core.WorkflowExecution
Servicer: Any = admin_service_pb2_grpc.AdminServiceServicer  # typed, it wants every method
WatchServicer: Any = watch_service_pb2_grpc.WatchServiceServicer
EXECUTION = core.WorkflowExecutionIdentifier(project="p", domain="d", name="e1")
NODE = core.NodeExecutionIdentifier(node_id="n0", execution_id=EXECUTION)


class FakeAdmin(Servicer):  # type: ignore[misc]  # the base is untyped on purpose, see above
    """An admin service with one execution, whose phases come one after the other."""

    def __init__(self) -> None:
        self.phases = [Phase.SUCCEEDED]
        self.asked = 0
        self.rows = 0
        self.largest = b""
        self.requests: list[Any] = []

    async def GetExecution(self, request: Any, context: Any) -> admin.Execution:
        if request.id != EXECUTION:
            raise NotFound(f"no execution {request.id.name}")
        phase = self.phases[min(self.asked, len(self.phases) - 1)]
        self.asked += 1
        closure = admin.ExecutionClosure(phase=phase)
        closure.abort_metadata.cause = self.largest.decode()
        return admin.Execution(id=request.id, closure=closure)

    def _page(self, request: Any) -> tuple[range, str]:
        self.requests.append(request)
        first = int(request.token or 0)
        last = min(first + request.limit, self.rows)
        return range(first, last), str(last) if last < self.rows else ""

    async def ListNodeExecutions(self, request: Any, context: Any) -> admin.NodeExecutionList:
        numbers, token = self._page(request)
        ids = [core.NodeExecutionIdentifier(node_id=f"n{number}", execution_id=EXECUTION) for number in numbers]
        return admin.NodeExecutionList(node_executions=[admin.NodeExecution(id=each) for each in ids], token=token)

    async def ListTaskExecutions(self, request: Any, context: Any) -> admin.TaskExecutionList:
        numbers, token = self._page(request)
        ids = [core.TaskExecutionIdentifier(node_execution_id=NODE, retry_attempt=number) for number in numbers]
        return admin.TaskExecutionList(task_executions=[admin.TaskExecution(id=each) for each in ids], token=token)


async def serve(fake: FakeAdmin, settings: GrpcSettings) -> GrpcServer:
    server = GrpcServer(settings, "admin")
    server.add(fake, "elevon.admin.v1.AdminService")
    await server.start()
    return server


@pytest.fixture
def fake() -> FakeAdmin:
    return FakeAdmin()


@pytest.fixture
async def server(fake: FakeAdmin) -> AsyncIterator[GrpcServer]:
    started = await serve(fake, GrpcSettings(drain_seconds=0))
    yield started
    await started.stop()


@pytest.fixture
async def client(server: GrpcServer) -> AsyncIterator[Client]:
    async with Client(server.address) as opened:
        yield opened


@pytest.mark.parametrize("rows", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
async def test_all_pages_of_nodes_are_read_in_order(client: Client, fake: FakeAdmin, rows: int) -> None:
    fake.rows = rows
    nodes = [node.id.node_id async for node in client.node_executions(EXECUTION, parent="sub")]
    assert nodes == [f"n{number}" for number in range(rows)]
    assert len(fake.requests) == max(1, -(-rows // PAGE))
    for request in fake.requests:
        assert request.workflow_execution_id == EXECUTION
        assert request.unique_parent_id == "sub"
        assert (request.sort_by.key, request.sort_by.direction) == ("created_at", admin.Sort.ASCENDING)


@pytest.mark.parametrize("rows", [0, PAGE + 1])
async def test_all_pages_of_attempts_are_read_in_order(client: Client, fake: FakeAdmin, rows: int) -> None:
    fake.rows = rows
    attempts = [attempt.id.retry_attempt async for attempt in client.task_executions(NODE)]
    assert attempts == list(range(rows))
    assert {request.node_execution_id.node_id for request in fake.requests} == {"n0"}


async def test_pages_are_asked_for_as_they_are_needed(client: Client, fake: FakeAdmin) -> None:
    fake.rows = 10 * PAGE
    async for node in client.node_executions(EXECUTION):
        if node.id.node_id == f"n{PAGE}":
            break
    assert len(fake.requests) == 2


async def test_waiting_goes_on_until_the_end(client: Client, fake: FakeAdmin) -> None:
    fake.phases = [Phase.QUEUED, Phase.RUNNING, Phase.SUCCEEDING, Phase.SUCCEEDED]
    execution = await client.wait(EXECUTION, interval=0.001)
    assert execution.closure.phase == Phase.SUCCEEDED
    assert fake.asked == 4


async def test_waiting_gives_up_in_time_and_says_how_far_it_is(client: Client, fake: FakeAdmin) -> None:
    fake.phases = [Phase.RUNNING]
    with pytest.raises(ExecutionTimeout, match=r"execution e1 is RUNNING after 0\.05 s"):
        await client.wait(EXECUTION, seconds=0.05, interval=60)
    assert fake.asked in (2, 3)  # at the beginning and when the time was up, however long the interval


async def test_no_time_at_all_is_one_look(client: Client, fake: FakeAdmin) -> None:
    assert (await client.wait(EXECUTION, seconds=0)).closure.phase == Phase.SUCCEEDED
    fake.phases = [Phase.RUNNING]
    with pytest.raises(ExecutionTimeout):
        await client.wait(EXECUTION, seconds=0)


@pytest.mark.parametrize("phase", sorted(Phase.Phase.values()))
def test_only_four_phases_are_an_end(phase: Any) -> None:
    execution = admin.Execution(closure=admin.ExecutionClosure(phase=phase))
    assert is_terminal(execution) == (Phase.Phase.Name(phase) in ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"))
    assert len(TERMINAL_PHASES) == 4


async def test_errors_come_as_the_service_sent_them(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.execution(core.WorkflowExecutionIdentifier(project="p", domain="d", name="other"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert refused.value.details() == "no execution other"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.wait(core.WorkflowExecutionIdentifier(name="other"), seconds=10)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_what_is_not_served_is_unimplemented(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.admin.ListProjects(admin.ProjectListRequest())
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_server_that_is_gone_is_unavailable(server: GrpcServer) -> None:
    async with Client(server.address) as client:
        assert is_terminal(await client.execution(EXECUTION))
        await server.stop()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.execution(EXECUTION)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_answers_beyond_grpcs_default_size_arrive(client: Client, fake: FakeAdmin) -> None:
    fake.largest = b"x" * (6 * 1024 * 1024)
    execution = await client.execution(EXECUTION)
    assert len(execution.closure.abort_metadata.cause) == len(fake.largest)


async def test_closing_cancels_what_is_under_way(server: GrpcServer, fake: FakeAdmin) -> None:
    fake.phases = [Phase.RUNNING]
    client = Client(server.address)
    waiting = asyncio.create_task(client.wait(EXECUTION, interval=0))
    while fake.asked < 3:
        await asyncio.sleep(0.001)
    await client.close()
    with pytest.raises((grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.CancelledError)):
        await waiting


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, chain = folder / "key.pem", folder / "chain.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(chain)]
    subprocess.run([*made, *subject, "-days", "2"], check=True, capture_output=True)
    return chain, key


async def test_credentials_make_the_channel_private(fake: FakeAdmin, certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    settings = GrpcSettings(tls_certificate=chain, tls_key=key, drain_seconds=0)
    server = await serve(fake, settings)
    target = f"localhost:{server.address.rpartition(':')[2]}"
    try:
        async with Client(target, credentials=grpc.ssl_channel_credentials(chain.read_bytes())) as trusting:
            assert is_terminal(await trusting.execution(EXECUTION))
        for client in (Client(target, credentials=grpc.ssl_channel_credentials()), Client(target)):
            async with client:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await client.execution(EXECUTION)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    finally:
        await server.stop()


class FakeWatch(WatchServicer):  # type: ignore[misc]  # the base is untyped on purpose, see above
    """A stream whose messages have numbers from 1 as tokens; it breaks after those that are listed."""

    def __init__(self, length: int, breaks_after: set[int]) -> None:
        self.length = length
        self.breaks_after = breaks_after
        self.tokens: list[str] = []

    async def WatchExecution(self, request: Any, context: Any) -> AsyncIterator[admin.WatchExecutionResponse]:
        self.tokens.append(request.token)
        for number in range(int(request.token or 0), self.length + 1):
            if str(number) != (request.token or "0"):
                yield admin.WatchExecutionResponse(token=str(number))
            if number in self.breaks_after:
                self.breaks_after.discard(number)
                raise Unavailable("the service stops")


async def watching(fake: FakeWatch, **options: Any) -> list[str]:
    """The tokens that a client sees."""
    server = GrpcServer(GrpcSettings(drain_seconds=0), "admin")
    server.add(fake, "elevon.admin.v1.WatchService")
    await server.start()
    try:
        async with Client(server.address) as client:
            return [change.token async for change in client.watch(EXECUTION, **options)]
    finally:
        await server.stop()


async def test_a_watch_that_breaks_goes_on_where_it_was() -> None:
    fake = FakeWatch(6, {2, 5})
    assert await watching(fake) == ["1", "2", "3", "4", "5", "6"]
    assert fake.tokens == ["", "2", "5"]
    assert await watching(FakeWatch(6, set()), token="4") == ["5", "6"]


async def test_who_has_had_an_answer_waits_for_the_first_message() -> None:
    assert await watching(FakeWatch(2, {0}), reached=True) == ["1", "2"]
    with pytest.raises(grpc.aio.AioRpcError):
        await watching(FakeWatch(2, {0}))


async def test_patience_with_a_watch_ends() -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watching(FakeWatch(3, {1}), patience=-1)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_watch_that_never_was_is_told_at_once() -> None:
    async with Client("127.0.0.1:1") as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [change async for change in client.watch(EXECUTION)]
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
