"""The runtime as one thing: built from its parts, started, asked, drained."""

from __future__ import annotations

import asyncio
import secrets
import socket
from dataclasses import dataclass
from typing import TypedDict

from elevon_kit.blobs import BlobStore
from elevon_kit.logging import get_logger
from elevon_kit.retry import RetryPolicy
from elevon_kit.service import give_back_memory
from elevon_kit.tasks import BackgroundTasks

from elevon_propeller.engine.commands import (
    AskChild,
    BuildDynamic,
    LaunchChild,
    ReadOriginal,
    RegisterSignal,
    StopChild,
)
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.ports import AdminEvents, AdminService, Catalog, Plugins, Store
from elevon_propeller.runtime.actors import Name
from elevon_propeller.runtime.children import Children
from elevon_propeller.runtime.clock import Clock, system_clock
from elevon_propeller.runtime.driver import Driver
from elevon_propeller.runtime.executor import Executor
from elevon_propeller.runtime.jobs import Jobs
from elevon_propeller.runtime.keys import Keys
from elevon_propeller.runtime.originals import Originals
from elevon_propeller.runtime.outbox import Outbox
from elevon_propeller.runtime.ownership import Ownership
from elevon_propeller.runtime.plans import Plans
from elevon_propeller.runtime.signals import Signals

log = get_logger("runtime")

DATA_RETRIES = RetryPolicy(attempts=10, first=0.05, longest=5.0)
CATALOG_RETRIES = RetryPolicy(attempts=7, first=0.05, longest=1.0)
FORGET_AT_ONCE = 500
FORGET_EVERY_SECONDS = 60.0
TIDY_EVERY_SECONDS, TIDY_NODES = 2.0, 5_000
SHORT_FLUSH_SECONDS = 0.5
"""Where there are other replicas, what is left undelivered is theirs to deliver, and they wait for the shards."""


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """How the runtime behaves; seconds and bytes. `retention_seconds` 0 keeps ended executions for good."""

    lease_seconds: float = 3.0
    data_limit: int = 100 * 1024 * 1024
    flush_seconds: float = 5.0
    retention_seconds: float = 0.0
    retries: RetryPolicy = DATA_RETRIES
    catalog_retries: RetryPolicy = CATALOG_RETRIES


class Limits(TypedDict):
    """What those have in common who read data for the engine."""

    data_limit: int
    retries: RetryPolicy


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the runtime talks to."""

    store: Store
    admin: AdminEvents
    catalog: Catalog
    plugins: Plugins
    blobs: BlobStore
    service: AdminService


class Runtime:
    """Runs the executions of this replica; everything outside asks it through `driver`, `plans` and `keys`."""

    def __init__(
        self,
        surroundings: Surroundings,
        policy: EnginePolicy,
        options: RuntimeOptions | None = None,
        clock: Clock = system_clock,
        owner: str = "",
        driver: type[Driver] = Driver,
    ) -> None:
        options = options or RuntimeOptions()
        self.policy = policy
        self.clock = clock
        self.store = surroundings.store
        self._named = bool(owner)
        self.owner = owner or f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self.keys = Keys(clock)
        self.plans = Plans(self.store, surroundings.blobs)
        self.driver = driver(self.store, policy, clock)
        self.outbox = Outbox(self.store, surroundings.admin, self.driver.acknowledge, self.driver.tenure)
        self.executor = Executor(
            surroundings.plugins,
            surroundings.blobs,
            surroundings.catalog,
            policy,
            clock,
            self.driver.post,
            data_limit=options.data_limit,
            retries=options.retries,
            catalog_retries=options.catalog_retries,
            tenure=self.driver.tenure,
            measurements=self.driver.measurements,
        )
        self._show_what_waits()
        self._children, self._jobs = self._delegates(surroundings, options)
        self._signals = Signals(surroundings.service, self.driver.post, clock)
        self.executor.delegate(RegisterSignal, self._signals.register)
        self._timers = self.driver.connect(self.executor, self.outbox, self._children.ended)
        self.ownership = Ownership(
            self.owner, self.store, self.driver, self.outbox, self.plans, policy, clock, options.lease_seconds
        )
        self.ownership.connect(self.executor, self._children.heard)
        self._options = options
        self._originals = Originals(surroundings.service, self.store, policy, self.driver.post, clock)
        self.executor.delegate(ReadOriginal, self._originals.read)
        self._tasks = BackgroundTasks("runtime")

    def _delegates(self, surroundings: Surroundings, options: RuntimeOptions) -> tuple[Children, Jobs]:
        """Those who carry out what may take long."""
        service, blobs, driver = surroundings.service, surroundings.blobs, self.driver
        limits: Limits = {"data_limit": options.data_limit, "retries": options.retries}
        children = Children(
            service,
            self.store,
            blobs,
            self.outbox,
            driver.actors,
            driver.post,
            self.policy,
            self.clock,
            tenure=driver.tenure,
            **limits,
        )
        jobs = Jobs(service, blobs, driver.post, self.clock, **limits)
        self.executor.delegate(LaunchChild, children.launch)
        self.executor.delegate(AskChild, children.ask)
        self.executor.delegate(StopChild, children.stop)
        self.executor.delegate(BuildDynamic, jobs.build)
        return children, jobs

    def _show_what_waits(self) -> None:
        watch, driver, outbox = self.driver.measurements.watch, self.driver, self.outbox
        watch("executions.live", "{execution}", "Executions in memory", lambda: len(driver.actors))
        watch("executions.waiting", "{execution}", "Executions with something to be looked at", lambda: driver.waiting)
        watch("executions.parked", "{execution}", "Executions put aside after a defect", lambda: len(driver.parked))
        watch("outbox.bytes", "By", "Events in memory that admin has not taken", lambda: outbox.queued_bytes)
        watch(
            "outbox.shards_behind",
            "{shard}",
            "Shards whose events are read back later",
            lambda: outbox.shards_behind,
        )

    async def start(self) -> None:
        """Take shards over and go; executions that were under way continue."""
        self._tasks.keep_running(self.driver.run, "driver")
        self._tasks.keep_running(self._timers.run, "timers")
        self._tasks.keep_running(self.outbox.run, "outbox")
        if self._named:
            await self.ownership.take_over_namesake()
        await self.ownership.renew()
        await self.ownership.follow()
        self._tasks.keep_running(self.ownership.keep, "leases")
        self._tasks.keep_running(self.ownership.run, "shards")
        self._tasks.keep_running(self.ownership.listen, "listener")
        self._tasks.keep_running(self._tidy, "memory")
        if self._options.retention_seconds:
            self._tasks.keep_running(self._forget, "retention")

    async def stop(self) -> None:
        """Let go in order: no new commands, events delivered if admin takes them, shards given away."""
        await self.executor.stop()
        await self._children.close()
        await self._jobs.close()
        await self._signals.close()
        await self._originals.close()
        async with self.driver.committing:
            log.info("draining", executions=len(self.driver.actors))
        await self.outbox.flushed(SHORT_FLUSH_SECONDS if self.driver.has_peers else self._options.flush_seconds)
        await self.driver.tick()
        await self._tasks.stop()
        await self.ownership.release()

    async def kill(self) -> None:
        """Stop dead, as a crash would; for tests of what comes after."""
        await self._tasks.stop()
        await self.executor.stop()
        await self._children.close()
        await self._jobs.close()
        await self._signals.close()
        await self._originals.close()

    async def tell_end(self, name: Name) -> None:
        """Have a node look that waits for an execution which has ended elsewhere, here or at another replica."""
        self._children.heard(name)
        if self.driver.has_peers:
            await self.store.tell_end(name)

    async def _tidy(self) -> None:
        """Hand memory back to the system once many nodes have ended: the C library would keep it."""
        while True:
            await asyncio.sleep(TIDY_EVERY_SECONDS)
            if self.driver.ended_nodes >= TIDY_NODES:
                self.driver.ended_nodes = 0
                await asyncio.to_thread(give_back_memory)

    async def _forget(self) -> None:
        while True:
            before = self.clock() - int(self._options.retention_seconds * 1_000_000)
            if await self.store.forget_ended(before, FORGET_AT_ONCE) < FORGET_AT_ONCE:
                await asyncio.sleep(FORGET_EVERY_SECONDS)
