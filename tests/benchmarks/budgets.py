"""The budgets: each function starts a control plane of its own and answers figures with what they may be."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import grpc
from elevon.layout import SERVICES
from elevon_client import Client
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from tests.benchmarks import specs
from tests.benchmarks.figures import Measurement
from tests.benchmarks.plane import (
    CLIENTS,
    Bench,
    Plane,
    ProcessorTime,
    executions_in,
    many,
    nodes_in,
    register,
    run,
    succeeded,
    until,
)

CHAIN = 100
FAN_OUT = 10_000
ROUNDS = 2_000
CACHED = 1_000
REGISTERED = 1_000
HELD, ASLEEP = 10_000, 25
WATCHERS, WATCHED = 20, 50

Benchmark = Callable[[Bench], Awaitable[list[Measurement]]]


async def chain(bench: Bench) -> list[Measurement]:
    """A chain of echo tasks, run after run; the best of ten shows the engine, not the machine's other work."""
    async with bench.control_plane() as (plane, client):
        task = specs.echo_task("echo")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.chain("chain", task.id, CHAIN), "a")
        await run(client, specs.execution(plan, a=0))
        spent = ProcessorTime(plane)
        times = [await run(client, specs.execution(plan, a=number), 0.005) for number in range(10)]
        processor = spent.each(len(times) * CHAIN)
    overhead = min(times) / CHAIN * 1000
    what = f"overhead per node, chain of {CHAIN} echo tasks, events delivered"
    return [Measurement(what, overhead, "ms", 3, processor=processor)]


async def fan_out(bench: Bench) -> list[Measurement]:
    """A workflow of ten thousand echo nodes that wait for nothing, until admin has recorded its success."""
    times, processor = [], {}
    async with bench.control_plane() as (plane, client):
        task = specs.echo_task("echo")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.fan_out("wide", task.id, FAN_OUT))
        for number in range(3):
            bench.progress(f"run {number + 1} of 3")
            spent = ProcessorTime(plane)
            times.append(await run(client, specs.execution(plan, parallelism=FAN_OUT), 0.05))
            processor = spent.each(FAN_OUT)
    rate = FAN_OUT / min(times)
    what = f"echo nodes, fan-out of {FAN_OUT:,}, one propeller, events recorded"
    return [Measurement(what, rate, "/s", 3000, at_least=True, processor=processor)]


async def engine(bench: Bench) -> list[Measurement]:
    """One propeller alone in a process, durable, its events delivered to an admin in memory."""
    figures = {}
    for name in ("chain", "fan-out", "resume", "small"):
        bench.progress(name)
        figures[name] = await engine_figure(name)
    return [
        Measurement(f"propeller alone: echo nodes, fan-out of {FAN_OUT:,}", figures["fan-out"], "/s"),
        Measurement(f"overhead per node in a chain of {CHAIN}", figures["chain"], "ms", detail=True),
        Measurement("one-task executions", figures["small"], "/s", detail=True),
        Measurement(f"resume with {FAN_OUT:,} live nodes, within the process", figures["resume"], "s", detail=True),
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
    async with bench.control_plane() as (plane, client):
        task = specs.echo_task("echo")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.chain("single", task.id, 1), "a")
        await run(client, specs.execution(plan, a=0))
        spent = ProcessorTime(plane)
        began = time.perf_counter()
        await many(lambda number: client.admin.CreateExecution(specs.execution(plan, a=number)), range(ROUNDS))
        created = time.perf_counter() - began
        await until("all to succeed", lambda: executions_in(client, "SUCCEEDED", ROUNDS + 1), pause=0.02)
        seconds = time.perf_counter() - began
        processor = spent.each(ROUNDS)
    what = f"one-task executions, {CLIENTS} clients, created over gRPC to SUCCEEDED"
    return [
        Measurement(what, ROUNDS / seconds, "/s", 300, at_least=True, processor=processor),
        Measurement("created, while the earlier ones run", ROUNDS / created, "/s", detail=True),
    ]


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
        Measurement("the first run, which fills the cache", first, "s", detail=True),
    ]


async def start_up(bench: Bench) -> list[Measurement]:
    """`elevon up` to ready on a warm disk, and what the idle services hold in memory."""
    times = []
    services = supervisor = 0.0
    for _ in range(3):
        began = time.perf_counter()
        plane = await Plane.start(bench.folder / "data")
        times.append(time.perf_counter() - began)
        await asyncio.sleep(1)
        services, supervisor = plane.resident(*SERVICES), plane.resident("up")
        shares = {name: plane.resident(name) for name in SERVICES}
        await plane.stop()
    apart = ", ".join(f"{name} {size:.0f}" for name, size in shares.items())
    return [
        Measurement("elevon up to ready, warm disk", min(times), "s", 2),
        Measurement(f"resident memory, three services idle ({apart})", services, "MiB", 250),
        Measurement("the supervisor `elevon up` besides", supervisor, "MiB", detail=True),
    ]


async def registration(bench: Bench) -> list[Measurement]:
    """A thousand tasks registered, and the same again."""
    requests = [specs.echo_task(f"task_{number}") for number in range(REGISTERED)]
    async with bench.control_plane() as (plane, client):
        await client.admin.CreateTask(specs.echo_task("warm_up"))

        async def again(request: admin.TaskCreateRequest) -> None:
            try:
                await client.admin.CreateTask(request)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                    raise

        spent = ProcessorTime(plane)
        began = time.perf_counter()
        await many(client.admin.CreateTask, requests)
        first = time.perf_counter() - began
        processor = spent.each(REGISTERED)
        began = time.perf_counter()
        await many(again, requests)
        second = time.perf_counter() - began
    return [
        Measurement(f"registration of {REGISTERED:,} tasks", first, "s", 1.5, processor=processor),
        Measurement("the same again, all ALREADY_EXISTS", second, "s", 1, detail=True),
    ]


async def resume(bench: Bench) -> list[Measurement]:
    """Kill with ten thousand nodes asleep, shortly before the first is to wake; how soon is it told that one did."""
    propeller = await resumed(bench, "propeller", kill_propeller)
    everything = await resumed(bench, "all", kill_everything)
    what = f"resume after kill -9 with {HELD:,} live nodes, to the first new transition"
    return [
        Measurement(what, propeller, "s", 2),
        Measurement("the same with all processes killed, from `elevon up` again", everything, "s", detail=True),
    ]


async def kill_propeller(plane: Plane) -> Plane:
    """End propeller; the supervisor starts it again."""
    os.kill(plane.pid("propeller"), signal.SIGKILL)
    return plane


async def kill_everything(plane: Plane) -> Plane:
    """End all processes, and start again on the same folder."""
    await plane.kill()
    return await Plane.start(plane.layout.root)


async def resumed(bench: Bench, name: str, kill: Callable[[Plane], Awaitable[Plane]]) -> float:
    """Seconds from the kill until a node that slept is recorded as SUCCEEDED; then lets all wake and succeed."""
    plane = await Plane.start(bench.folder / name)
    try:
        async with Client(plane.target) as client:
            task = specs.sleep_task("sleep")
            await client.admin.CreateTask(task)
            plan = await register(client, specs.sleepers("sleepers", task.id, HELD, ASLEEP))
            created = await client.admin.CreateExecution(specs.execution(plan, parallelism=HELD))
            bench.progress(f"{HELD:,} nodes fall asleep")
            await until("all to sleep", lambda: nodes_in(client, created.id, "RUNNING", HELD), pause=0.5)
            await asyncio.sleep(await first_wakes(client, created.id) - time.time() - 0.2)
            if await awake(client, created.id, 1):
                raise AssertionError("a node woke before the kill: this machine is too slow for the measurement")
            bench.progress("killed")
            killed = time.perf_counter()
            plane = await kill(plane)
        async with Client(plane.target) as client:
            await until("one to wake", lambda: awake(client, created.id, 1), pause=0.02)
            seconds = time.perf_counter() - killed
            bench.progress("all wake")
            await succeeded(client, created.id)
            if not await awake(client, created.id, HELD):
                raise AssertionError("nodes are missing")
    finally:
        await plane.stop()
    return seconds


async def awake(client: Client, execution_id: core.WorkflowExecutionIdentifier, count: int) -> bool:
    """Whether so many nodes have slept; the start node, which succeeds at once, is not one of them."""
    return await nodes_in(client, execution_id, "SUCCEEDED", count + 1)


async def first_wakes(client: Client, execution_id: core.WorkflowExecutionIdentifier) -> float:
    """When the node wakes that fell asleep first, in seconds since 1970."""
    request = admin.NodeExecutionListRequest(
        workflow_execution_id=execution_id,
        limit=1,
        sort_by=admin.Sort(key="started_at", direction=admin.Sort.ASCENDING),
        filters="eq(phase,RUNNING)",
    )
    (node,) = (await client.admin.ListNodeExecutions(request)).node_executions
    return node.closure.started_at.ToMicroseconds() / 1_000_000 + ASLEEP


async def watching(bench: Bench) -> list[Measurement]:
    """Twenty streams that follow a project; how long after a call began each tells what the call has changed."""
    async with bench.control_plane() as (_, client):
        task = specs.echo_task("echo")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.chain("single", task.id, 1), "a")
        await run(client, specs.execution(plan, a=0))
        heard: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
        readers = [asyncio.create_task(hear(client, heard)) for _ in range(WATCHERS)]
        for _ in readers:
            await heard.get()
        times: list[float] = []
        for number in range(WATCHED):
            began = time.perf_counter()
            created = await client.admin.CreateExecution(specs.execution(plan, a=number))
            missing = WATCHERS
            while missing:
                name, moment = await heard.get()
                if name == created.id.name:
                    times.append(moment - began)
                    missing -= 1
            await succeeded(client, created.id, interval=0.02)
        for reader in readers:
            reader.cancel()
    times.sort()
    what = f"a change to be told to {WATCHERS} watching clients, from the call that makes it, p99"
    return [
        Measurement(what, times[len(times) * 99 // 100] * 1000, "ms", 100),
        Measurement("p50", times[len(times) // 2] * 1000, "ms", detail=True),
    ]


async def hear(client: Client, heard: asyncio.Queue[tuple[str, float]]) -> None:
    """Tell of every execution when a stream first tells of it, and with an empty name when the stream has begun."""
    told: set[str] = set()
    async for response in client.watches.WatchExecutions(
        admin.WatchExecutionsRequest(project=specs.PROJECT, domain=specs.DOMAIN)
    ):
        moment = time.perf_counter()
        for name in [execution.id.name for execution in response.executions] or [""]:
            if name not in told:
                told.add(name)
                heard.put_nowait((name, moment))


async def warm_start(bench: Bench) -> list[Measurement]:
    """A Python task in the warm local executor, to its first line; the median of fifty attempts."""
    from tests.benchmarks.fork_server import measure
    from tests.flytekit_environment import flytekit_interpreter

    first_lines, ends = await measure(flytekit_interpreter().absolute(), 50)
    return [
        Measurement("start of a Python task, warm, to its first line", statistics.median(first_lines), "ms", 25),
        Measurement("to its final report", statistics.median(ends), "ms", detail=True),
    ]


BUDGETS: dict[str, Benchmark] = {
    "chain": chain,
    "fan-out": fan_out,
    "engine": engine,
    "throughput": throughput,
    "warm-start": warm_start,
    "cached": cached,
    "start-up": start_up,
    "registration": registration,
    "resume": resume,
    "watching": watching,
}
