"""Many clients at a time on a whole control plane: nobody sees an error, nothing is lost, a flood is held back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from elevon_client import Client
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import admin_service_pb2_grpc
from elevon_idl.core import v1 as core

from tests.benchmarks import specs
from tests.benchmarks.plane import Plane, until
from tests.load.__main__ import ended_as_they_should
from tests.load.flood import LISTS, LOOK_UPS, flood
from tests.load.mix import OPTIONS, prepare
from tests.load.samples import Samples, percentile
from tests.load.worker import in_processes, work


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plane]:
    """A running `elevon up` with what the clients run; on any machine a flood is more than it lets pass."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ELEVON_ADMIN_GRPC__LIMITS__CALLS_PER_SECOND", "100")
        environment.setenv("ELEVON_ADMIN_GRPC__LIMITS__BURST_CALLS", "200")
        started = await Plane.start(tmp_path_factory.mktemp("load") / "data")
    try:
        await prepare(started.target)
        yield started
    finally:
        await started.stop()


@pytest.mark.asyncio(loop_scope="module")
async def test_fifty_clients_see_no_error_and_all_executions_end(plane: Plane) -> None:
    found = await in_processes(plane.target, 50, 4, processes=2, seed=1)
    assert found.samples.failures == {}
    assert len(found.samples.seconds) == 10, "every kind of call was made"
    assert found.echoed >= 50
    async with Client(plane.target) as client:
        await ended_as_they_should(client, found)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("what", "seed"), [(LOOK_UPS, 100_000), (LISTS, 200_000)])
async def test_a_flood_is_refused_and_others_are_served(plane: Plane, what: str, seed: int) -> None:
    flooding = asyncio.create_task(flood(plane.target, 120, stop_at="RESOURCE_EXHAUSTED", what=what))
    while not flooding.done():
        served = await work(plane.target, 5, 1, seed, 0.05)
        assert served.samples.failures == {}
        assert served.samples.calls > 0
        seed += 5
    assert set(await flooding) == {"OK", "RESOURCE_EXHAUSTED"}


async def test_services_are_held_back_by_no_limit(tmp_path: Path) -> None:
    """A client has five calls and no more; propeller needs many, and makes them."""
    limits = {"CALLS_PER_SECOND": "0.001", "BURST_CALLS": "5", "WAIT_SECONDS": "0", "TURNS": "1"}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in limits.items():
            environment.setenv(f"ELEVON_ADMIN_GRPC__LIMITS__{name}", value)
        plane = await Plane.start(tmp_path / "data")
    try:
        task = specs.echo_task("echo")
        async with alone(plane) as stub:
            await stub.CreateTask(task)
            chain = specs.chain("chain", task.id, 2)
            await stub.CreateWorkflow(chain)
            plan = specs.launch_plan(chain.id, "a")
            await stub.CreateLaunchPlan(plan)
            await stub.GetVersion(admin.GetVersionRequest())
            await stub.GetVersion(admin.GetVersionRequest())
            with pytest.raises(grpc.aio.AioRpcError, match="RESOURCE_EXHAUSTED"):
                await stub.GetVersion(admin.GetVersionRequest())
        for _ in range(8):  # one after the other: events of one execution may all come in one call
            async with alone(plane) as stub:
                created = await stub.CreateExecution(specs.execution(plan.id, a=1))
            await until("the chain to succeed", partial(succeeded, plane, created.id))
    finally:
        await plane.stop()
    recorded = plane.layout.log("admin").read_text().count("/elevon.admin.v1.EventService/RecordEvents")
    assert recorded > 5, "propeller made more calls than a client has"


@asynccontextmanager
async def alone(plane: Plane) -> AsyncIterator[Any]:
    """A stub with a connection of its own."""
    async with grpc.aio.insecure_channel(plane.target, options=OPTIONS) as channel:
        yield admin_service_pb2_grpc.AdminServiceStub(channel)


async def succeeded(plane: Plane, execution_id: core.WorkflowExecutionIdentifier) -> bool:
    """Whether an execution has succeeded, asked over a new connection."""
    async with alone(plane) as stub:
        found = await stub.GetExecution(admin.WorkflowExecutionGetRequest(id=execution_id))
    succeeded: bool = found.closure.phase == core.WorkflowExecution.SUCCEEDED
    return succeeded


def test_a_percentile_is_a_time_that_was_measured() -> None:
    assert percentile([], 0.99) == 0
    assert percentile([0.003, 0.001, 0.002], 0.5) == pytest.approx(2)
    assert percentile([number / 1000 for number in range(1, 101)], 0.99) == pytest.approx(100)


def test_samples_of_processes_add_up() -> None:
    one, all_of_them = Samples(), Samples()
    one.add("GetTask", 0.5)
    one.failed("GetTask", "UNAVAILABLE", "gone")
    for _ in range(2):
        all_of_them.merge(one.document())
    assert all_of_them.calls == 2
    assert all_of_them.failures == {"UNAVAILABLE: gone": 2}
