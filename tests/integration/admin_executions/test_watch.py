"""Following executions: every change is told, to everybody who watches, wherever it was recorded."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_admin.drivers.engine_memory import MemoryEngine
from elevon_admin.usecases import watch
from elevon_idl.admin import v1 as admin_v1
from elevon_idl.admin.v1 import watch_service_pb2_grpc
from elevon_idl.core import v1 as core

from tests.integration.admin_executions.harness import (
    DOMAIN,
    NODE,
    PROJECT,
    TASK,
    WORKFLOW,
    Admin,
    execution_id,
    node_event,
    serving,
)
from tests.integration.admin_registry.harness import refused

Stub = watch_service_pb2_grpc.WatchServiceStub


@pytest.fixture
async def watching(admin: Admin) -> AsyncIterator[Any]:
    """A stub of WatchService."""
    async with grpc.aio.insecure_channel(admin.app.grpc_address) as channel:
        yield Stub(channel)


def of(name: str, token: str = "") -> admin_v1.WatchExecutionRequest:
    """A request to follow one execution."""
    key = core.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=name)
    return admin_v1.WatchExecutionRequest(id=key, token=token)


def everywhere(token: str = "") -> admin_v1.WatchExecutionsRequest:
    """A request to follow the executions of the project."""
    return admin_v1.WatchExecutionsRequest(project=PROJECT, domain=DOMAIN, token=token)


class Seen:
    """What a stream has told so far: the newest phase of the execution and of each node."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.phase = ""
        self.nodes: dict[str, str] = {}
        self.messages = 0
        self.token = ""
        self.executions: dict[str, str] = {}

    async def until(self, holds: Callable[[], bool]) -> Seen:
        """Read until something is true."""
        async with asyncio.timeout(60):
            while not holds():
                self.take(await self._call.read())
        return self

    async def until_first(self) -> Seen:
        """Read one message."""
        return await self.until(lambda: self.messages > 0)

    async def to_the_end(self) -> Seen:
        """Read until the server closes the stream."""
        async with asyncio.timeout(60):
            while (response := await self._call.read()) is not grpc.aio.EOF:
                self.take(response)
        return self

    def take(self, response: Any) -> None:
        """Count one message."""
        assert response is not grpc.aio.EOF, "the stream has ended"
        self.messages += 1
        self.token = response.token
        if isinstance(response, admin_v1.WatchExecutionsResponse):
            for execution in response.executions:
                self.executions[execution.id.name] = WORKFLOW.Phase.Name(execution.closure.phase)
            return
        for node in response.node_executions:
            self.nodes[node.id.node_id] = NODE.Phase.Name(node.closure.phase)
        if response.HasField("execution"):
            self.phase = WORKFLOW.Phase.Name(response.execution.closure.phase)


def tomorrow() -> int:
    """A moment that no change can have yet."""
    return time.time_ns() + 86_400_000_000_000


async def told(call: Any, code: grpc.StatusCode, word: str) -> None:
    """Assert that a stream ends with an error."""
    error = await refused(Seen(call).to_the_end(), code)
    assert word in (error.details() or "")


async def test_from_the_present_state_to_the_end(admin: Admin, watching: Any) -> None:
    key = await admin.launch(await admin.register(), "x")
    await admin.report(key, WORKFLOW.RUNNING)
    await admin.report_node(key, "n0", NODE.RUNNING)
    seen = Seen(watching.WatchExecution(of("x")))
    await seen.until(lambda: bool(seen.phase))
    assert (seen.phase, seen.nodes) == ("RUNNING", {"n0": "RUNNING"})
    await admin.report_node(key, "n0", NODE.SUCCEEDED, 1)
    await seen.until(lambda: seen.nodes == {"n0": "SUCCEEDED"})
    await admin.report_node(key, "n1", NODE.QUEUED, 2)
    await seen.until(lambda: "n1" in seen.nodes)
    await admin.report_node(key, "n1", NODE.FAILED, 3)
    await admin.report(key, WORKFLOW.FAILED, 4)
    await seen.to_the_end()
    assert (seen.phase, seen.nodes) == ("FAILED", {"n0": "SUCCEEDED", "n1": "FAILED"})


async def test_an_execution_that_has_ended_is_told_whole(admin: Admin, watching: Any) -> None:
    key = await admin.launch(await admin.register(), "x")
    batch = admin_v1.RecordEventsRequest(producer_id="propeller")
    for number in range(1_100):
        batch.events.add().node.ParseFromString(node_event(key, f"n{number}", NODE.SUCCEEDED).SerializeToString())
    await admin.batches.RecordEvents(batch)
    await admin.report(key, WORKFLOW.SUCCEEDED, 1)
    seen = await Seen(watching.WatchExecution(of("x"))).to_the_end()
    assert (seen.phase, len(seen.nodes)) == ("SUCCEEDED", 1_100)
    assert seen.messages == 4


async def test_going_on_from_a_token(admin: Admin, watching: Any) -> None:
    key = await admin.launch(await admin.register(), "x")
    await admin.report_node(key, "n0", NODE.RUNNING)
    first = Seen(watching.WatchExecution(of("x")))
    await first.until(lambda: bool(first.phase))
    await admin.report_node(key, "n0", NODE.SUCCEEDED, 1)
    await admin.report_node(key, "n1", NODE.RUNNING, 1)
    second = Seen(watching.WatchExecution(of("x", first.token)))
    await second.until(lambda: second.nodes == {"n0": "SUCCEEDED", "n1": "RUNNING"})
    await admin.report_node(key, "n1", NODE.SUCCEEDED, 2)
    await second.until(lambda: second.nodes["n1"] == "SUCCEEDED")


async def test_a_token_a_little_ahead_of_the_clock(admin: Admin, watching: Any) -> None:
    # The clock of the replica that gave it may be ahead of this one's.
    key = await admin.launch(await admin.register(), "x")
    await admin.report_node(key, "n0", NODE.RUNNING)
    ahead = Seen(watching.WatchExecution(of("x", str(time.time_ns() + watch.SKEW // 2))))
    await ahead.until(lambda: bool(ahead.phase))
    await admin.report_node(key, "n1", NODE.RUNNING)
    await ahead.until(lambda: ahead.nodes.get("n1") == "RUNNING")


async def attempt(admin: Admin, key: Any, retry_attempt: int, phase: int = TASK.RUNNING, version: int = 0) -> None:
    """Report an attempt of n0, and nothing of the node."""
    await admin.report_task(key, "n0", phase, retry_attempt=retry_attempt, phase_version=version)


async def test_changes_of_attempts_are_told(admin: Admin, watching: Any) -> None:
    key = await admin.launch(await admin.register(), "x")
    await admin.report_node(key, "n0", NODE.RUNNING)
    seen = Seen(watching.WatchExecution(of("x")))
    await seen.until(lambda: bool(seen.phase))
    for reported in ((0,), (0, TASK.RUNNING, 1), (0, TASK.FAILED), (1,)):
        seen.nodes.clear()
        await attempt(admin, key, *reported)
        await seen.until(lambda: seen.nodes == {"n0": "RUNNING"})
    seen.nodes.clear()
    await attempt(admin, key, 1, TASK.SUCCEEDED)
    again = Seen(watching.WatchExecution(of("x", seen.token)))
    await again.until(lambda: again.nodes == {"n0": "RUNNING"})


async def test_changes_of_attempts_that_another_replica_records(database_url: str, tmp_path: Path) -> None:
    quick: dict[str, Any] = {"watch": {"poll_seconds": 0.05}}
    engine = MemoryEngine()
    async with (
        serving(database_url, tmp_path, engine) as one,
        serving(database_url, tmp_path, engine, **quick) as other,
        grpc.aio.insecure_channel(other.app.grpc_address) as channel,
    ):
        key = await one.launch(await one.register(), "x")
        await one.report_node(key, "n0", NODE.RUNNING)
        seen = Seen(Stub(channel).WatchExecution(of("x")))
        await seen.until(lambda: bool(seen.phase))
        for number in range(3):
            seen.nodes.clear()
            await attempt(one, key, number)
            await seen.until(lambda: seen.nodes == {"n0": "RUNNING"})


async def test_a_token_of_the_beginning_of_time(admin: Admin, watching: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SKEW", 0)
    await admin.launch(await admin.register(), "before")
    seen = Seen(watching.WatchExecutions(everywhere("0")))
    await seen.until(lambda: "before" in seen.executions)


async def test_a_slow_reader_sees_the_last_state(admin: Admin, watching: Any) -> None:
    key = await admin.launch(await admin.register(), "x")
    slow = Seen(watching.WatchExecution(of("x")))
    await slow.until(lambda: bool(slow.phase))
    phases = (NODE.QUEUED, NODE.RUNNING, NODE.SUCCEEDED)
    for phase in phases:
        for number in range(100):
            await admin.report_node(key, f"n{number}", phase, 1)
    await admin.report(key, WORKFLOW.SUCCEEDED, 2)
    await slow.to_the_end()
    assert slow.phase == "SUCCEEDED"
    assert slow.nodes == {f"n{number}": "SUCCEEDED" for number in range(100)}


async def test_executions_as_they_come_and_go(admin: Admin, watching: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Else a look at the database would tell what was launched in the seconds before, too.
    monkeypatch.setattr(watch, "SKEW", 0)
    target = await admin.register()
    await admin.launch(target, "before")
    seen = Seen(watching.WatchExecutions(everywhere()))
    await seen.until(lambda: bool(seen.token))
    assert seen.executions == {}
    keys = [await admin.launch(target, f"e{number}") for number in range(3)]
    await seen.until(lambda: len(seen.executions) == 3)
    await admin.report(keys[0], WORKFLOW.RUNNING)
    await seen.until(lambda: seen.executions["e0"] == "RUNNING")
    await admin.stub.TerminateExecution(terminate("e1"))
    await seen.until(lambda: seen.executions["e1"] == "ABORTING")
    assert "before" not in seen.executions
    again = Seen(watching.WatchExecutions(everywhere(seen.token)))
    await again.until(lambda: again.executions.get("e1") == "ABORTING")


def terminate(name: str) -> Any:
    from flyteidl.admin import execution_pb2

    return execution_pb2.ExecutionTerminateRequest(id=execution_id(name), cause="enough")


async def test_what_another_replica_records_is_seen(database_url: str, tmp_path: Path) -> None:
    quick: dict[str, Any] = {"watch": {"poll_seconds": 0.05}}
    engine = MemoryEngine()
    async with (
        serving(database_url, tmp_path, engine) as one,
        serving(database_url, tmp_path, engine, **quick) as other,
        grpc.aio.insecure_channel(other.app.grpc_address) as channel,
    ):
        key = await one.launch(await one.register(), "x")
        stub = Stub(channel)
        seen, all_seen = Seen(stub.WatchExecution(of("x"))), Seen(stub.WatchExecutions(everywhere()))
        await seen.until(lambda: bool(seen.phase))
        await all_seen.until(lambda: bool(all_seen.token))
        await one.report_node(key, "n0", NODE.RUNNING)
        await seen.until(lambda: seen.nodes == {"n0": "RUNNING"})
        await one.report(key, WORKFLOW.SUCCEEDED, 1)
        await seen.to_the_end()
        await all_seen.until(lambda: all_seen.executions.get("x") == "SUCCEEDED")


@pytest.mark.parametrize(
    ("request_of", "code", "word"),
    [
        (lambda stub: stub.WatchExecution(of("absent")), grpc.StatusCode.NOT_FOUND, "absent"),
        (lambda stub: stub.WatchExecution(of("x", "now")), grpc.StatusCode.INVALID_ARGUMENT, "token"),
        (lambda stub: stub.WatchExecution(of("x", "9" * 20)), grpc.StatusCode.INVALID_ARGUMENT, "token"),
        (
            lambda stub: stub.WatchExecution(admin_v1.WatchExecutionRequest()),
            grpc.StatusCode.INVALID_ARGUMENT,
            "missing",
        ),
        (lambda stub: stub.WatchExecution(of("x", "9" * 19)), grpc.StatusCode.INVALID_ARGUMENT, "token"),
        (lambda stub: stub.WatchExecution(of("x", str(tomorrow()))), grpc.StatusCode.INVALID_ARGUMENT, "in the future"),
        (lambda stub: stub.WatchExecutions(everywhere("-1")), grpc.StatusCode.INVALID_ARGUMENT, "token"),
        (lambda stub: stub.WatchExecutions(everywhere("9" * 19)), grpc.StatusCode.INVALID_ARGUMENT, "token"),
        (lambda stub: stub.WatchExecutions(everywhere(str(2**63))), grpc.StatusCode.INVALID_ARGUMENT, "token"),
        (
            lambda stub: stub.WatchExecutions(everywhere(str(tomorrow()))),
            grpc.StatusCode.INVALID_ARGUMENT,
            "in the future",
        ),
        (
            lambda stub: stub.WatchExecutions(admin_v1.WatchExecutionsRequest(domain=DOMAIN)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "missing project",
        ),
        (
            lambda stub: stub.WatchExecutions(admin_v1.WatchExecutionsRequest(project=PROJECT)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "missing domain",
        ),
    ],
)
async def test_what_cannot_be_followed(
    admin: Admin, watching: Any, request_of: Callable[[Any], Awaitable[Any]], code: grpc.StatusCode, word: str
) -> None:
    await admin.launch(await admin.register(), "x")
    await told(request_of(watching), code, word)


async def test_no_more_streams_than_allowed(database_url: str, tmp_path: Path) -> None:
    async with (
        serving(database_url, tmp_path, watch={"max_streams": 2}) as admin,
        grpc.aio.insecure_channel(admin.app.grpc_address) as channel,
    ):
        stub = Stub(channel)
        calls = [stub.WatchExecutions(everywhere()) for _ in range(2)]
        for call in calls:
            await Seen(call).until_first()
        await told(stub.WatchExecutions(everywhere()), grpc.StatusCode.RESOURCE_EXHAUSTED, "2 streams watch already")
        calls[0].cancel()
        async with asyncio.timeout(30):
            while len(admin.app.executions.launching.watch_hub) > 1:
                await asyncio.sleep(0.01)
        await Seen(stub.WatchExecutions(everywhere())).until_first()


async def test_streams_end_when_the_service_stops(database_url: str, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        admin = await stack.enter_async_context(serving(database_url, tmp_path))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(admin.app.grpc_address))
        call = Stub(channel).WatchExecutions(everywhere())
        await Seen(call).until_first()
        stopping = asyncio.create_task(admin.app.stop())
        await told(call, grpc.StatusCode.UNAVAILABLE, "begin again with the last token")
        await stopping
