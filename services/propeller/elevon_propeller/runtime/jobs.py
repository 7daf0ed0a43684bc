"""Compiles what dynamic tasks yield, and keeps the result beside the job, so that it is compiled once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from elevon_core import identifiers
from elevon_core.errors import CompilationError, ElevonError, InvalidArgument, NotFound
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobNotFound, BlobStore
from elevon_kit.logging import get_logger
from elevon_kit.retry import RetryPolicy
from elevon_kit.tasks import BackgroundTasks

from elevon_propeller.engine import dynamic_graphs
from elevon_propeller.engine.commands import BuildDynamic
from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.observations import DynamicBuilt
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.plan import Key, build_plan
from elevon_propeller.engine.state import NodeState
from elevon_propeller.ports import AdminService
from elevon_propeller.runtime.actors import Actor
from elevon_propeller.runtime.clock import Clock
from elevon_propeller.runtime.executor import Post
from elevon_propeller.runtime.persistence import persist

log = get_logger("jobs")

T = TypeVar("T")

THREADS = 2
FETCHES_AT_ONCE = 32
_WAITING = frozenset({NodePhase.RUNNING, NodePhase.PREPARING})


class Jobs:
    """Carries out BuildDynamic in the background; compiling happens in a thread, off the event loop."""

    def __init__(
        self,
        service: AdminService,
        blobs: BlobStore,
        post: Post,
        clock: Clock,
        *,
        data_limit: int,
        retries: RetryPolicy,
    ) -> None:
        self._service = service
        self._blobs = blobs
        self._post = post
        self._clock = clock
        self._data_limit = data_limit
        self._retries = retries
        self._threads = asyncio.Semaphore(THREADS)
        self._fetches = asyncio.Semaphore(FETCHES_AT_ONCE)
        self._tasks = BackgroundTasks("jobs")

    async def build(self, actor: Actor, command: BuildDynamic) -> None:
        """Begin to compile a job."""
        self._tasks.start(self._build(actor, command), "build")

    async def close(self) -> None:
        """Leave what is not done; it is asked for again after a restart."""
        await self._tasks.stop()

    async def _build(self, actor: Actor, command: BuildDynamic) -> None:
        if not _is_wanted(actor, command):
            return
        node = actor.state.nodes[command.node_id]
        seen = DynamicBuilt(self._clock(), command.node_id, command.number)
        try:
            await self._fill(seen, actor, node, command)
        except BlobNotFound as error:
            _refuse(seen, error.message, core.ExecutionError.SYSTEM)
        except CompilationError as error:
            message = f"the workflow that the task yielded does not compile: {error.message}"
            _refuse(seen, message, core.ExecutionError.USER)
        except (InvalidArgument, NotFound) as error:
            _refuse(seen, error.message, core.ExecutionError.USER)
        except Exception as error:
            log.warning("job cannot be built", node=command.node_id, exc_info=error)
            text = error.message if isinstance(error, ElevonError) else f"{type(error).__name__}: {error}"
            _refuse(seen, text, core.ExecutionError.SYSTEM)
        seen.at = self._clock()
        self._post(actor, seen)

    async def _fill(self, seen: DynamicBuilt, actor: Actor, node: NodeState, command: BuildDynamic) -> None:
        seen.uri = dynamic_graphs.compiled_uri(actor.state, node)
        kept = None if command.spec is not None else await self._read(seen.uri)
        if kept is None and command.source:
            kept = await self._copy(command.source, seen.uri, dynamic_graphs.futures_uri(actor.state, node))
        if kept is not None:
            closure = core.CompiledWorkflowClosure.FromString(kept)
        else:
            closure = await self._compile(actor, node, command)
            data = closure.SerializeToString(deterministic=True)
            await self._retries.run(lambda: self._blobs.write(seen.uri, data), what=f"write {seen.uri}")
        async with self._threads:
            seen.graph = (await asyncio.to_thread(build_plan, closure, SUPPORTED)).primary
        seen.closure = closure

    async def _copy(self, source: str, uri: str, futures_uri: str) -> bytes:
        """Take over what another execution has kept, so that this one does not depend on its files."""
        kept = await self._retries.run(lambda: self._blobs.read(source), what=f"read {source}")
        futures = await self._read(dynamic_graphs.futures_beside(source))
        if futures is not None:
            await self._retries.run(lambda: self._blobs.write(futures_uri, futures), what=f"write {futures_uri}")
        await self._retries.run(lambda: self._blobs.write(uri, kept), what=f"write {uri}")
        return kept

    async def _compile(self, actor: Actor, node: NodeState, command: BuildDynamic) -> core.CompiledWorkflowClosure:
        assert node.plan.task is not None
        parent = node.plan.task.template
        spec = command.spec or await self._spec(dynamic_graphs.futures_uri(actor.state, node))
        template = dynamic_graphs.build_template(actor.state, node, spec)
        required = dynamic_graphs.missing(spec, template)

        def wanted() -> bool:
            return _is_wanted(actor, command)

        tasks = await self._fetch_all(self._service.task, required.tasks, wanted)
        plans = await self._fetch_all(self._service.launch_plan, required.launch_plans, wanted)
        async with self._threads:
            return await asyncio.to_thread(dynamic_graphs.compile_job, parent, spec, template, tasks, plans)

    async def _fetch_all(
        self,
        fetch: Callable[[core.Identifier], Awaitable[T]],
        wanted_ones: Sequence[core.Identifier],
        wanted: Callable[[], bool],
    ) -> dict[Key, T]:
        """What admin has of these identifiers; an outage of admin is waited for."""

        async def one(identifier: core.Identifier) -> T | None:
            name = identifiers.text(identifier)
            async with self._fetches:
                try:
                    return await persist(lambda: fetch(identifier), wanted, what=f"get {name}")
                except (InvalidArgument, NotFound) as error:
                    kind = core.ResourceType.Name(identifier.resource_type).lower().replace("_", " ")
                    message = f"the task yielded a node that runs {kind} {name!r}: {error.message}"
                    raise InvalidArgument(message) from error

        found = await asyncio.gather(*(one(identifier) for identifier in wanted_ones))
        pairs = zip(wanted_ones, found, strict=True)
        return {identifiers.key(identifier): entity for identifier, entity in pairs if entity is not None}

    async def _spec(self, uri: str) -> core.DynamicJobSpec:
        data = await self._retries.run(lambda: self._blobs.read(uri, self._data_limit), what=f"read {uri}")
        return core.DynamicJobSpec.FromString(data)

    async def _read(self, uri: str) -> bytes | None:
        try:
            return await self._retries.run(lambda: self._blobs.read(uri), what=f"read {uri}")
        except BlobNotFound:
            return None


def _is_wanted(actor: Actor, command: BuildDynamic) -> bool:
    node = actor.state.nodes.get(command.node_id)
    if actor.closed or node is None:
        return False
    return node.phase in _WAITING and node.attempt == command.number


def _refuse(seen: DynamicBuilt, message: str, kind: core.ExecutionError.ErrorKind.ValueType) -> None:
    """What is the user's to mend is final; what is not may be tried again with the whole attempt."""
    seen.error = core.ExecutionError(code="DynamicWorkflowBuildFailed", message=message, kind=kind)
    seen.retryable = kind != core.ExecutionError.USER
