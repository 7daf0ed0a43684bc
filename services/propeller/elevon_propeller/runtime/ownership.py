"""Which shards this replica owns, and bringing their executions into memory."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from elevon_core.errors import ElevonError
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.logging import get_logger

from elevon_propeller.engine.observations import AbortRequested, SignalSet
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.ports import SHARDS, ExecutionRow, Request, Store
from elevon_propeller.runtime.actors import Actor, restored
from elevon_propeller.runtime.clock import Clock
from elevon_propeller.runtime.driver import Driver
from elevon_propeller.runtime.outbox import Outbox
from elevon_propeller.runtime.plans import Plans

log = get_logger("ownership")

ABORT, SIGNAL = "abort", "signal"


class Ownership:
    """Keeps leases alive and follows what they say.

    A lease lives `lease_seconds` without renewal and is renewed four times as often, so a dead replica's shards are
    taken over within 1.25 of it.
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
        self._store = store
        self._driver = driver
        self._outbox = outbox
        self._plans = plans
        self._policy = policy
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        """Renew and follow; endless."""
        while True:
            await asyncio.sleep(self._lease_seconds / 4)
            try:
                await self.renew()
                await self.look_around()
            except ElevonError as error:
                log.warning("leases could not be renewed", error=error.message)

    async def renew(self) -> None:
        """Renew leases; take over gained shards, leave lost ones, give surplus away."""
        async with self._changing:
            now = self._clock()
            leases = await self._store.take_leases(self.owner, now, now + int(self._lease_seconds * 1_000_000))
            before = dict(self._driver.epochs)
            lost = [shard for shard, epoch in before.items() if leases.epochs.get(shard) != epoch]
            if lost:
                log.warning("shards lost", shards=lost)
                self._driver.disown(lost)
            gained = {shard: epoch for shard, epoch in leases.epochs.items() if before.get(shard) != epoch}
            surplus = [shard for shard in leases.surplus if shard not in gained]
            if surplus:
                await self._give_away(surplus)
            if gained:
                await self._take_over({shard: epoch for shard, epoch in gained.items() if shard not in surplus})

    async def look_around(self) -> None:
        """Find what other replicas have left for this one, and executions whose time-out after a defect is over."""
        shards = list(self._driver.epochs)
        if not shards:
            return
        await self._load(await self._store.live_executions(shards, only_new=True))
        parked = [key for key, parked in self._driver.parked.items() if parked.retry_at <= self._clock()]
        if parked:
            rows = await self._store.live_executions(shards)
            await self._load([row for row in rows if row.key in parked])
        for request in await self._store.requests(shards):
            await self._answer(request)

    async def take_over_namesake(self) -> None:
        """Free what an earlier process of this replica's name held; should it live still, the new epochs stop it."""
        await self._store.release_leases(self.owner, range(SHARDS))

    async def release(self) -> None:
        """Give all shards away, so that another replica need not wait."""
        async with self._changing:
            shards = list(self._driver.epochs)
            self._driver.disown(shards)
            await self._store.release_leases(self.owner, range(SHARDS))

    async def _give_away(self, shards: Collection[int]) -> None:
        log.info("shards given away", shards=sorted(shards))
        async with self._driver.committing:
            self._driver.disown(shards)
        await self._store.release_leases(self.owner, shards)

    async def _take_over(self, epochs: dict[int, int]) -> None:
        for shard, epoch in epochs.items():
            self._driver.own(shard, epoch, await self._outbox.adopt(shard))
        rows = await self._store.live_executions(list(epochs))
        log.info("shards taken over", shards=sorted(epochs), executions=len(rows))
        await self._load(rows)

    async def _load(self, rows: list[ExecutionRow]) -> None:
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
            self._driver.adopt(actor)
            await asyncio.sleep(0)

    async def _answer(self, request: Request) -> None:
        actor = next((actor for actor in self._driver.actors.values() if actor.key == request.key), None)
        if actor is not None:
            await self._driver.tell(actor, self._observation(actor, request))
        self._driver.answered([request.id])

    def _observation(self, actor: Actor, request: Request) -> AbortRequested | SignalSet:
        now = self._clock()
        if request.kind == SIGNAL:
            signal = propeller.SetSignalRequest.FromString(request.payload)
            value = core.Literal()
            value.CopyFrom(signal.value)
            return SignalSet(now, signal.signal_id, value)
        return AbortRequested(now, propeller.AbortExecutionRequest.FromString(request.payload).cause)
