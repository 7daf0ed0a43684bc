"""Carries out commands and brings back what came of them.

Every operation is tried again with backoff before anything becomes a failure, and every one may be repeated after a
crash. Commands of different nodes run side by side, as many at a time as the executor has workers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from elevon_core.errors import ElevonError, ErrorKind
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobStore
from elevon_kit.logging import get_logger
from elevon_kit.retry import RetryPolicy
from elevon_kit.tasks import BackgroundTasks

from elevon_propeller.engine import paths
from elevon_propeller.engine.attempts import build_attempt
from elevon_propeller.engine.commands import (
    Command,
    FinalizeAttempt,
    LoadData,
    LoadMany,
    LookUpCache,
    ReleaseCache,
    ReserveCache,
    StartAttempt,
    StopAttempt,
    StoreCache,
    WriteData,
)
from elevon_propeller.engine.observations import (
    AttemptReported,
    AttemptStopped,
    CacheLookedUp,
    CacheReserved,
    CacheStored,
    DataLoaded,
    DataWritten,
    ManyLoaded,
    Observation,
)
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.policy import MICROSECONDS, EnginePolicy
from elevon_propeller.engine.state import NodeState
from elevon_propeller.plugins.contract import AttemptPhase, Plugin, Report
from elevon_propeller.ports import Catalog, Plugins
from elevon_propeller.runtime import tracing
from elevon_propeller.runtime.actors import Actor
from elevon_propeller.runtime.clock import Clock
from elevon_propeller.runtime.measurements import RuntimeMeasurements
from elevon_propeller.runtime.offloading import offloaded
from elevon_propeller.runtime.tenure import Tenure

log = get_logger("executor")

WORKERS = 256
READS_AT_ONCE = 32
OUTAGES = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.DEADLINE_EXCEEDED, ErrorKind.RESOURCE_EXHAUSTED})
BREATH_SECONDS = 0.005
"""After so long the workers together let others have the event loop."""

Post = Callable[[Actor, Observation], None]


@dataclass(slots=True)
class _Starting:
    """A plugin's start that is under way."""

    task: asyncio.Task[Any]
    interrupted: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Executor:
    """Takes commands from committed decisions; `post` gets the observations."""

    def __init__(
        self,
        plugins: Plugins,
        blobs: BlobStore,
        catalog: Catalog,
        policy: EnginePolicy,
        clock: Clock,
        post: Post,
        *,
        data_limit: int,
        retries: RetryPolicy,
        catalog_retries: RetryPolicy,
        tenure: Tenure | None = None,
        measurements: RuntimeMeasurements | None = None,
    ) -> None:
        self._plugins = plugins
        self._blobs = blobs
        self._catalog = catalog
        self._policy = policy
        self._clock = clock
        self._post = post
        self._data_limit = data_limit
        self._retries = retries
        self._catalog_retries = catalog_retries
        self._tenure = tenure or Tenure()
        self._measurements = measurements or RuntimeMeasurements()
        self._queue: deque[tuple[Actor, Command]] = deque()
        self._workers = BackgroundTasks("executor")
        self._working = 0
        self._breath_ends = 0.0
        self._out_of_breath = False
        self._leaving: set[asyncio.Task[None]] = set()
        self._starting: dict[tuple[int, str], _Starting] = {}
        self._actions: dict[type, Callable[[Actor, Any], Awaitable[None]]] = {
            StartAttempt: self._start,
            StopAttempt: self._stop,
            FinalizeAttempt: self._finalize,
            LoadData: self._load,
            WriteData: self._write,
            LoadMany: self._load_many,
            LookUpCache: self._look_up,
            ReserveCache: self._reserve,
            ReleaseCache: self._release,
            StoreCache: self._store,
        }

    def delegate(self, kind: type, action: Callable[[Actor, Any], Awaitable[None]]) -> None:
        """Have commands of a kind carried out by somebody else."""
        self._actions[kind] = action

    def submit(self, actor: Actor, command: Command) -> None:
        """Have a command carried out; returns at once."""
        if isinstance(command, StopAttempt):
            self._interrupt_start(actor, command.name)
        self._queue.append((actor, command))
        if not self._working:
            self._begin_breath()
        if self._working < WORKERS:
            self._working += 1
            self._workers.start(self._work(), "worker")

    def leave(self, actor: Actor) -> None:
        """Another replica runs this execution now: begin nothing more for it, and let the plugins go of it."""
        for (key, _), starting in self._starting.items():
            if key == actor.key:
                starting.interrupted = True
                starting.task.cancel()
        leaving = asyncio.create_task(self._detach(actor), name=f"leave {actor.name[2]}")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def left(self) -> None:
        """Wait until no plugin holds on to anything of the executions that were left."""
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _detach(self, actor: Actor) -> None:
        while actor.placed:
            node_id, plugin = actor.placed.popitem()
            node = actor.state.nodes.get(node_id)
            if node is None:
                continue
            name = paths.attempt_name(actor.state, node, node.attempt)
            try:
                await plugin.detach(name)
            except Exception as error:
                log.error("attempt cannot be let go of", attempt=name, exc_info=error)

    async def stop(self) -> None:
        """Leave what is not done; it is asked for again after a restart."""
        self._queue.clear()
        await self._workers.stop()

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._breathe()
                if not self._queue:
                    return
                actor, command = self._queue.popleft()
                if isinstance(command, FinalizeAttempt | ReleaseCache) or await self._holds(actor):
                    await self._carry_out(actor, command)
        finally:
            # At once, not when the task is done: a command that comes in between would find nobody.
            self._working -= 1

    async def _holds(self, actor: Actor) -> bool:
        """Whether this replica may act; who had to wait for that comes with all others who had, and takes its turn."""
        while await self._tenure.holds(actor):
            if asyncio.get_running_loop().time() < self._breath_ends:
                return True
            await self._breathe()
        return False

    async def _breathe(self) -> None:
        """Let others have the event loop once the workers have had it for long; a new breath begins a round later.

        Who finds that breath used up too waits on: a command each of all workers would be a long breath.
        """
        loop = asyncio.get_running_loop()
        while loop.time() >= self._breath_ends:
            if not self._out_of_breath:
                self._out_of_breath = True
                loop.call_soon(self._begin_breath)
            await asyncio.sleep(0)

    def _begin_breath(self) -> None:
        self._out_of_breath = False
        self._breath_ends = asyncio.get_running_loop().time() + BREATH_SECONDS

    async def _carry_out(self, actor: Actor, command: Command) -> None:
        try:
            await self._actions[type(command)](actor, command)
        except Exception as error:
            log.error("command failed", command=type(command).__name__, node=command.node_id, exc_info=error)

    def _interrupt_start(self, actor: Actor, name: str) -> None:
        """A start that is under way must not outlive the stop that follows it."""
        starting = self._starting.get((actor.key, name))
        if starting is not None:
            starting.interrupted = True
            starting.task.cancel()

    async def _start(self, actor: Actor, command: StartAttempt) -> None:
        node = _waiting(actor, command)
        if node is None:
            return
        assert node.plan.task is not None
        template = node.plan.task.template
        plugin = self._plugins.resolve(template.type, actor.state.options.plugin_overrides, template)
        actor.placed[command.node_id] = plugin
        traceparent = tracing.attempt_traceparent(actor.state, node)
        until = partial(self._tenure.of, actor)
        attempt = build_attempt(actor.plan, actor.state, node, self._policy, traceparent, until)

        def report(seen: Report) -> None:
            if seen.phase.is_final:
                self._measurements.attempt_ended(plugin.id, seen.phase)
            self._post(actor, AttemptReported(self._clock(), command.node_id, command.number, seen, plugin.id))

        async def start() -> None:
            """A start that failed may have had its effect: what has ended since must not be started again."""
            if _waiting(actor, command) is not None:
                await plugin.start(attempt, report)

        task = asyncio.current_task()
        assert task is not None
        place = (actor.key, attempt.name)
        starting = self._starting[place] = _Starting(task)
        try:
            await self._retries.run(start, what=f"start {attempt.name}")
        except asyncio.CancelledError:
            if not starting.interrupted:
                raise
            task.uncancel()
        except Exception as error:
            log.warning("attempt could not be started", attempt=attempt.name, exc_info=error)
            report(self._start_failed(error))
        finally:
            del self._starting[place]
            starting.done.set()

    def _start_failed(self, error: Exception) -> Report:
        message = f"the attempt could not be started: {_text(error)}"
        failure = core.ExecutionError(code="RuntimeExecutionError", message=message, kind=core.ExecutionError.SYSTEM)
        now = datetime.fromtimestamp(self._clock() / MICROSECONDS, UTC)
        return Report(AttemptPhase.RETRYABLE_FAILURE, now, error=failure)

    async def _stop(self, actor: Actor, command: StopAttempt) -> None:
        """Stop an attempt: nothing else may happen to the node before the plugin has confirmed it, or cannot."""
        await self._started(actor, command.name)
        plugin = self._placed(actor, command)
        failure = await self._aborted(actor, plugin, command)
        try:
            await plugin.finalize(command.name)
        except Exception as error:  # nothing runs any more, and what is left behind harms nobody
            log.warning("attempt could not be let go of", attempt=command.name, error=_text(error))
        self._post(actor, AttemptStopped(self._clock(), command.node_id, command.number, failure))

    async def _aborted(self, actor: Actor, plugin: Plugin, command: StopAttempt) -> str:
        """Have a plugin stop an attempt; why it could not confirm that, empty when it did.

        An outage is waited for however long it takes; what is as likely a defect of the plugin is met so often.
        """
        pause, defects = 0.1, 0
        while not actor.closed:
            try:
                await plugin.abort(command.name, command.reason)
                break
            except Exception as error:
                defects += not _is_outage(error)
                text = f"plugin {plugin.id!r}: {_text(error)}"
                log.warning("attempt could not be stopped", attempt=command.name, pause=pause, error=text)
            if defects >= self._policy.stop_tries:
                return text
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10.0)
        return ""

    async def _started(self, actor: Actor, name: str) -> None:
        """Wait until no start of an attempt is under way: it would bring back what is let go of."""
        starting = self._starting.get((actor.key, name))
        if starting is not None:
            await starting.done.wait()

    async def _finalize(self, actor: Actor, command: FinalizeAttempt) -> None:
        await self._started(actor, command.name)
        plugin = self._placed(actor, command)
        await self._retries.run(lambda: plugin.finalize(command.name), what=f"finalize {command.name}")

    def _placed(self, actor: Actor, command: StopAttempt | FinalizeAttempt) -> Plugin:
        """The plugin that was given the attempt: what claims a task type now may not have claimed it then."""
        placed = actor.placed.pop(command.node_id, None)
        return placed or self._plugins.resolve(command.task_type, actor.state.options.plugin_overrides)

    async def _load(self, actor: Actor, command: LoadData) -> None:
        try:
            data = await self._retries.run(
                lambda: self._blobs.read(command.uri, self._data_limit), what=f"read {command.uri}"
            )
            outputs = core.LiteralMap.FromString(data)
        except Exception as error:
            self._post(actor, DataLoaded(self._clock(), command.node_id, None, f"{command.uri}: {_text(error)}"))
        else:
            self._post(actor, DataLoaded(self._clock(), command.node_id, outputs))

    async def _load_many(self, actor: Actor, command: LoadMany) -> None:
        """Read many files, some at a time; one that cannot be read fails them all."""
        found: dict[int | str, bytes] = {}
        waiting: Iterator[tuple[int | str, str]] = iter([*command.uris.items()])

        async def read() -> None:
            for place, uri in waiting:
                what = f"read {uri}"
                found[place] = await self._retries.run(partial(self._blobs.read, uri, self._data_limit), what=what)

        seen = ManyLoaded(self._clock(), command.node_id, command.number)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(READS_AT_ONCE, len(command.uris))):
                    group.create_task(read())
            if command.literals:
                seen.literals = {str(name): core.Literal.FromString(data) for name, data in found.items()}
            else:
                seen.outputs = {int(index): core.LiteralMap.FromString(data) for index, data in found.items()}
        except* Exception as errors:
            seen.failure = _text(errors.exceptions[0])
        self._post(actor, seen)

    async def _write(self, actor: Actor, command: WriteData) -> None:
        failure, written = "", command.data
        try:
            if command.offload_from is not None:
                folder = command.uri.rpartition("/")[0]
                written = await offloaded(command.data, folder, command.offload_from, self._write_blob)
            await self._write_blob(command.uri, written.SerializeToString(deterministic=True))
        except Exception as error:
            failure = f"{command.uri}: {_text(error)}"
        self._post(actor, DataWritten(self._clock(), command.node_id, command.kind, failure))

    async def _write_blob(self, uri: str, data: bytes) -> None:
        await self._retries.run(lambda: self._blobs.write(uri, data), what=f"write {uri}")

    async def _look_up(self, actor: Actor, command: LookUpCache) -> None:
        try:
            hit = await self._catalog_retries.run(lambda: self._catalog.look_up(command.entry), what="cache look-up")
        except Exception as error:
            seen = CacheLookedUp(self._clock(), command.node_id, failure=_text(error))
        else:
            found = (hit.outputs, hit.catalog) if hit is not None else (None, None)
            seen = CacheLookedUp(self._clock(), command.node_id, *found)
        self._post(actor, seen)

    async def _reserve(self, actor: Actor, command: ReserveCache) -> None:
        heartbeat = self._policy.reservation_heartbeat / MICROSECONDS
        owner, failure = "", ""
        try:
            owner = await self._catalog_retries.run(
                lambda: self._catalog.reserve(command.entry, heartbeat), what="cache reservation"
            )
        except Exception as error:
            failure = _text(error)
        self._post(actor, CacheReserved(self._clock(), command.node_id, owner == command.entry.owner, failure, owner))

    async def _release(self, actor: Actor, command: ReleaseCache) -> None:
        """Let go of a reservation; one that cannot be released expires by itself."""
        await self._catalog_retries.run(lambda: self._catalog.release(command.entry), what="cache release")

    async def _store(self, actor: Actor, command: StoreCache) -> None:
        catalog, failure = None, ""
        try:
            catalog = await self._catalog_retries.run(
                lambda: self._catalog.store(command.entry, command.outputs, overwrite=command.overwrite),
                what="cache store",
            )
        except Exception as error:
            failure = _text(error)
        self._post(actor, CacheStored(self._clock(), command.node_id, catalog, failure))


def _waiting(actor: Actor, command: StartAttempt) -> NodeState | None:
    """The node, when this attempt of it is still to run: not after its end, nor once it has yielded a graph."""
    node = actor.state.nodes.get(command.node_id)
    if actor.closed or node is None or node.is_dynamic:
        return None
    return node if node.phase == NodePhase.RUNNING and node.attempt == command.number else None


def _is_outage(error: Exception) -> bool:
    """Whether what a plugin needs is away, as far as the error tells."""
    return error.kind in OUTAGES if isinstance(error, ElevonError) else isinstance(error, OSError)


def _text(error: Exception) -> str:
    return error.message if isinstance(error, ElevonError) else f"{type(error).__name__}: {error}"
