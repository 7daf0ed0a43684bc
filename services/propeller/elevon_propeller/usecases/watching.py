"""Looking at executions: once, or for as long as they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from elevon_core import identifiers
from elevon_core.errors import ElevonError, NotFound
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.logging import get_logger

from elevon_propeller.engine.phases import ExecutionPhase, wire_execution_phase
from elevon_propeller.engine.records import NodeRow
from elevon_propeller.engine.state import ExecutionState
from elevon_propeller.ports import EventChunk, ExecutionRow
from elevon_propeller.runtime import framing, views
from elevon_propeller.runtime.actors import Actor, Name, restored, shard_of
from elevon_propeller.runtime.runtime import Runtime

log = get_logger("watching")

CHUNKS_PER_LOOK = 200
POLL_SECONDS = 0.5
"""How often an execution of another replica is looked at for a watcher."""


class Watching:
    """The operations that change nothing."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def describe(self, identifier: core.WorkflowExecutionIdentifier) -> propeller.ExecutionView:
        """The engine's view of an execution; raises NotFound when it never had it."""
        identifiers.validate_execution_identifier(identifier, "execution_id")
        name = (identifier.project, identifier.domain, identifier.name)
        view = await self._view(name)
        view.undelivered_events = await self._undelivered(name)
        return view

    async def watch(self, identifier: core.WorkflowExecutionIdentifier) -> AsyncIterator[propeller.ExecutionView]:
        """The present view, then the changed nodes after each change, until the execution has ended."""
        identifiers.validate_execution_identifier(identifier, "execution_id")
        name = (identifier.project, identifier.domain, identifier.name)
        while True:
            actor = self._runtime.driver.actors.get(name)
            if actor is None:
                view = await self._view(name)
                yield view
                if view.phase in _TERMINAL:
                    return
                await asyncio.sleep(POLL_SECONDS)
                continue
            async for view in self._follow(actor):
                yield view
            if actor.state.phase.is_terminal:
                return

    async def _follow(self, actor: Actor) -> AsyncIterator[propeller.ExecutionView]:
        queue: asyncio.Queue[set[str] | None] = asyncio.Queue()
        actor.watchers.add(queue)
        try:
            yield views.of_state(actor.state, self._runtime.owner)
            while not (actor.closed and queue.empty()):
                changed = await queue.get()
                if changed is not None:
                    yield views.of_state(actor.state, self._runtime.owner, changed)
        finally:
            actor.watchers.discard(queue)

    async def _view(self, name: Name) -> propeller.ExecutionView:
        actor = self._runtime.driver.actors.get(name)
        if actor is not None:
            return views.of_state(actor.state, self._runtime.owner)
        row = await self._runtime.store.find_execution(*name)
        if row is None:
            raise NotFound(f"the engine has no execution {'/'.join(name)}")
        nodes = (await self._runtime.store.nodes([row.key]))[row.key]
        state = await self._restored(row, nodes) if not row.ended_at else None
        return views.of_rows(row, nodes, "") if state is None else views.of_state(state, "")

    async def _restored(self, row: ExecutionRow, nodes: list[NodeRow]) -> ExecutionState | None:
        """The state of an execution that another replica runs, as it was stored last; None when it cannot be built."""
        runtime = self._runtime
        try:
            plan = await runtime.plans.stored(row.digest)
            graphs = await runtime.plans.dynamic(nodes)
            chunks = (await runtime.store.chunks([row.key]))[row.key]
            return restored(row, nodes, plan, runtime.policy, graphs, chunks).state
        except (ElevonError, KeyError) as error:
            log.info("described by its rows alone", execution=row.name, reason=str(error))
            return None

    async def _undelivered(self, name: Name) -> int:
        """Counts the events of one execution in the outbox; looks at the oldest chunks only when there are many."""
        chunks = await self._runtime.store.events(shard_of(name), 0, CHUNKS_PER_LOOK)
        return sum(_count(chunk, name) for chunk in chunks)


_TERMINAL = frozenset(wire_execution_phase(phase) for phase in ExecutionPhase if phase.is_terminal)


def _count(chunk: EventChunk, name: Name) -> int:
    found = 0
    for told in framing.parse(chunk.payload):
        kind = told.WhichOneof("event")
        if kind == "workflow":
            identifier = told.workflow.execution_id
        elif kind == "node":
            identifier = told.node.id.execution_id
        else:
            identifier = told.task.parent_node_execution_id.execution_id
        found += (identifier.project, identifier.domain, identifier.name) == name
    return found
