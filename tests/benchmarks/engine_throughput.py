"""Measures the engine in one process: a chain of 100, a fan-out and an array of 10,000, many small executions.

Durable on SQLite, events delivered to an admin in memory, echo tasks. Run it as a program; arguments choose what.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import hashlib
import os
import pstats
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_kit.database import Database
from elevon_propeller.app import COLLECTION_THRESHOLD, MIGRATIONS
from elevon_propeller.drivers.admin_events import MemoryAdminEvents
from elevon_propeller.drivers.admin_service_memory import MemoryAdminService
from elevon_propeller.drivers.catalog_memory import MemoryCatalog
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.plugins.echo import EchoPlugin
from elevon_propeller.plugins.fake import FakePlugin
from elevon_propeller.plugins.registry import Registry
from elevon_propeller.runtime.runtime import Runtime, Surroundings
from elevon_propeller.simulation import closures
from elevon_propeller.store.sql import SqlStore
from elevon_propeller.usecases.executions import Executions
from elevon_propeller.usecases.watching import Watching

CHAIN, WIDTH, SMALL = 100, 10_000, 1_000
CLIENTS = 32


class Bench:
    """A runtime on its own database."""

    def __init__(
        self, url: str, plugin: EchoPlugin | FakePlugin | None = None, blobs: MemoryBlobStore | None = None
    ) -> None:
        self.database = Database(url)
        self.admin = MemoryAdminEvents()
        plugins = Registry([plugin or EchoPlugin()])
        surroundings = Surroundings(
            SqlStore(self.database),
            self.admin,
            MemoryCatalog(),
            plugins,
            blobs or MemoryBlobStore(),
            MemoryAdminService(),
        )
        self.runtime = Runtime(surroundings, EnginePolicy())
        self.executions = Executions(self.runtime)
        self.watching = Watching(self.runtime)

    async def run(
        self,
        name: str,
        closure: core.CompiledWorkflowClosure | None,
        digest: bytes,
        inputs: core.LiteralMap | None = None,
    ) -> None:
        """Create an execution and wait for its end."""
        identifier = core.WorkflowExecutionIdentifier(project="bench", domain="development", name=name)
        await self.create(identifier, closure, digest, inputs)
        async for view in self.watching.watch(identifier):
            phase = view.phase
        assert phase == core.WorkflowExecution.SUCCEEDED, core.WorkflowExecution.Phase.Name(phase)

    async def create(
        self,
        identifier: core.WorkflowExecutionIdentifier,
        closure: core.CompiledWorkflowClosure | None,
        digest: bytes,
        inputs: core.LiteralMap | None = None,
    ) -> None:
        """Create an execution, with the input x = 1 unless others are given."""
        request = propeller.CreateExecutionRequest(
            execution_id=identifier,
            closure_digest=digest,
            closure=closure,
            inputs=inputs or closures.integers(x=1),
        )
        assert (await self.executions.create(request)).created


@asynccontextmanager
async def opened(
    url: str, plugin: EchoPlugin | FakePlugin | None = None, blobs: MemoryBlobStore | None = None
) -> AsyncIterator[Bench]:
    """A runtime that is running."""
    await MIGRATIONS.upgrade(url)
    bench = Bench(url, plugin, blobs)
    await bench.database.open()
    await bench.runtime.start()
    try:
        yield bench
    finally:
        await bench.runtime.stop()
        await bench.database.close()


def digest_of(closure: core.CompiledWorkflowClosure) -> bytes:
    """The closure's key."""
    return hashlib.sha256(closure.SerializeToString(deterministic=True)).digest()


async def measure_chain(url: str) -> float:
    """Milliseconds per node of a chain."""
    closure = closures.chain(CHAIN)
    digest = digest_of(closure)
    async with opened(url) as bench:
        await bench.run("warm", closure, digest)
        rounds = 5
        started, used = time.perf_counter(), time.process_time()
        for number in range(rounds):
            await bench.run(f"chain-{number}", None, digest)
        seconds = (time.perf_counter() - started) / rounds / CHAIN
        processor = (time.process_time() - used) / rounds / CHAIN
        print(f"chain of {CHAIN}: {seconds * 1000:.2f} ms per node, {processor * 1000:.2f} ms of processor time")
    return seconds * 1000


async def measure_fan_out(url: str) -> float:
    """Nodes a second of a fan-out, until the last event is delivered: the best of three runs."""
    best = 0.0
    closure = closures.fan_out(WIDTH)
    digest = digest_of(closure)
    async with opened(url) as bench:
        await bench.runtime.plans.add(digest, closure)
        for number in range(3):
            gc.collect()
            started = time.perf_counter()
            await bench.run(f"fan-{number}", None, digest)
            ended = time.perf_counter() - started
            await bench.runtime.outbox.flushed(60)
            told = time.perf_counter() - started
            events = len(bench.admin.events)
            print(f"fan-out of {WIDTH}: {WIDTH / ended:.0f} nodes/s, {WIDTH / told:.0f} with {events} events delivered")
            bench.admin.events.clear()
            best = max(best, WIDTH / told)
    return best


async def measure_array(url: str) -> None:
    """Elements a second of one array node, and what all of them take in memory while they are under way."""
    closure = closures.array(closures.ArraySpec())
    digest = digest_of(closure)
    inputs = closures.lists(x=range(WIDTH), y=range(WIDTH))
    async with opened(url) as bench:
        await bench.runtime.plans.add(digest, closure)
        for number in range(3):
            gc.collect()
            started = time.perf_counter()
            await bench.run(f"array-{number}", None, digest, inputs)
            ended = time.perf_counter() - started
            await bench.runtime.outbox.flushed(60)
            events = len(bench.admin.events)
            print(f"array of {WIDTH}: {WIDTH / ended:.0f} elements/s, {events} events delivered")
            bench.admin.events.clear()
    await _measure_array_memory(f"{url}.hanging", closure, digest, inputs)


async def _measure_array_memory(
    url: str, closure: core.CompiledWorkflowClosure, digest: bytes, inputs: core.LiteralMap
) -> None:
    plugin = FakePlugin("hang", frozenset({"echo"}))
    identifier = core.WorkflowExecutionIdentifier(project="bench", domain="development", name="hanging")
    blobs = MemoryBlobStore()
    async with opened(url, plugin, blobs) as bench:
        gc.collect()
        before = resident_bytes()
        await bench.create(identifier, closure, digest, inputs)
        while len(plugin.running) < WIDTH:
            await asyncio.sleep(0.05)
        gc.collect()
        taken = resident_bytes() - before
        print(f"array of {WIDTH}, all under way: {taken / WIDTH / 1024:.1f} KiB per element, the plugin's included")
    started = time.perf_counter()
    async with opened(url, blobs=blobs) as bench:
        while not bench.admin.events:
            await asyncio.sleep(0.001)
        print(f"  resumed: first new event after {time.perf_counter() - started:.2f} s")
        async for _ in bench.watching.watch(identifier):
            pass
        print(f"  ended after {time.perf_counter() - started:.2f} s")


def resident_bytes() -> int:
    """The memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def measure_resume(url: str) -> float:
    """Seconds from start to the first new transition with a live fan-out."""
    closure = closures.fan_out(WIDTH)
    digest = digest_of(closure)
    identifier = core.WorkflowExecutionIdentifier(project="bench", domain="development", name="resume")
    async with opened(url, FakePlugin("hang", frozenset({"echo"}))) as bench:
        await bench.create(identifier, closure, digest)
        while len(bench.admin.events) < 2 * WIDTH:
            await asyncio.sleep(0.05)
    started = time.perf_counter()
    async with opened(url) as bench:
        while not bench.admin.events:
            await asyncio.sleep(0.001)
        first = time.perf_counter() - started
        print(f"resume of {WIDTH} live nodes: first new event after {first:.2f} s")
        async for _ in bench.watching.watch(identifier):
            pass
        print(f"  ended after {time.perf_counter() - started:.2f} s")
    return first


async def measure_small(url: str) -> float:
    """One-task executions a second, from many clients."""
    closure = closures.chain(1)
    digest = digest_of(closure)
    async with opened(url) as bench:
        await bench.run("warm", closure, digest)

        async def client(number: int) -> None:
            for turn in range(SMALL // CLIENTS):
                await bench.run(f"small-{number}-{turn}", None, digest)

        started = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(CLIENTS)))
        seconds = time.perf_counter() - started
        print(f"one-task executions: {SMALL // CLIENTS * CLIENTS / seconds:.0f} a second, {CLIENTS} clients")
    return SMALL // CLIENTS * CLIENTS / seconds


MEASURES = {
    "chain": measure_chain,
    "fan-out": measure_fan_out,
    "array": measure_array,
    "resume": measure_resume,
    "small": measure_small,
}


def main() -> None:
    """Run the measurements named on the command line, or all; `--profile` shows where the time goes."""
    gc.set_threshold(COLLECTION_THRESHOLD, 20, 50)
    arguments = sys.argv[1:]
    profiled = "--profile" in arguments
    for name, measure in MEASURES.items():
        if [argument for argument in arguments if argument in MEASURES] and name not in arguments:
            continue
        profile = cProfile.Profile()
        with tempfile.TemporaryDirectory(prefix="elevon-bench-") as folder, profile if profiled else nullcontext():
            asyncio.run(measure(f"sqlite+aiosqlite:///{Path(folder)}/bench.db"))
        if profiled:
            pstats.Stats(profile).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
