"""What is measured, and how: each function starts a control plane of its own and answers figures with their budgets."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
from elevon.control_plane import ControlPlane
from elevon.settings import StandaloneSettings
from elevon_client import Client
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from tests.benchmarks import specs

Item = TypeVar("Item")

CHAIN = 100
FAN_OUT = 10_000
ROUNDS = 2_000
CLIENTS = 32
CACHED = 1_000
REGISTERED = 1_000
LISTED = 1_000_000
HELD = 10_000
SUCCEEDED = core.WorkflowExecution.SUCCEEDED


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure; `budget` bounds it from above, or from below when `at_least`."""

    what: str
    figure: float
    unit: str
    budget: float | None = None
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """True when the figure is within its budget."""
        if self.budget is None:
            return True
        return self.figure >= self.budget if self.at_least else self.figure <= self.budget

    @property
    def wanted(self) -> str:
        """The budget in words."""
        if self.budget is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {self.budget:,g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a benchmark keeps its data."""

    folder: Path

    @asynccontextmanager
    async def control_plane(self) -> AsyncIterator[tuple[ControlPlane, Client]]:
        """A control plane on this folder, and a client of it; drained afterwards."""
        control = await self.start()
        async with Client(f"127.0.0.1:{control.port}") as client:
            try:
                yield control, client
            finally:
                await control.stop()

    async def start(self) -> ControlPlane:
        """Start a control plane on this folder."""
        control = ControlPlane(StandaloneSettings(port=0, data_dir=self.folder / "data"))
        control.acquire()
        await control.start()
        return control


async def many(work: Callable[[Item], Awaitable[Any]], items: Iterable[Item], clients: int = CLIENTS) -> None:
    """Do `work` for all items, `clients` at a time."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(clients)))


async def run(client: Client, request: admin.ExecutionCreateRequest) -> float:
    """Run one execution to its success, as admin tells it; returns the seconds it took."""
    began = time.perf_counter()
    created = await client.admin.CreateExecution(request)
    execution = await client.wait(created.id, seconds=300, interval=0.005)
    if execution.closure.phase != SUCCEEDED:
        raise AssertionError(f"{created.id.name} ended {execution.closure.phase}: {execution.closure.error.message}")
    return time.perf_counter() - began


async def register(client: Client, workflow: admin.WorkflowCreateRequest, *inputs: str) -> core.Identifier:
    """Register a workflow and its launch plan; returns the launch plan's identifier."""
    await client.admin.CreateWorkflow(workflow)
    plan = specs.launch_plan(workflow.id, *inputs)
    await client.admin.CreateLaunchPlan(plan)
    return plan.id


async def chain(bench: Bench) -> list[Measurement]:
    """A chain of echo tasks, run after run; the best of ten shows the engine, not the machine's other work."""
    async with bench.control_plane() as (_, client):
        task = specs.echo_task("echo")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.chain("chain", task.id, CHAIN), "a")
        times = [await run(client, specs.execution(plan, a=number)) for number in range(10)]
    return [Measurement(f"overhead per node, chain of {CHAIN} echo tasks", min(times) / CHAIN * 1000, "ms", 3)]


async def fan_out(bench: Bench) -> list[Measurement]:
    """A workflow of ten thousand echo nodes that wait for nothing, until admin has recorded its success."""
    async with bench.control_plane() as (_, client):
        task = specs.echo_task("echo")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.fan_out("wide", task.id, FAN_OUT))
        seconds = min([await run(client, specs.execution(plan, parallelism=FAN_OUT)) for _ in range(2)])
    return [Measurement(f"echo nodes, fan-out of {FAN_OUT:,}, recorded by admin", FAN_OUT / seconds, "/s")]


async def engine(bench: Bench) -> list[Measurement]:
    """One propeller alone in a process, durable, its events delivered to an admin in memory."""
    figures = {name: await engine_figure(name) for name in ("chain", "fan-out", "resume", "small")}
    return [
        Measurement(
            f"echo nodes, fan-out of {FAN_OUT:,}, one propeller", figures["fan-out"], "/s", 3000, at_least=True
        ),
        Measurement(f"resume with {FAN_OUT:,} live nodes, to the first transition", figures["resume"], "s", 2),
        Measurement(f"  overhead per node in a chain of {CHAIN}, propeller alone", figures["chain"], "ms"),
        Measurement("  one-task executions, propeller alone", figures["small"], "/s"),
    ]


async def engine_figure(name: str) -> float:
    """What one part of the engine's own benchmark prints last, as a number."""
    program = f"""
import asyncio, gc, sys, tempfile
from elevon_kit.logging import configure_logging
from elevon_kit.settings import LogSettings
from tests.benchmarks import engine_throughput
configure_logging(LogSettings(level="error"), "bench")
gc.set_threshold(engine_throughput.COLLECTION_THRESHOLD, 20, 50)
with tempfile.TemporaryDirectory(prefix="elevon-bench-") as folder:
    print(asyncio.run(engine_throughput.MEASURES[{name!r}](f"sqlite+aiosqlite:///{{folder}}/bench.db")))
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    return float(printed.decode().strip().splitlines()[-1])


async def throughput(bench: Bench) -> list[Measurement]:
    """One-task executions from many clients, until admin tells the success of the last."""
    async with bench.control_plane() as (_, client):
        task = specs.echo_task("echo")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.chain("single", task.id, 1), "a")
        await run(client, specs.execution(plan, a=0))
        began = time.perf_counter()
        await many(lambda number: client.admin.CreateExecution(specs.execution(plan, a=number)), range(ROUNDS))
        created = time.perf_counter() - began
        await all_succeeded(client, ROUNDS + 1)
        seconds = time.perf_counter() - began
    return [
        Measurement(
            f"one-task executions, {CLIENTS} clients, to SUCCEEDED", ROUNDS / seconds, "/s", 300, at_least=True
        ),
        Measurement("  of which created", ROUNDS / created, "/s"),
    ]


async def all_succeeded(client: Client, count: int) -> None:
    """Wait until so many executions have succeeded."""
    request = admin.ResourceListRequest(
        id=admin.NamedEntityIdentifier(project=specs.PROJECT, domain=specs.DOMAIN),
        limit=1,
        token=str(count - 1),
        filters="eq(phase,SUCCEEDED)",
    )
    deadline = time.monotonic() + 300
    while not (await client.admin.ListExecutions(request)).executions:
        if time.monotonic() > deadline:
            raise AssertionError(f"fewer than {count} executions succeeded")
        await asyncio.sleep(0.02)


async def cached(bench: Bench) -> list[Measurement]:
    """A workflow of a thousand cached tasks, run again with the same inputs."""
    async with bench.control_plane() as (_, client):
        task = specs.echo_task("remembered", cached=True)
        await client.admin.CreateTask(task)
        plan = await register(client, specs.fan_out("remembered", task.id, CACHED))
        first = await run(client, specs.execution(plan, parallelism=CACHED))
        again = min([await run(client, specs.execution(plan, parallelism=CACHED)) for _ in range(3)])
    return [
        Measurement(f"cached re-run of {CACHED:,} tasks", again, "s", 1),
        Measurement("  the first run, which fills the cache", first, "s"),
    ]


async def start_up(bench: Bench) -> list[Measurement]:
    """`elevon up` to ready on a warm disk, and what the idle services hold in memory."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        control = await bench.start()
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.5)
        pids = [process.pid or 0 for process in control.services.values()]
        together = sum(resident_mebibytes(pid, "Pss") for pid in pids)
        apart = sum(resident_mebibytes(pid, "Rss") for pid in pids)
        await control.stop()
    return [
        Measurement("elevon up to ready, warm disk", min(times), "s", 2),
        Measurement("resident memory, three services idle, shared pages once", together, "MiB", 250),
        Measurement("  shared pages counted in each", apart, "MiB"),
    ]


def resident_mebibytes(pid: int, kind: str) -> float:
    """Memory of a process: with `Pss` its part of the pages it shares, with `Rss` all of them (Linux's smaps)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no figure for process {pid}")


async def registration(bench: Bench) -> list[Measurement]:
    """A thousand tasks registered, and the same again."""
    requests = [specs.echo_task(f"task_{number}") for number in range(REGISTERED)]
    async with bench.control_plane() as (_, client):
        await client.admin.CreateTask(specs.echo_task("warm_up"))

        async def again(request: admin.TaskCreateRequest) -> None:
            try:
                await client.admin.CreateTask(request)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                    raise

        began = time.perf_counter()
        await many(client.admin.CreateTask, requests)
        first = time.perf_counter() - began
        began = time.perf_counter()
        await many(again, requests)
        second = time.perf_counter() - began
    return [
        Measurement(f"registration of {REGISTERED:,} tasks", first, "s", 1.5),
        Measurement("  the same again, all ALREADY_EXISTS", second, "s", 1),
    ]


async def listing(bench: Bench) -> list[Measurement]:
    """Pages of a hundred among a million executions."""
    from tests.benchmarks.million import copy_executions

    async with bench.control_plane() as (_, client):
        task = specs.echo_task("echo")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.chain("single", task.id, 1), "a")
        await run(client, specs.execution(plan, a=0))
    await copy_executions(bench.folder / "data" / "admin.sqlite", LISTED)
    request = admin.ResourceListRequest(
        id=admin.NamedEntityIdentifier(project=specs.PROJECT, domain=specs.DOMAIN),
        limit=100,
        filters="eq(phase,SUCCEEDED)",
        sort_by=admin.Sort(key="created_at", direction=admin.Sort.DESCENDING),
    )
    times = []
    async with bench.control_plane() as (_, client):
        for _ in range(300):
            began = time.perf_counter()
            page = await client.admin.ListExecutions(request)
            times.append(time.perf_counter() - began)
            if len(page.executions) != 100:
                raise AssertionError(f"the page has {len(page.executions)} executions")
    times.sort()
    return [
        Measurement(f"list 100 of {LISTED:,} executions, p99", times[296] * 1000, "ms", 10),
        Measurement("  p50", times[150] * 1000, "ms"),
    ]


async def resume(bench: Bench) -> list[Measurement]:
    """Kill propeller with ten thousand sleeping nodes; how soon after its restart does the first node wake."""
    async with bench.control_plane() as (control, client):
        task = specs.sleep_task("sleep")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.sleepers("sleepers", task.id, HELD, 20))
        created = await client.admin.CreateExecution(specs.execution(plan, parallelism=HELD))
        await asyncio.sleep(12)
        victim = control.services["propeller"]
        os.kill(victim.pid or 0, signal.SIGKILL)
        while victim.restarts == 0:
            await asyncio.sleep(0.005)
        began = time.perf_counter()
        probe = specs.echo_task("probe")
        await client.admin.CreateTask(probe)
        single = await register(client, specs.chain("probe", probe.id, 1), "a")
        await run(client, specs.execution(single, a=1))
        seconds = time.perf_counter() - began
        execution = await client.wait(created.id, seconds=120)
        if execution.closure.phase != SUCCEEDED:
            raise AssertionError(f"the sleepers ended {execution.closure.phase}")
    return [Measurement(f"restart after kill -9 with {HELD:,} sleepers, to the end of a new execution", seconds, "s")]


async def warm_start(bench: Bench) -> list[Measurement]:
    """A Python task in the warm local executor, to its first line; the median of fifty attempts."""
    from tests.benchmarks.fork_server import measure
    from tests.flytekit_environment import flytekit_interpreter

    first_lines, ends = await measure(flytekit_interpreter().absolute(), 50)
    return [
        Measurement("start of a Python task, warm, to its first line", statistics.median(first_lines), "ms", 25),
        Measurement("  to its final report", statistics.median(ends), "ms"),
    ]


BENCHMARKS: dict[str, Callable[[Bench], Awaitable[list[Measurement]]]] = {
    "chain": chain,
    "engine": engine,
    "fan-out": fan_out,
    "throughput": throughput,
    "warm-start": warm_start,
    "cached": cached,
    "start-up": start_up,
    "registration": registration,
    "listing": listing,
    "resume": resume,
}
