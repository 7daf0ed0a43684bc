"""Which shards this replica owns, and bringing their executions into memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from elevon_core.errors import ElevonError
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.logging import get_logger

from elevon_propeller.engine.observations import AbortRequested, SignalSet
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.ports import SHARDS, ExecutionRow, Leases, Request, Store
from elevon_propeller.runtime.actors import Name, restored
from elevon_propeller.runtime.clock import Clock
from elevon_propeller.runtime.driver import Driver
from elevon_propeller.runtime.executor import Executor
from elevon_propeller.runtime.outbox import Outbox
from elevon_propeller.runtime.plans import Plans

log = get_logger("ownership")

ABORT, SIGNAL = "abort", "signal"

_NEVER = 1 << 62

BREATH_SECONDS = 0.02
"""Words come in bursts: so long the next look around waits for those that follow the first."""


class Ownership:
    """Keeps leases alive and follows what they say.

    A lease lives `lease_seconds` without renewal and is renewed four times as often, so a dead replica's shards are
    taken over within 1.25 of it. Renewing never waits for the loading of what was taken over: two tasks do the two.
    What was lost is let go of in the same moment that says so, before anything else can rely on the renewed leases.
    `renewing` is held while leases are renewed or given up; `hears` says that other replicas are listened to.
    """

    def __init__(
        self,
        owner: str,
        store: Store,
        driver: Driver,
        outbox: Outbox,
        plans: Plans,
        policy: EnginePolicy,
        clock: Clock,
        lease_seconds: float,
    ) -> None:
        self.owner = owner
        self.hears = False
        self._store = store
        self._driver = driver
        self._outbox = outbox
        self._plans = plans
        self._policy = policy
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._leases = Leases({}, [], 1)
        self._owed: set[int] = set()
        self._answered: set[int] = set()
        self._arriving: set[int] = set()
        self.renewing = asyncio.Lock()
        self._called = asyncio.Event()
        self._stirred = asyncio.Event()
        self._executor: Executor
        self._ended: Callable[[Name], None]

    def connect(self, executor: Executor, ended: Callable[[Name], None]) -> None:
        """Tell who carries out commands, and who wants to hear of executions that have ended elsewhere."""
        self._executor = executor
        self._ended = ended

    async def keep(self) -> None:
        """Renew the leases, a few times in the life of one, and whenever some have come free; endless."""
        while True:
            await _until(self._called, self._lease_seconds / 4)
            try:
                await self.renew()
            except ElevonError as error:
                log.warning("leases could not be renewed", error=error.message)

    async def run(self) -> None:
        """Follow what the leases say, and see to what others have left for this replica; endless."""
        while True:
            if await _until(self._stirred, self._lease_seconds / 4):
                await asyncio.sleep(BREATH_SECONDS)
                self._stirred.clear()
            try:
                await self.follow()
            except ElevonError as error:
                log.warning("shards could not be looked after", error=error.message)

    async def listen(self) -> None:
        """Hear what other replicas say; endless."""
        try:
            await self._store.listen(self._hear)
        except ElevonError as error:
            log.info("nothing can be heard of other replicas for now", error=error.message)
            await asyncio.sleep(self._lease_seconds / 4)

    async def renew(self) -> None:
        """Renew leases, take free ones, and leave lost ones."""
        async with self.renewing:
            asked = asyncio.get_running_loop().time()
            now = self._clock()
            leases = await self._store.take_leases(self.owner, now, now + int(self._lease_seconds * 1_000_000))
            lost = [shard for shard, epoch in self._driver.epochs.items() if leases.epochs.get(shard) != epoch]
            if lost:
                log.warning("shards lost", shards=lost)
                self._driver.disown(lost)
            self._driver.tenure.confirm(asked + self._lease_seconds)
            self._driver.has_peers = leases.replicas > 1
            self._leases = leases
            if self._gained() or leases.surplus:
                self._stirred.set()

    async def follow(self) -> None:
        """Give surplus away, take over what was gained, and look around."""
        surplus = [shard for shard in self._leases.surplus if shard in self._leases.epochs]
        if surplus or self._owed:
            await self._give_away(surplus)
        gained = self._gained()
        if gained:
            await self._take_over(gained)
        await self.look_around()

    async def look_around(self) -> None:
        """Find what other replicas have left for this one, and executions whose time-out after a defect is over."""
        shards = list(self._driver.epochs)
        if not shards:
            return
        await self._arrive()
        with self._driver.departures() as departed:
            await self._load(await self._store.live_executions(shards, only_new=True), departed)
        await self._retry_parked(shards)
        requests = await self._store.requests(shards)
        self._answered &= {request.id for request in requests}
        waiting = [request for request in requests if request.id not in self._answered]
        await asyncio.gather(*(self._answer(request) for request in waiting))

    async def _retry_parked(self, shards: Collection[int]) -> None:
        now = self._clock()
        parked = self._driver.parked
        due = {key for key, each in parked.items() if each.retry_at <= now}
        if not due:
            return
        with self._driver.departures() as departed:
            rows = [row for row in await self._store.live_executions(shards) if row.key in due]
            for key in due - {row.key for row in rows}:
                del parked[key]
            for row in rows:
                parked[row.key].retry_at = _NEVER  # unless it has to be parked once more, which needs the pause it had
            try:
                await self._load(rows, departed)
            except ElevonError:
                for row in rows:
                    parked[row.key].retry_at = min(parked[row.key].retry_at, now)
                raise

    async def take_over_namesake(self) -> None:
        """Free what an earlier process of this replica's name held; should it live still, the new epochs stop it."""
        await self._store.release_leases(self.owner, range(SHARDS))

    async def release(self) -> None:
        """Give all shards away, so that another replica need not wait."""
        async with self.renewing:
            self._leases = Leases({}, [], 1)
            self._driver.disown(list(self._driver.epochs))
            await self._executor.left()
            await self._store.release_leases(self.owner, range(SHARDS))

    def _hear(self, word: str) -> None:
        kind, *rest = word.split(" ")
        if not kind:
            self.hears = True
            self._called.set()
            self._stirred.set()
        elif kind == "leases":
            self._called.set()
        elif kind == "look" and int(rest[0]) in self._driver.epochs:
            self._stirred.set()
        elif kind == "ended":
            self._ended((rest[0], rest[1], rest[2]))

    def _gained(self) -> dict[int, int]:
        """The shards of the leases that the driver does not have yet."""
        epochs = self._leases.epochs.items()
        known = (self._driver.epochs, self._driver.left)
        return {shard: epoch for shard, epoch in epochs if epoch not in (each.get(shard) for each in known)}

    async def _give_away(self, shards: Collection[int]) -> None:
        """Let go of shards, then of their leases, which are owed from then on however often the database fails."""
        async with self._driver.committing:
            self._driver.disown(shards)
        self._owed.update(shards)
        await self._executor.left()
        async with self.renewing:
            await self._store.release_leases(self.owner, self._owed)
            log.info("shards given away", shards=sorted(self._owed))
            kept = {shard: epoch for shard, epoch in self._leases.epochs.items() if shard not in self._owed}
            self._leases = Leases(kept, [], self._leases.replicas)
            self._owed.clear()

    async def _take_over(self, epochs: dict[int, int]) -> None:
        await self._executor.left()
        for shard, epoch in epochs.items():
            last = await self._outbox.adopt(shard)
            if self._leases.epochs.get(shard) == epoch:
                self._driver.own(shard, epoch, last)
                self._arriving.add(shard)
            else:
                self._outbox.drop(shard)
        await self._arrive()

    async def _arrive(self) -> None:
        """Bring the executions of gained shards into memory; what the store withholds is tried again later."""
        shards = sorted(self._arriving & self._driver.epochs.keys())
        if shards:
            with self._driver.departures() as departed:
                rows = await self._store.live_executions(shards)
                log.info("shards taken over", shards=shards, executions=len(rows))
                await self._load(rows, departed)
        self._arriving.difference_update(shards)

    async def _load(self, rows: list[ExecutionRow], departed: Collection[Name]) -> None:
        """Make actors of rows, unless an execution was in memory, and may have changed, since they were read."""
        names = self._driver.actors
        rows = [row for row in rows if (row.project, row.domain, row.name) not in names]
        if not rows:
            return
        nodes = await self._store.nodes([row.key for row in rows])
        chunks = await self._store.chunks([row.key for row in rows])
        for row in rows:
            if row.shard not in self._driver.epochs or (row.project, row.domain, row.name) in names:
                continue
            try:
                plan = await self._plans.stored(row.digest)
                graphs = await self._plans.dynamic(nodes[row.key])
                actor = restored(row, nodes[row.key], plan, self._policy, graphs, chunks[row.key])
            except Exception as error:
                self._driver.postpone(row.key, (row.project, row.domain, row.name), error)
                continue
            if row.shard in self._driver.epochs and actor.name not in names and actor.name not in departed:
                self._driver.adopt(actor)
            await asyncio.sleep(0)

    async def _answer(self, request: Request) -> None:
        """Act on a request; one for an execution that cannot be driven now waits until it can."""
        name, seen = self._read(request)
        if name not in self._driver.actors:
            row = await self._store.find_execution(*name)
            if row is not None and not row.ended_at and name not in self._driver.actors:
                return
        actor = self._driver.actors.get(name)
        if actor is not None:
            await self._driver.tell(actor, seen)
        self._answered.add(request.id)
        self._driver.answered([request.id])

    def _read(self, request: Request) -> tuple[Name, AbortRequested | SignalSet]:
        now = self._clock()
        if request.kind == SIGNAL:
            signal = propeller.SetSignalRequest.FromString(request.payload)
            value = core.Literal()
            value.CopyFrom(signal.value)
            return _name(signal.execution_id), SignalSet(now, signal.signal_id, value)
        abort = propeller.AbortExecutionRequest.FromString(request.payload)
        return _name(abort.execution_id), AbortRequested(now, abort.cause)


def _name(identifier: core.WorkflowExecutionIdentifier) -> Name:
    return (identifier.project, identifier.domain, identifier.name)


async def _until(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, which is cleared, at most so long; False when it did not come."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True
