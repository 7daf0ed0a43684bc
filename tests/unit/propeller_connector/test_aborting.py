"""Stopping jobs: deleted at once, behind an outage, after a restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from elevon_core.errors import ElevonError, Internal, NotFound, Unavailable, Unimplemented
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.connector import plugin as plugin_module
from elevon_propeller.plugins.connector.plugin import ConnectorPlugin
from elevon_propeller.plugins.contract import AttemptPhase

from tests.unit.propeller_connector.conftest import Make, Sink, World, eventually, literals

Phase = core.TaskExecution


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_module, "_ABORT_PATIENCE", 0.05)


async def test_an_abort_deletes_the_job(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    await plugin.start(attempt(), sink)
    await eventually(lambda: world.default.looked_at)
    await plugin.abort("x-n0-0", "not wanted")
    heard = len(sink.reports)
    await plugin.finalize("x-n0-0")
    (deleted,) = world.default.deleted
    assert deleted.resource_meta == b"job-1"
    assert (deleted.task_type, deleted.task_category.name, deleted.task_category.version) == ("query", "query", 0)
    await eventually(lambda: not [key for key in world.state.records if not key.startswith("routes/")])
    assert len(sink.reports) == heard


async def test_an_abort_waits_for_a_creation_and_deletes_what_it_made(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    create, began, may_end = world.default.create_task, asyncio.Event(), asyncio.Event()

    async def slow(request: connector.CreateTaskRequest) -> bytes:
        began.set()
        await may_end.wait()
        return await create(request)

    world.default.create_task = slow  # type: ignore[method-assign]  # a slower fake
    await plugin.start(attempt(), Sink())
    await began.wait()
    aborting = asyncio.create_task(plugin.abort("x-n0-0", "not wanted"))
    await asyncio.sleep(0)
    may_end.set()
    await aborting
    await eventually(lambda: world.default.deleted)
    assert world.default.jobs == {}


async def test_an_abort_before_anything_was_created_deletes_nothing(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    world.default.leave()
    sink = Sink()
    await plugin.start(attempt(), sink)
    await sink.says("cannot be reached")
    await plugin.abort("x-n0-0", "not wanted")
    world.default.come_back()
    await plugin.finalize("x-n0-0")
    assert (world.default.created, world.default.deleted) == ([], [])


async def test_an_abort_after_a_restart_deletes_the_job(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    await plugin.start(attempt(), Sink())
    await eventually(lambda: "job/x-n0-0" in world.state.records)
    plugin = await world.restarted(plugin)
    await plugin.abort("x-n0-0", "not wanted")
    await eventually(lambda: world.default.deleted)


async def test_a_deletion_outlives_outage_and_restart(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    await plugin.start(attempt(), Sink())
    await eventually(lambda: world.default.looked_at)
    world.default.leave()
    await plugin.abort("x-n0-0", "not wanted")
    await plugin.finalize("x-n0-0")
    assert "delete/x-n0-0" in world.state.records
    plugin = await world.restarted(plugin)
    world.default.come_back()
    await eventually(lambda: world.default.deleted)
    await eventually(lambda: "delete/x-n0-0" not in world.state.records)


async def test_the_next_attempt_waits_until_the_last_ones_job_is_gone(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    await plugin.start(attempt(), Sink())
    await eventually(lambda: world.default.looked_at)
    world.default.fail("DeleteTask", Unavailable("hiccup"))
    await plugin.abort("x-n0-0", "timed out")
    await plugin.finalize("x-n0-0")
    await plugin.start(attempt(name="x-n0-1", number=1), sink)
    await sink.says("an earlier attempt")
    await eventually(lambda: len(world.default.created) == 2)
    assert len(world.default.deleted) == 1


async def test_patience_with_an_earlier_attempts_job_ends(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(patience=timedelta(milliseconds=50)), Sink()
    await plugin.start(attempt(), Sink())
    await eventually(lambda: world.default.looked_at)
    world.default.fail("DeleteTask", *[Internal("no")] * 4)
    await plugin.abort("x-n0-0", "timed out")
    await plugin.start(attempt(name="x-n0-1", number=1), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.RETRYABLE_FAILURE
    assert final.error is not None
    assert "earlier attempt" in final.error.message


@pytest.mark.parametrize(
    "errors",
    [[NotFound("gone")], [Unimplemented("cannot")], [Internal("no")] * 5],
    ids=["gone", "cannot", "fails five times"],
)
async def test_a_deletion_ends_one_way_or_another(world: World, attempt: Make, errors: list[ElevonError]) -> None:
    plugin = await world.plugin()
    await plugin.start(attempt(), Sink())
    await eventually(lambda: world.default.looked_at)
    world.default.fail("DeleteTask", *errors)
    await plugin.abort("x-n0-0", "not wanted")
    await eventually(lambda: "delete/x-n0-0" not in world.state.records)
    assert world.default.deleted == []


async def test_a_job_that_has_ended_is_not_deleted(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.script = lambda _: connector.Resource(phase=Phase.SUCCEEDED, outputs=literals(o=1))
    await plugin.start(attempt(), sink)
    await sink.end()
    await plugin.finalize("x-n0-0")
    await plugin.abort("x-n0-0", "too late")
    assert world.default.deleted == []


async def given_up(world: World, attempt: Make) -> ConnectorPlugin:
    """A plugin whose attempt has failed because its job could not be looked at."""
    plugin, sink = await world.plugin(max_failures=1), Sink()
    world.default.fail("GetTask", Internal("no"))
    await plugin.start(attempt(), sink)
    final = await sink.end()
    assert final.error is not None
    assert final.error.code == "AutoRefreshCacheFailed"
    return plugin


async def test_a_job_that_was_given_up_is_deleted_before_the_next_attempt(world: World, attempt: Make) -> None:
    plugin = await given_up(world, attempt)
    await plugin.start(attempt(name="x-n0-1", number=1), Sink())
    await eventually(lambda: len(world.default.created) == 2)
    assert [deleted.resource_meta for deleted in world.default.deleted] == [b"job-1"]
    await plugin.finalize("x-n0-0")
    assert len(world.default.deleted) == 1


async def test_a_job_that_was_given_up_is_deleted_after_a_restart(world: World, attempt: Make) -> None:
    plugin = await world.restarted(await given_up(world, attempt))
    (left,) = await plugin.leftovers()
    assert (left.name, left.project, left.domain, left.execution) == ("x-n0-0", "p", "d", "x")
    assert (left.node_id, left.number) == ("n0", 0)
    await plugin.finalize(left.name)
    await eventually(lambda: world.default.deleted)
    assert await plugin.leftovers() == []


async def test_an_attempt_whose_job_was_given_up_fails_when_started_again(world: World, attempt: Make) -> None:
    plugin, sink = await world.restarted(await given_up(world, attempt)), Sink()
    await plugin.start(attempt(), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.RETRYABLE_FAILURE
    await plugin.finalize("x-n0-0")
    await eventually(lambda: world.default.deleted)
    assert len(world.default.created) == 1


async def test_attempts_that_are_looked_after_are_no_leftovers(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    await plugin.start(attempt(), Sink())
    await eventually(lambda: "job/x-n0-0" in world.state.records)
    assert await plugin.leftovers() == []
    plugin = await world.restarted(plugin)
    (left,) = await plugin.leftovers()
    await plugin.finalize(left.name)
    assert "job/x-n0-0" not in world.state.records
    assert world.default.deleted == []
