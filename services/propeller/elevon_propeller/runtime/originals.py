"""Executions that others recover: read from the engine's own store, or from admin when it has forgotten them."""

from __future__ import annotations

import asyncio

from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.logging import get_logger
from elevon_kit.tasks import BackgroundTasks

from elevon_propeller.engine import original_rows
from elevon_propeller.engine.commands import ReadOriginal
from elevon_propeller.engine.observations import OriginalRead
from elevon_propeller.engine.originals import Original
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.ports import AdminService, Store
from elevon_propeller.runtime.actors import Actor
from elevon_propeller.runtime.clock import Clock
from elevon_propeller.runtime.executor import Post
from elevon_propeller.runtime.persistence import persist

log = get_logger("originals")


class Originals:
    """Carries out ReadOriginal; each returns at once and goes on in the background.

    An outage is waited for. Of an original that nobody knows any more nothing is taken over.
    """

    def __init__(self, service: AdminService, store: Store, policy: EnginePolicy, post: Post, clock: Clock) -> None:
        self._service = service
        self._store = store
        self._policy = policy
        self._post = post
        self._clock = clock
        self._tasks = BackgroundTasks("originals")

    async def read(self, actor: Actor, command: ReadOriginal) -> None:
        """Begin to read an original."""
        self._tasks.start(self._read(actor), "read")

    async def close(self) -> None:
        """Leave what is not done; it is asked for again after a restart."""
        await self._tasks.stop()

    async def _read(self, actor: Actor) -> None:
        identifier = actor.state.options.recovered_from
        try:
            found = await persist(
                lambda: self._find(identifier), lambda: not actor.closed, what=f"read {identifier.name}"
            )
        except Exception as error:
            log.warning("nothing is taken over", execution=actor.name[2], original=identifier.name, exc_info=error)
            found = None
        self._post(actor, OriginalRead(self._clock(), found or Original(identifier.name)))

    async def _find(self, identifier: core.WorkflowExecutionIdentifier) -> Original:
        row = await self._store.find_execution(identifier.project, identifier.domain, identifier.name)
        if row is None:
            return await self._service.original(identifier)
        nodes = await self._store.nodes([row.key])
        chunks = await self._store.chunks([row.key])
        signals = core.LiteralMap.FromString(row.signals).literals if row.signals is not None else {}
        options = propeller.ExecutionOptions.FromString(row.options)
        prefix = (options.raw_output_prefix or self._policy.raw_output_prefix).rstrip("/")
        return await asyncio.to_thread(
            original_rows.of_rows, identifier, nodes[row.key], chunks[row.key], dict(signals), prefix
        )
