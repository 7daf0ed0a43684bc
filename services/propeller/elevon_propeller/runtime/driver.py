"""The driver: drains mailboxes through the engine, commits what all actors came to at once, then acts on it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from elevon_core.errors import ElevonError, Unavailable
from elevon_kit.logging import get_logger
from elevon_kit.retry import is_transient

from elevon_propeller.engine.observations import ExecutionStarted, Observation, Resumed
from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.state import NodeState
from elevon_propeller.engine.step import step
from elevon_propeller.ports import Commit, EventChunk, ExecutionExists, LeaseLost, Store, end_word
from elevon_propeller.runtime import framing, tracing
from elevon_propeller.runtime.actors import Actor, Name
from elevon_propeller.runtime.batch import ActorBatch
from elevon_propeller.runtime.clock import Clock
from elevon_propeller.runtime.executor import Executor
from elevon_propeller.runtime.measurements import RuntimeMeasurements
from elevon_propeller.runtime.outbox import Outbox
from elevon_propeller.runtime.tenure import Tenure
from elevon_propeller.runtime.timers import Timers

log = get_logger("driver")

FIRST_OBSERVATIONS = 250
"""The first tick after a silence takes so many at most, each that follows twice as many as the one before.

After a start in the middle of much, what comes first is durable and told long before all of it is worked off."""

OBSERVATIONS_PER_TICK = 2_000
OBSERVATIONS_PER_TURN = 500
"""One actor's share of a tick when others wait too."""

LAZY_SECONDS = 0.05
"""Acknowledgements wait so long for a commit that they can join."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0

_TAKEN = "another replica runs this execution now"


@dataclass(slots=True)
class Parked:
    """An execution that could not be driven, and when it is tried again."""

    retry_at: int
    pause: int


class Driver:
    """Owns the actors of this replica; one task ticks, everything else posts to it.

    `epochs` are those of the leases it relies on; an epoch that was `left` is never relied on again. `has_peers` says
    that other replicas are at work, who want to hear of what ends here, `logs_nodes` that every change of a node is
    logged.
    """

    def __init__(self, store: Store, policy: EnginePolicy, clock: Clock) -> None:
        self.actors: dict[Name, Actor] = {}
        self.epochs: dict[int, int] = {}
        self.parked: dict[int, Parked] = {}
        self.ended_nodes = 0
        self.committing = asyncio.Lock()
        self.tenure = Tenure()
        self.left: dict[int, int] = {}
        self.has_peers = False
        self.logs_nodes = False
        self.measurements = RuntimeMeasurements()
        self._store = store
        self._policy = policy
        self._clock = clock
        self._ready: deque[Actor] = deque()
        self._most_observations = FIRST_OBSERVATIONS
        self._creating: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._acknowledged: list[tuple[int, int]] = []
        self._answered: list[int] = []
        self._departures: list[set[Name]] = []
        self._lazy: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._executor: Executor
        self._outbox: Outbox
        self._on_end: Callable[[Actor], None]
        self._timers = Timers(clock, self.post)

    def connect(self, executor: Executor, outbox: Outbox, on_end: Callable[[Actor], None]) -> Timers:
        """Tell who carries out commands, who delivers events and who wants to hear of executions that have ended.

        Returns the timers, which want to be run.
        """
        self._on_end = on_end
        self._executor = executor
        self._outbox = outbox
        return self._timers

    def post(self, actor: Actor, observation: Observation) -> None:
        """Put an observation into an actor's mailbox."""
        if actor.closed:
            return
        actor.mailbox.append(observation)
        if not actor.scheduled:
            actor.scheduled = True
            self._ready.append(actor)
            self._wake.set()

    async def create(self, actor: Actor) -> bool:
        """Take over a new execution of a shard that is owned here; True when it is durable, False when it exists."""
        known = self.actors.get(actor.name)
        if known is not None:
            if known.key in self._creating:
                await self._durable(known)
            return False
        self.actors[actor.name] = actor
        self._creating.add(actor.key)
        self.post(actor, ExecutionStarted(self._clock()))
        return await self._durable(actor)

    async def tell(self, actor: Actor, observation: Observation) -> None:
        """Post an observation and wait until what follows from it is durable."""
        self.post(actor, observation)
        await self._durable(actor)

    def adopt(self, actor: Actor) -> None:
        """Begin with an execution that was found in the store."""
        self.actors[actor.name] = actor
        now = self._clock()
        fresh = actor.state.phase == ExecutionPhase.NEW
        self.post(actor, ExecutionStarted(now) if fresh else Resumed(now))

    @contextmanager
    def departures(self) -> Iterator[set[Name]]:
        """The executions that leave memory in the meantime: what was read of them until then is out of date."""
        names: set[Name] = set()
        self._departures.append(names)
        try:
            yield names
        finally:
            self._departures = [others for others in self._departures if others is not names]

    def own(self, shard: int, epoch: int, last_number: int) -> None:
        """Begin with a shard.

        Chunks are numbered on from the present time, so that none bears the number of one that is gone: a belated
        acknowledgement of that one would delete it.
        """
        self.epochs[shard] = epoch
        self._numbers[shard] = max(last_number, self._clock())

    def disown(self, shards: Collection[int]) -> None:
        """Let go of shards and their executions, in memory."""
        for shard in shards:
            if shard in self.epochs:
                self.left[shard] = self.epochs.pop(shard)
            self._numbers.pop(shard, None)
            self._outbox.drop(shard)
        for actor in [actor for actor in self.actors.values() if actor.shard in shards]:
            self._close(actor, Unavailable(_TAKEN))
            self._executor.leave(actor)
        self.tenure.recall()

    def acknowledge(self, places: list[tuple[int, int]]) -> None:
        """Admin has these chunks; they are deleted with the next commit, or soon."""
        self._acknowledged.extend(places)
        if self._lazy is None:
            self._lazy = asyncio.get_running_loop().call_later(LAZY_SECONDS, self._flush_lazily)

    def answered(self, request_ids: Iterable[int]) -> None:
        """These requests have been acted on; they are deleted with the next commit."""
        self._answered.extend(request_ids)
        self._wake.set()

    def _flush_lazily(self) -> None:
        self._lazy = None
        self._wake.set()

    async def run(self) -> None:
        """Tick whenever there is something to do; endless."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._most_observations = FIRST_OBSERVATIONS
            while self._ready or self._answered or (self._acknowledged and self._lazy is None):
                await self.tick()
                self._most_observations = min(self._most_observations * 2, OBSERVATIONS_PER_TICK)

    async def tick(self) -> None:
        """Drain what is ready, commit it, act on it."""
        async with self.committing:
            began = time.perf_counter()
            parts = self._collect()
            await self._commit(parts)
            if observations := sum(part.observations for part in parts):
                self.measurements.stepped(observations, time.perf_counter() - began)
        await asyncio.sleep(0)

    @property
    def waiting(self) -> int:
        """How many executions have something in their mailboxes."""
        return len(self._ready)

    async def _durable(self, actor: Actor) -> bool:
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        actor.waiters.append(waiter)
        return await waiter

    def _collect(self) -> list[ActorBatch]:
        parts: list[ActorBatch] = []
        budget = self._most_observations
        turns = len(self._ready)
        share = budget if turns == 1 else OBSERVATIONS_PER_TURN
        while turns and budget > 0:
            turns -= 1
            actor = self._ready.popleft()
            actor.scheduled = False
            if actor.closed:
                continue
            count = min(len(actor.mailbox), share, budget)
            budget -= count
            part = self._take_turn(actor, count)
            if part is not None:
                parts.append(part)
            if actor.mailbox and not actor.scheduled:
                actor.scheduled = True
                self._ready.append(actor)
        return parts

    def _take_turn(self, actor: Actor, count: int) -> ActorBatch | None:
        part = ActorBatch(actor, created=actor.key in self._creating)
        try:
            for _ in range(count):
                part.add(step(actor.plan, actor.state, actor.mailbox.popleft(), self._policy))
            part.freeze()
        except Exception as error:
            self.park(actor, error)
            return None
        part.waiters, actor.waiters = actor.waiters, []
        return part

    async def _commit(self, parts: list[ActorBatch]) -> None:
        pause = FIRST_PAUSE
        acknowledged, self._acknowledged = self._acknowledged, []
        answered, self._answered = self._answered, []
        while True:
            parts = _remaining(parts)
            commit = self._build(parts, acknowledged, answered)
            try:
                if commit.is_empty or await self._written(commit, parts):
                    break
            except LeaseLost as lost:
                log.warning("leases lost", shards=sorted(lost.shards))
                self.disown(lost.shards)
            except Exception as error:
                if not _may_pass(error):
                    await self._isolate(parts, error)
                    return
                log.warning("commit failed, trying again", error=str(error), pause=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        for chunk in commit.events:
            self._numbers[chunk.shard] = chunk.number
        self._outbox.committed(commit.events)
        for part in parts:
            self._act(part)

    async def _written(self, commit: Commit, parts: list[ActorBatch]) -> bool:
        """Write a commit; False when it has to be built again, without executions that exist."""
        try:
            await self._store.commit(commit)
        except ExecutionExists:
            if not await self._screen(parts):
                raise
            return False
        return True

    def _build(self, parts: list[ActorBatch], acknowledged: list[tuple[int, int]], answered: list[int]) -> Commit:
        commit = Commit(leases={}, answered=answered)
        commit.acknowledged = [place for place in acknowledged if place[0] in self.epochs]
        events: dict[int, list[ActorBatch]] = {}
        leases: dict[int, int] = {}
        for part in parts:
            if not part.writes:
                continue
            actor = part.actor
            leases[actor.shard] = self.epochs.get(actor.shard, -1)
            if part.created:
                commit.created.append(actor.row())
            elif part.changed:
                commit.changed.append(actor.row())
            commit.nodes.extend((actor.key, row) for row in part.rows)
            commit.dropped.extend((actor.key, node_id) for node_id in part.dropped)
            commit.chunks.extend((actor.key, chunk) for chunk in part.chunks)
            if part.events:
                events.setdefault(actor.shard, []).append(part)
        for shard, shares in events.items():
            commit.events.extend(self._chunks(shard, shares))
        for shard, _ in commit.acknowledged:
            leases[shard] = self.epochs[shard]
        commit.leases = leases
        if self.has_peers:
            commit.words = [end_word(part.actor.name) for part in parts if part.actor.state.phase.is_terminal]
        return commit

    def _chunks(self, shard: int, shares: list[ActorBatch]) -> list[EventChunk]:
        told = [event for part in shares for event in framing.side_by_side(part.events)]
        return list(framing.chunks(shard, self._numbers.get(shard, 0) + 1, told))

    async def _screen(self, parts: list[ActorBatch]) -> bool:
        """Take the executions that exist out of a commit; those who asked for them learn it. False when none does.

        One that bears the actor's own key was written by a commit whose success got lost on the way.
        """
        found = False
        for part in parts:
            row = await self._store.find_execution(*part.actor.name) if part.created else None
            if row is None:
                continue
            found = True
            if row.key == part.actor.key:
                part.created, part.changed = False, True
            else:
                for waiter in part.waiters:
                    _resolve(waiter, False)
                part.waiters = []
                self._close(part.actor)
        return found

    async def _isolate(self, parts: list[ActorBatch], error: Exception) -> None:
        """One actor's rows cannot be written: find out whose, and do not let the others suffer."""
        if len(parts) > 1:
            for part in parts:
                await self._commit([part])
            return
        for part in parts:
            for waiter in part.waiters:
                _reject(waiter, error)
            self.park(part.actor, error)

    def _act(self, part: ActorBatch) -> None:
        actor = part.actor
        self._creating.discard(actor.key)
        for timer in part.timers:
            self._timers.add(actor, timer)
        for command in part.commands:
            self._executor.submit(actor, command)
        for waiter in part.waiters:
            _resolve(waiter, True)
        for watcher in actor.watchers:
            watcher.put_nowait(set(part.nodes))
        if tracing.enabled():
            tracing.nodes_ended(actor.state, part.nodes.values())
        if self.logs_nodes:
            _log_nodes(actor, part.nodes.values())
        if actor.state.phase.is_terminal and (part.changed or part.created):
            self._ended(actor)

    def _ended(self, actor: Actor) -> None:
        state = actor.state
        seconds = (state.ended_at - state.accepted_at) / 1_000_000
        log.info(
            "execution ended",
            project=actor.name[0],
            domain=actor.name[1],
            execution=actor.name[2],
            phase=state.phase.name,
            seconds=round(seconds, 3),
        )
        tracing.execution_ended(state)
        self.measurements.execution_ended(state.phase)
        self._close(actor)
        self._on_end(actor)
        self.ended_nodes += len(state.nodes)
        state.let_go()

    def park(self, actor: Actor, error: Exception) -> None:
        """Take an execution that cannot be driven out of memory, to be tried again from the store later."""
        self.postpone(actor.key, actor.name, error)
        self._close(actor, error)

    def postpone(self, key: int, name: Name, error: Exception) -> None:
        """Have an execution that is not in memory tried again from the store later."""
        before = self.parked.get(key)
        pause = min(before.pause * 2, 60_000_000) if before is not None else 1_000_000
        self.parked[key] = Parked(self._clock() + pause, pause)
        log.error("execution parked", execution=name[2], pause=pause / 1_000_000, exc_info=error)

    def _close(self, actor: Actor, error: Exception | None = None) -> None:
        actor.closed = True
        for names in self._departures:
            names.add(actor.name)
        actor.mailbox.clear()
        self._creating.discard(actor.key)
        if self.actors.get(actor.name) is actor:
            del self.actors[actor.name]
        for waiter in actor.waiters:
            if error is not None:
                _reject(waiter, error)
            else:
                _resolve(waiter, False)
        actor.waiters = []
        for watcher in actor.watchers:
            watcher.put_nowait(None)


def _remaining(parts: list[ActorBatch]) -> list[ActorBatch]:
    """What is still this replica's to commit; those who wait for the rest learn that it is not."""
    for part in parts:
        if part.actor.closed:
            for waiter in part.waiters:
                _reject(waiter, Unavailable(_TAKEN))
    return [part for part in parts if not part.actor.closed]


def _log_nodes(actor: Actor, nodes: Iterable[NodeState]) -> None:
    project, domain, execution = actor.name
    for node in nodes:
        log.debug(
            "node",
            project=project,
            domain=domain,
            execution=execution,
            node=node.id,
            phase=node.phase.name,
            attempt=node.attempt,
        )


def _may_pass(error: Exception) -> bool:
    return is_transient(error) or (isinstance(error, ElevonError) and "full" in error.message)


def _resolve(waiter: asyncio.Future[bool], value: bool) -> None:
    if not waiter.done():
        waiter.set_result(value)


def _reject(waiter: asyncio.Future[bool], error: Exception) -> None:
    if not waiter.done():
        waiter.set_exception(error)
