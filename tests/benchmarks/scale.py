"""How much at once, and what it costs in memory: wide dynamic tasks, swarms, sleepers, arrays."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from elevon_client import Client
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from tests.benchmarks import specs
from tests.benchmarks.budgets import Benchmark
from tests.benchmarks.figures import Measurement
from tests.benchmarks.plane import (
    Bench,
    Plane,
    ProcessorTime,
    executions_in,
    many,
    nodes_in,
    register,
    run,
    until,
)

LEAVES = (1_000, 6_000)
SWARM, SWARM_LEAVES = 50, 2_000
SLEEPERS, SLEEPING = 20, 2_000
ELEMENTS = 10_000
HOUR = 3600
SETTLE_SECONDS = 5
"""Time to hand memory back to the system."""


async def dynamic(bench: Bench) -> list[Measurement]:
    """Dynamic tasks that yield core-sleep leaves of 100 ms; from the creation of the execution to its success."""
    found = []
    async with bench.control_plane() as (plane, client):
        leaf = specs.sleep_task("leaf")
        for width in LEAVES:
            bench.progress(f"{width:,} leaves")
            job = bench.folder / f"{width}.pb"
            job.write_bytes(specs.dynamic_job(leaf, width, 0.1).SerializeToString())
            task = specs.dynamic_task(f"yields_{width}", job)
            await client.admin.CreateTask(task)
            plan = await register(client, specs.single(f"dynamic_{width}", task.id))
            spent = ProcessorTime(plane)
            seconds = await run(client, specs.execution(plan, parallelism=width), 0.05)
            what = f"dynamic task with {width:,} core-sleep leaves of 0.1 s"
            found.append(Measurement(what, seconds, "s", processor=spent.each(width)))
    return found


async def swarm(bench: Bench) -> list[Measurement]:
    """Many wide executions of core-sleep leaves at once."""
    total = SWARM * SWARM_LEAVES
    async with bench.control_plane() as (plane, client):
        task = specs.sleep_task("sleep")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.sleepers("swarm", task.id, SWARM_LEAVES, 1))
        bench.progress(f"{total:,} leaves")
        before = plane.resident("propeller")
        spent = ProcessorTime(plane)
        began = time.perf_counter()
        await many(client.admin.CreateExecution, [specs.execution(plan, parallelism=SWARM_LEAVES)] * SWARM)
        await until("all to succeed", lambda: executions_in(client, "SUCCEEDED", SWARM), pause=0.25)
        seconds = time.perf_counter() - began
        processor = spent.each(total)
        await asyncio.sleep(SETTLE_SECONDS)
        after = plane.resident("propeller")
    return [
        Measurement(
            f"swarm, {SWARM} × {SWARM_LEAVES:,} core-sleep leaves of 1 s", total / seconds, "/s", processor=processor
        ),
        Measurement("propeller's memory after it, more than before", after - before, "MiB", detail=True),
    ]


async def held(bench: Bench) -> list[Measurement]:
    """Forty thousand leaves asleep at once, and what is left of them in memory after they were aborted."""
    total = SLEEPERS * SLEEPING
    async with bench.control_plane() as (plane, client):
        task = specs.sleep_task("sleep")
        await client.admin.CreateTask(task)
        plan = await register(client, specs.sleepers("held", task.id, SLEEPING, HOUR))
        before = plane.resident("propeller")
        began = time.perf_counter()
        bench.progress(f"{total:,} leaves fall asleep")
        request = specs.execution(plan, parallelism=SLEEPING)
        created = [(await client.admin.CreateExecution(request)).id for _ in range(SLEEPERS)]
        for each in created:
            await until("all to sleep", partial(nodes_in, client, each, "RUNNING", SLEEPING), pause=0.25)
        seconds = time.perf_counter() - began
        asleep = plane.resident("propeller")
        bench.progress("aborting")
        began = time.perf_counter()
        await many(lambda each: abort(client, each), created)
        await until("all to end", lambda: executions_in(client, "ABORTED", SLEEPERS), pause=0.1)
        aborted = time.perf_counter() - began
        await asyncio.sleep(SETTLE_SECONDS)
        after = plane.resident("propeller")
    return [
        Measurement(f"held leaves, {total:,} core-sleep nodes: all asleep after", seconds, "s"),
        Measurement("memory of propeller for each of them", (asleep - before) * 1024 / total, "KiB", 20, detail=True),
        Measurement("all aborted after", aborted, "s", detail=True),
        Measurement("memory that is left for each of them then", (after - before) * 1024 / total, "KiB", detail=True),
    ]


async def abort(client: Client, execution_id: core.WorkflowExecutionIdentifier) -> None:
    """Abort an execution."""
    await client.admin.TerminateExecution(admin.ExecutionTerminateRequest(id=execution_id, cause="measured"))


async def array(bench: Bench) -> list[Measurement]:
    """Arrays of echo elements, and an array whose elements all sleep."""
    async with bench.control_plane() as (plane, client):
        echo, sleep = specs.of_lists(specs.echo_task("echo")), specs.of_lists(specs.sleep_task("sleep"))
        await client.admin.CreateTask(echo)
        await client.admin.CreateTask(sleep)
        plan = await register(client, specs.mapped("mapped", echo.id, "a", specs.integers(range(ELEMENTS))))
        rates, processor = [], {}
        for number in range(3):
            bench.progress(f"run {number + 1} of 3")
            spent = ProcessorTime(plane)
            rates.append(ELEMENTS / await run(client, specs.execution(plan), 0.05))
            processor = spent.each(ELEMENTS)
        finished = await memory_of_finished(bench, plane, client, plan)
        bench.progress("elements asleep")
        asleep = await memory_of_elements(plane, client, sleep.id)
    return [
        Measurement(f"array of {ELEMENTS:,} echo elements", max(rates), "/s", processor=processor),
        Measurement("memory of propeller for each element under way", asleep, "KiB", 4, detail=True),
        Measurement("memory of propeller for each element of ended arrays", finished, "KiB", detail=True),
    ]


async def memory_of_finished(bench: Bench, plane: Plane, client: Client, plan: core.Identifier) -> float:
    """What five more arrays leave behind in propeller's memory, KiB for each of their elements."""
    before = plane.resident("propeller")
    for number in range(5):
        bench.progress(f"ended array {number + 1} of 5")
        await run(client, specs.execution(plan), 0.05)
    await asyncio.sleep(SETTLE_SECONDS)
    return (plane.resident("propeller") - before) * 1024 / (5 * ELEMENTS)


async def memory_of_elements(plane: Plane, client: Client, task: core.Identifier) -> float:
    """What an array of sleeping elements takes in propeller's memory, KiB for each."""
    plan = await register(client, specs.mapped("asleep", task, "duration", specs.durations([HOUR] * ELEMENTS)))
    before = plane.resident("propeller")
    created = await client.admin.CreateExecution(specs.execution(plan, parallelism=ELEMENTS))
    node = core.NodeExecutionIdentifier(node_id="n0", execution_id=created.id)
    await until("all to sleep", lambda: elements_running(client, node), pause=1)
    taken = plane.resident("propeller") - before
    await abort(client, created.id)
    return taken * 1024 / ELEMENTS


async def elements_running(client: Client, node: core.NodeExecutionIdentifier) -> bool:
    """Whether the last element of an array runs, which begin in order."""
    found = await client.admin.ListTaskExecutions(admin.TaskExecutionListRequest(node_execution_id=node, limit=1))
    resources = [each for task in found.task_executions for each in task.closure.metadata.external_resources]
    return sum(each.phase == core.TaskExecution.RUNNING for each in resources) == ELEMENTS


SCALE: dict[str, Benchmark] = {"dynamic": dynamic, "swarm": swarm, "held": held, "array": array}
