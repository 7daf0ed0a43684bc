"""The runtime on real databases, with a plugin whose attempts end when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_kit.database import Database
from elevon_kit.retry import RetryPolicy
from elevon_propeller.app import MIGRATIONS
from elevon_propeller.drivers.admin_events import MemoryAdminEvents
from elevon_propeller.drivers.admin_service_memory import MemoryAdminService
from elevon_propeller.drivers.catalog_memory import MemoryCatalog
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.plugins.fake import FakePlugin
from elevon_propeller.plugins.registry import Registry
from elevon_propeller.ports import SHARDS
from elevon_propeller.runtime.runtime import Runtime, RuntimeOptions, Surroundings
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec
from elevon_propeller.store.sql import SqlStore
from elevon_propeller.usecases.executions import Executions
from elevon_propeller.usecases.watching import Watching

Node, Workflow = core.NodeExecution, core.WorkflowExecution
FAST = RetryPolicy(attempts=2, first=0.001, longest=0.002)


class Engine:
    """One replica, and what it is surrounded by."""

    def __init__(self, url: str, plugin: FakePlugin, shared: dict[str, Any], **options: Any) -> None:
        self.database = Database(url)
        self.plugin = plugin
        self.admin: MemoryAdminEvents = shared["admin"]
        self.catalog: MemoryCatalog = shared["catalog"]
        self.service: MemoryAdminService = shared["service"]
        surroundings = Surroundings(
            SqlStore(self.database), self.admin, self.catalog, Registry([plugin]), shared["blobs"], self.service
        )
        policy = EnginePolicy(backoff_base=1_000, cache_wait=20_000)
        runtime_options = RuntimeOptions(lease_seconds=0.4, retries=FAST, catalog_retries=FAST, **options)
        self.runtime = Runtime(surroundings, policy, runtime_options)
        self.executions = Executions(self.runtime)
        self.watching = Watching(self.runtime)

    async def create(self, name: str, closure: core.CompiledWorkflowClosure, **options: Any) -> None:
        """Create an execution with the input x = 1."""
        request = propeller.CreateExecutionRequest(
            execution_id=identifier(name),
            closure=closure,
            inputs=closures.integers(x=1),
            options=propeller.ExecutionOptions(**options),
        )
        assert (await self.executions.create(request)).created

    async def wait(self, name: str) -> str:
        """The phase an execution ends with."""
        async for view in self.watching.watch(identifier(name)):
            phase = view.phase
        return Workflow.Phase.Name(phase)

    async def node(self, name: str, node_id: str) -> propeller.NodeView:
        """A node of an execution as it is now."""
        view = await self.watching.describe(identifier(name))
        return next(node for node in view.nodes if node.node_id == node_id)

    async def stop(self, *, dead: bool = False) -> None:
        """Drain, or die."""
        if dead:
            await self.runtime.kill()
        else:
            await self.runtime.stop()
        await self.database.close()

    def node_events(self, node_id: str) -> list[Any]:
        """What admin was told of a node."""
        return [event.node for event in self.admin.events if event.node.id.node_id == node_id]


def identifier(name: str) -> core.WorkflowExecutionIdentifier:
    """An execution of the test's project."""
    return core.WorkflowExecutionIdentifier(project="p", domain="d", name=name)


def report(phase: AttemptPhase, **more: Any) -> Report:
    """A report of now."""
    return Report(phase, datetime.now(UTC), **more)


def echo(attempt: Attempt) -> Report:
    """An attempt that succeeds with its inputs."""
    return report(AttemptPhase.SUCCEEDED, outputs=attempt.inputs)


def failing(phase: AttemptPhase, times: int, kind: Any = core.ExecutionError.USER) -> Callable[[Attempt], Report]:
    """Attempts that fail so many times, then succeed."""

    def script(attempt: Attempt) -> Report:
        if attempt.number >= times:
            return echo(attempt)
        return report(phase, error=core.ExecutionError(code="Broken", message="it broke", kind=kind))

    return script


def plugin(script: Any = None) -> FakePlugin:
    """A plugin for all tasks of these tests."""
    return FakePlugin("fake", frozenset({"echo"}), script)


Begin = Callable[..., Awaitable[Engine]]


@pytest.fixture
async def begin(database_url: str) -> AsyncIterator[Begin]:
    """Starts replicas that share a database, an admin, a catalog and files."""
    await MIGRATIONS.upgrade(database_url)
    shared = {
        "admin": MemoryAdminEvents(),
        "catalog": MemoryCatalog(),
        "blobs": MemoryBlobStore(),
        "service": MemoryAdminService(),
    }
    engines: list[Engine] = []

    async def start(script: Any = None, **options: Any) -> Engine:
        engine = Engine(database_url, script if isinstance(script, FakePlugin) else plugin(script), shared, **options)
        await engine.database.open()
        await engine.runtime.start()
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        await engine.stop(dead=True)


async def eventually(check: Callable[[], object]) -> None:
    """Wait until something is so; the test's own time limit ends the wait."""
    while not check():
        await asyncio.sleep(0.005)


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


async def test_replicas_share_the_shards_and_any_of_them_can_be_asked(begin: Begin) -> None:
    first, second = await begin(echo), await begin(echo)
    await eventually(lambda: len(second.runtime.driver.epochs) == SHARDS // 2 == len(first.runtime.driver.epochs))
    names = [f"shared-{number}" for number in range(12)]
    for name in names:
        await second.create(name, closures.chain(2))
    for name in names:
        assert await first.wait(name) == "SUCCEEDED"
    assert first.plugin.started
    assert second.plugin.started


async def test_an_abort_reaches_the_owner_through_any_replica(begin: Begin) -> None:
    first, second = await begin(), await begin()
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
    await engine.create("slow", closures.closure([TaskNodeSpec("n0", timeout_seconds=0.05)]))
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
