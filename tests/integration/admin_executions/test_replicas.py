"""Two replicas of admin on one PostgreSQL: rows are locked, nothing is lost, either delivers for the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from elevon_admin.drivers.engine_memory import MemoryEngine
from flyteidl.admin import execution_pb2, task_execution_pb2
from flyteidl.event import event_pb2 as events
from flyteidl.service import dataproxy_pb2

from tests.integration.admin_executions.harness import (
    NODE,
    TASK,
    WORKFLOW,
    Admin,
    delivered,
    eventually,
    execution_id,
    fake_propeller,
    listing,
    serving,
    task_execution_id,
)
from tests.servers import free_port

EXISTS = grpc.StatusCode.ALREADY_EXISTS
PROMPT: dict[str, Any] = {"delivery": {"sweep_seconds": 0.1, "others_seconds": 0.1, "longest_pause_seconds": 0.1}}


@pytest.fixture
async def replicas(postgres_url: str, tmp_path: Path) -> AsyncIterator[tuple[Admin, Admin]]:
    engine = MemoryEngine()
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(fake_propeller(engine))
        first = await stack.enter_async_context(serving(postgres_url, tmp_path, engine, address))
        second = await stack.enter_async_context(serving(postgres_url, tmp_path, engine, address))
        yield first, second


async def test_events_for_one_attempt_at_both(replicas: tuple[Admin, Admin]) -> None:
    first, second = replicas
    identifier = await first.launch(await first.register(), "x")
    await second.report_node(identifier, "n0", NODE.RUNNING, 1)
    await first.report_task(identifier, "n0", TASK.RUNNING, 0)

    async def report(index: int) -> int | None:
        metadata = events.TaskExecutionMetadata()
        metadata.external_resources.add(index=index, phase=TASK.RUNNING)
        try:
            await replicas[index % 2].report_task(
                identifier, "n0", TASK.RUNNING, index, phase_version=index, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not EXISTS:
                raise
            return None
        return index

    accepted = [index for index in await asyncio.gather(*map(report, range(1, 61))) if index is not None]
    request = task_execution_pb2.TaskExecutionGetRequest(id=task_execution_id(identifier, "n0"))
    found = await first.stub.GetTaskExecution(request)
    assert [item.index for item in found.closure.metadata.external_resources] == accepted


async def test_one_of_two_ends_wins(replicas: tuple[Admin, Admin]) -> None:
    target = await replicas[0].register()
    for number in range(10):
        identifier = await replicas[0].launch(target, f"e{number}")
        outcomes = await asyncio.gather(
            replicas[0].report(identifier, WORKFLOW.SUCCEEDED, 1),
            replicas[1].report(identifier, WORKFLOW.FAILED, 2),
            return_exceptions=True,
        )
        (error,) = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_name_is_given_once(replicas: tuple[Admin, Admin]) -> None:
    target = await replicas[0].register()
    calls = [replicas[number % 2].launch(target, f"e{number % 5}") for number in range(40)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    codes = [outcome.code() for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert codes == [EXISTS] * 35
    assert len((await replicas[1].stub.ListExecutions(listing())).executions) == 5


async def test_an_abort_at_the_other_replica_comes_after_the_hand_over(postgres_url: str, tmp_path: Path) -> None:
    engine, port = MemoryEngine(), free_port()
    async with AsyncExitStack() as stack:
        nowhere = await stack.enter_async_context(
            serving(postgres_url, tmp_path, MemoryEngine(), f"127.0.0.1:{port}", **PROMPT)
        )
        address = await stack.enter_async_context(fake_propeller(engine))
        target = await nowhere.register()
        await nowhere.launch(target, "x")
        await nowhere.launch(target, "y")
        other = await stack.enter_async_context(serving(postgres_url, tmp_path, engine, address, **PROMPT))
        await other.stub.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=execution_id("x"), cause="c"))
        await eventually(lambda: bool(engine.aborted), "the abort is delivered")
        calls = [what for what, key in engine.calls if key.name == "x"]
        assert "create" in calls[: calls.index("abort")]
        assert (await delivered(other, "y")).execution_id.name == "y"


async def test_an_address_signed_by_one_is_good_at_the_other(replicas: tuple[Admin, Admin]) -> None:
    request = dataproxy_pb2.CreateUploadLocationRequest(project="p", domain="d", filename="f", filename_root="r")
    location = await replicas[0].data.CreateUploadLocation(request)
    url = location.signed_url.replace(replicas[0].app.http_address, replicas[1].app.http_address)
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.put(url, content=b"x")).status_code == 200
