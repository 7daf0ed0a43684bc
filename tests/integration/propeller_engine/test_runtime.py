"""The runtime on real databases, with a plugin whose attempts end when the test says so."""

from __future__ import annotations

from typing import Any

import pytest
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_propeller.plugins.contract import AttemptPhase
from elevon_propeller.ports import SHARDS
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec

from tests.integration.propeller_engine.engines import Begin, echo, eventually, failing, identifier, report

Node, Workflow = core.NodeExecution, core.WorkflowExecution


async def test_a_crash_loses_nothing_and_runs_nothing_twice(begin: Begin) -> None:
    first = await begin()
    await first.create("crash", closures.fan_out(20))
    await eventually(lambda: len(first.plugin.running) == 20)
    first.plugin.finish("crash-n3-0", report(AttemptPhase.SUCCEEDED, outputs=closures.integers(x=1)))
    await eventually(lambda: [event for event in first.node_events("n3") if event.phase == Node.SUCCEEDED])
    await first.stop(dead=True)
    second = await begin(echo)
    assert await second.wait("crash") == "SUCCEEDED"
    assert len(second.plugin.started) == 19
    assert "crash-n3-0" not in second.plugin.started
    await second.runtime.outbox.flushed(5)
    told = [(event.node.id.node_id, event.node.phase) for event in second.admin.events if event.HasField("node")]
    ended = [place for place in told if place[1] == Node.SUCCEEDED]
    assert len(set(ended)) == 22


async def test_a_dead_replica_is_replaced_by_another(begin: Begin) -> None:
    first = await begin()
    await first.create("orphan", closures.chain(2))
    await eventually(lambda: first.plugin.running)
    await first.stop(dead=True)
    second = await begin(echo)
    assert await second.wait("orphan") == "SUCCEEDED"


async def test_a_dead_replica_is_replaced_at_once_by_its_namesake(begin: Begin) -> None:
    first = await begin(owner="one", lease_seconds=600)
    await first.create("orphan", closures.chain(2))
    await eventually(lambda: first.plugin.running)
    before = dict(first.runtime.driver.epochs)
    await first.stop(dead=True)
    second = await begin(echo, owner="one", lease_seconds=600)
    assert len(before) == SHARDS
    assert all(second.runtime.driver.epochs[shard] > epoch for shard, epoch in before.items())
    assert await second.wait("orphan") == "SUCCEEDED"


async def test_replicas_share_the_shards_and_any_of_them_can_be_asked(begin: Begin) -> None:
    first, second = await begin(echo, lease_seconds=4.0), await begin(echo, lease_seconds=4.0)
    await eventually(lambda: len(second.runtime.driver.epochs) == SHARDS // 2 == len(first.runtime.driver.epochs))
    names = [f"shared-{number}" for number in range(12)]
    for name in names:
        await second.create(name, closures.chain(2))
    for name in names:
        assert await first.wait(name) == "SUCCEEDED"
    assert first.plugin.started
    assert second.plugin.started


async def test_an_abort_reaches_the_owner_through_any_replica(begin: Begin) -> None:
    first, second = await begin(lease_seconds=4.0), await begin(lease_seconds=4.0)
    await eventually(lambda: len(second.runtime.driver.epochs) == SHARDS // 2 == len(first.runtime.driver.epochs))
    names = [f"stop-{number}" for number in range(6)]
    for name in names:
        await first.create(name, closures.chain(1))
    await eventually(lambda: len(first.plugin.running | second.plugin.running) == 6)
    for name in names:
        request = propeller.AbortExecutionRequest(execution_id=identifier(name), cause="enough")
        assert await second.executions.abort(request)
    for name in names:
        assert await second.wait(name) == "ABORTED"
    assert not first.plugin.running | second.plugin.running


async def test_an_abort_stops_attempts_and_tells_why(begin: Begin) -> None:
    engine = await begin()
    await engine.create("abort", closures.fan_out(3), max_parallelism=2)
    await eventually(lambda: len(engine.plugin.running) == 2)
    assert "slot" in (await engine.node("abort", "n2")).reason
    await engine.executions.abort(propeller.AbortExecutionRequest(execution_id=identifier("abort"), cause="enough"))
    assert await engine.wait("abort") == "ABORTED"
    assert sorted(engine.plugin.aborted) == [("abort-n0-0", "enough"), ("abort-n1-0", "enough")]
    await engine.runtime.outbox.flushed(5)
    last = engine.node_events("n0")[-1]
    assert (last.phase, last.error.code, last.error.message) == (Node.ABORTED, "NodeAborted", "enough")
    assert engine.node_events("n2")[-1].phase == Node.ABORTED


@pytest.mark.parametrize(("kind", "retries"), [(core.ExecutionError.USER, 2), (core.ExecutionError.SYSTEM, 0)])
async def test_retryable_failures_are_tried_again(begin: Begin, kind: Any, retries: int) -> None:
    engine = await begin(failing(AttemptPhase.RETRYABLE_FAILURE, 2, kind))
    await engine.create("again", closures.closure([TaskNodeSpec("n0", retries=retries)]))
    assert await engine.wait("again") == "SUCCEEDED"
    assert engine.plugin.started == ["again-n0-0", "again-n0-1", "again-n0-2"]


async def test_a_spent_budget_is_told_as_such(begin: Begin) -> None:
    engine = await begin(failing(AttemptPhase.RETRYABLE_FAILURE, 9))
    await engine.create("spent", closures.closure([TaskNodeSpec("n0", retries=1)]))
    assert await engine.wait("spent") == "FAILED"
    error = (await engine.watching.describe(identifier("spent"))).error
    assert error.code == "RetriesExhausted|Broken"
    assert error.message == "[2/2] currentAttempt done. Last Error: USER::it broke"


async def test_a_permanent_failure_is_not_tried_again(begin: Begin) -> None:
    engine = await begin(failing(AttemptPhase.PERMANENT_FAILURE, 9))
    await engine.create("final", closures.closure([TaskNodeSpec("n0", retries=5)]))
    assert await engine.wait("final") == "FAILED"
    assert engine.plugin.started == ["final-n0-0"]


async def test_an_attempt_that_takes_too_long_is_stopped(begin: Begin) -> None:
    engine = await begin()
    await engine.create("slow", closures.closure([TaskNodeSpec("n0", timeout_seconds=1.0)]))
    assert await engine.wait("slow") == "FAILED"
    assert [name for name, _ in engine.plugin.aborted] == ["slow-n0-0"]
    error = (await engine.watching.describe(identifier("slow"))).error
    assert error.code == "RetriesExhausted|TimeoutExpired"


async def test_cached_outputs_are_used_again(begin: Begin) -> None:
    engine = await begin(echo)
    closure = closures.closure([TaskNodeSpec("n0", cached=True)], outputs={"x": "n0"})
    for name in ("first", "second"):
        await engine.create(name, closure)
        assert await engine.wait(name) == "SUCCEEDED"
    assert engine.plugin.started == ["first-n0-0"]
    await engine.runtime.outbox.flushed(5)
    statuses = [event.task_node_metadata.cache_status for event in engine.node_events("n0")]
    assert statuses[-1] == core.CACHE_HIT
    assert core.CACHE_POPULATED in statuses
    hit = engine.node_events("n0")[-1].task_node_metadata.catalog_key
    assert hit.source_task_execution.node_execution_id.execution_id.name == "first"


async def test_without_a_catalog_tasks_run_uncached(begin: Begin) -> None:
    engine = await begin(echo)
    engine.catalog.down = True
    await engine.create("outage", closures.closure([TaskNodeSpec("n0", cached=True, serializable=True)]))
    assert await engine.wait("outage") == "SUCCEEDED"
    await engine.runtime.outbox.flushed(5)
    statuses = [event.task_node_metadata.cache_status for event in engine.node_events("n0")]
    assert statuses[0] == core.CACHE_LOOKUP_FAILURE
    assert statuses[-1] == core.CACHE_PUT_FAILURE


async def test_a_serialized_entry_is_computed_once(begin: Begin) -> None:
    engine = await begin()
    closure = closures.closure([TaskNodeSpec("n0", cached=True, serializable=True)], outputs={"x": "n0"})
    names = [f"serial-{number}" for number in range(4)]
    for name in names:
        await engine.create(name, closure)
    await eventually(lambda: engine.plugin.running)
    waiting = [name for name in names if f"{name}-n0-0" not in engine.plugin.running]
    await eventually(lambda: engine.catalog.reservations)
    assert len(waiting) == 3
    (running,) = engine.plugin.running
    engine.plugin.finish(running, report(AttemptPhase.SUCCEEDED, outputs=closures.integers(x=1)))
    for name in names:
        assert await engine.wait(name) == "SUCCEEDED"
    assert engine.plugin.started == [running]
    assert engine.catalog.reservations == {}


async def test_ended_executions_are_forgotten_after_a_while(begin: Begin) -> None:
    engine = await begin(echo, retention_seconds=0.01)
    await engine.create("old", closures.chain(1))
    await engine.wait("old")
    await eventually(lambda: not engine.runtime.driver.actors)
    assert await engine.runtime.store.forget_ended(engine.runtime.clock() + 1, 10) in (0, 1)
    assert await engine.runtime.store.find_execution("p", "d", "old") is None


async def test_draining_leaves_everything_to_the_next_replica(begin: Begin) -> None:
    first = await begin()
    await first.create("drained", closures.chain(1))
    await eventually(lambda: first.plugin.running)
    await first.runtime.stop()
    second = await begin(echo)
    assert len(second.runtime.driver.epochs) == SHARDS
    assert await second.wait("drained") == "SUCCEEDED"
