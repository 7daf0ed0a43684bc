"""A replica of the engine on a real database, with everything else in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_kit.database import Database
from elevon_kit.retry import RetryPolicy
from elevon_propeller.drivers.admin_events import MemoryAdminEvents
from elevon_propeller.drivers.admin_service_memory import MemoryAdminService
from elevon_propeller.drivers.catalog_memory import MemoryCatalog
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.plugins.fake import FakePlugin
from elevon_propeller.plugins.registry import Registry
from elevon_propeller.runtime.runtime import Runtime, RuntimeOptions, Surroundings
from elevon_propeller.simulation import closures
from elevon_propeller.store.sql import SqlStore
from elevon_propeller.usecases.executions import Executions
from elevon_propeller.usecases.watching import Watching

Node, Workflow = core.NodeExecution, core.WorkflowExecution
FAST = RetryPolicy(attempts=2, first=0.001, longest=0.002)
POLICY = EnginePolicy(backoff_base=1_000, cache_wait=20_000, child_first_look=20_000)


class Engine:
    """One replica, and what it is surrounded by."""

    def __init__(self, url: str, plugin: FakePlugin, shared: dict[str, Any], **options: Any) -> None:
        self.database = Database(url)
        self.plugin = plugin
        self.admin: MemoryAdminEvents = shared["admin"]
        self.catalog: MemoryCatalog = shared["catalog"]
        self.service: MemoryAdminService = shared["service"]
        self.blobs: MemoryBlobStore = shared["blobs"]
        surroundings = Surroundings(
            SqlStore(self.database), self.admin, self.catalog, Registry([plugin]), shared["blobs"], self.service
        )
        policy = options.pop("policy", POLICY)
        policy = replace(policy, child_first_look=options.pop("child_first_look", policy.child_first_look))
        owner = options.pop("owner", "")
        runtime_options = RuntimeOptions(**{"lease_seconds": 1.5, "retries": FAST, "catalog_retries": FAST, **options})
        self.runtime = Runtime(surroundings, policy, runtime_options, owner=owner)
        self.executions = Executions(self.runtime)
        self.watching = Watching(self.runtime)

    async def create(self, name: str, closure: core.CompiledWorkflowClosure, **options: Any) -> None:
        """Create an execution with the input x = 1."""
        await self.create_with(name, closure, closures.integers(x=1), **options)

    async def create_with(
        self, name: str, closure: core.CompiledWorkflowClosure, inputs: core.LiteralMap, **options: Any
    ) -> None:
        """Create an execution."""
        request = propeller.CreateExecutionRequest(
            execution_id=identifier(name),
            closure=closure,
            inputs=inputs,
            options=propeller.ExecutionOptions(**options),
        )
        assert (await self.executions.create(request)).created

    async def wait(self, name: str) -> str:
        """The phase an execution ends with, once admin has heard of it, if admin listens."""
        async for view in self.watching.watch(identifier(name)):
            phase = view.phase
        await self.runtime.outbox.flushed(5)
        return Workflow.Phase.Name(phase)

    async def node(self, name: str, node_id: str) -> propeller.NodeView:
        """A node of an execution as it is now."""
        view = await self.watching.describe(identifier(name))
        return next(node for node in view.nodes if node.node_id == node_id)

    async def abort(self, name: str, cause: str) -> None:
        """Stop an execution."""
        assert await self.executions.abort(propeller.AbortExecutionRequest(execution_id=identifier(name), cause=cause))

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

    def node_events_below(self, node_id: str) -> list[Any]:
        """What admin was told of the nodes of a node's graph."""
        return [event.node for event in self.admin.events if event.node.parent_node_metadata.node_id == node_id]


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


async def eventually(check: Callable[[], object]) -> None:
    """Wait until something is so; the test's own time limit ends the wait."""
    while not check():
        await asyncio.sleep(0.005)
