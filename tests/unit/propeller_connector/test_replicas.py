"""Two replicas of propeller with one memory: an execution changes hands."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace

from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import AttemptPhase

from tests.unit.propeller_connector.conftest import Make, Sink, World, eventually, literals

SUCCEEDED = connector.Resource(phase=core.TaskExecution.SUCCEEDED, outputs=literals(o=1))


async def test_the_other_replica_goes_on_with_the_job(world: World, attempt: Make) -> None:
    one, other = await world.plugin(), await world.plugin()
    before, after = Sink(), Sink()
    await one.start(attempt(), before)
    await eventually(lambda: "job/x-n0-0" in world.state.records)
    await one.detach("x-n0-0")
    heard = len(before.reports)
    await other.start(attempt(), after)
    world.default.set(b"job-1", SUCCEEDED)
    assert (await after.end()).phase is AttemptPhase.SUCCEEDED
    assert len(before.reports) == heard
    assert len(world.default.created) == 1
    assert world.default.deleted == []


async def test_a_creation_that_is_under_way_is_known_before_the_execution_changes_hands(
    world: World, attempt: Make
) -> None:
    one, other = await world.plugin(), await world.plugin()
    create, began, may_end = world.default.create_task, asyncio.Event(), asyncio.Event()

    async def slow(request: connector.CreateTaskRequest) -> bytes:
        began.set()
        await may_end.wait()
        return await create(request)

    world.default.create_task = slow  # type: ignore[method-assign]  # a slower fake
    await one.start(attempt(), Sink())
    await began.wait()
    leaving = asyncio.create_task(one.detach("x-n0-0"))
    await asyncio.sleep(0)
    assert not leaving.done()
    may_end.set()
    await leaving
    sink = Sink()
    world.default.set(b"job-1", SUCCEEDED)
    await other.start(attempt(), sink)
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED
    assert len(world.default.created) == 1


async def test_nothing_is_created_while_it_is_not_sure_who_owns_the_execution(world: World, attempt: Make) -> None:
    plugin, sink, owned_until = await world.plugin(), Sink(), [time.monotonic() - 1]
    world.default.script = lambda _: SUCCEEDED
    await plugin.start(replace(attempt(), until=lambda: owned_until[0]), sink)
    looks = len(world.default.listed)
    await eventually(lambda: len(world.default.listed) > looks + 2)
    assert world.default.created == []
    owned_until[0] = math.inf
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED
