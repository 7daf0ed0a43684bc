"""Many clients at a time on a whole control plane: nobody sees an error, nothing is lost, a flood is held back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from elevon_client import Client

from tests.benchmarks.plane import Plane
from tests.load.__main__ import ended_as_they_should
from tests.load.flood import flood
from tests.load.mix import prepare
from tests.load.samples import Samples, percentile
from tests.load.worker import in_processes, work


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plane]:
    """A running `elevon up` with what the clients run; on any machine a flood is more than it lets pass."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ELEVON_ADMIN_GRPC__LIMITS__CALLS_PER_SECOND", "100")
        environment.setenv("ELEVON_ADMIN_GRPC__LIMITS__BURST_CALLS", "500")
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
async def test_a_flood_is_refused_and_others_are_served(plane: Plane) -> None:
    flooding = asyncio.create_task(flood(plane.target, 120, stop_at="RESOURCE_EXHAUSTED"))
    served = await work(plane.target, 5, 2, 1000, 0.05)
    found = await flooding
    assert served.samples.failures == {}
    assert served.samples.calls > 0
    assert set(found) == {"OK", "RESOURCE_EXHAUSTED"}


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
