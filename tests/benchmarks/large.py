"""Single executions of the largest sizes: seconds, and the most memory of propeller for each node while they run."""

from __future__ import annotations

import asyncio
import contextlib

from elevon_client import Client
from elevon_idl.admin import v1 as admin

from tests.benchmarks import specs
from tests.benchmarks.budgets import Benchmark
from tests.benchmarks.figures import Measurement
from tests.benchmarks.plane import Bench, Plane, ProcessorTime, register, run

NODES, LEAVES, ELEMENTS, DEPTH = 10_000, 5_000, 100_000, 10
LOOK_SECONDS = 0.05


async def large(bench: Bench) -> list[Measurement]:
    """A wide workflow, a chain, a dynamic task and an array of the sizes promised, and workflows in workflows."""
    async with bench.control_plane() as (plane, client):
        echo, sleep = specs.echo_task("echo"), specs.sleep_task("sleep")
        mapped = specs.of_lists(specs.echo_task("mapped_echo"))
        job = bench.folder / "job.pb"
        job.write_bytes(specs.dynamic_job(sleep, LEAVES, 0.1).SerializeToString())
        dynamic = specs.dynamic_task("yields", job)
        for task in (echo, sleep, mapped, dynamic):
            await client.admin.CreateTask(task)
        largest = {
            f"workflow of {NODES:,} nodes side by side": (specs.fan_out("wide", echo.id, NODES), NODES),
            f"chain of {NODES:,} nodes": (specs.chain("long", echo.id, NODES), NODES),
            f"dynamic task with {LEAVES:,} leaves": (specs.single("dynamic", dynamic.id), LEAVES),
            f"array of {ELEMENTS:,} elements": (
                specs.mapped("array", mapped.id, "a", specs.integers(range(ELEMENTS))),
                ELEMENTS,
            ),
            f"{DEPTH} workflows in each other": (specs.nested("nested", echo.id, DEPTH), DEPTH),
        }
        found = []
        for what, (workflow, count) in largest.items():
            bench.progress(what)
            found += await one(plane, client, what, workflow, count)
    return found


async def one(
    plane: Plane, client: Client, what: str, workflow: admin.WorkflowCreateRequest, count: int
) -> list[Measurement]:
    """Run one workflow to its success."""
    inputs = workflow.spec.template.interface.inputs.variables
    plan = await register(client, workflow, *inputs)
    before = plane.resident("propeller")
    spent = ProcessorTime(plane)
    watch = asyncio.create_task(peak(plane))
    request = specs.execution(plan, parallelism=count, **dict.fromkeys(inputs, 1))
    try:
        seconds = await run(client, request, 0.05)
    finally:
        watch.cancel()
    processor = spent.each(count)
    taken = (await watch - before) * 1024 / count
    after = (plane.resident("propeller") - before) * 1024 / count
    memory = [
        Measurement("most memory of propeller while it ran, for each", taken, "KiB", detail=True),
        Measurement("memory that is left for each", after, "KiB", detail=True),
    ]
    return [Measurement(what, seconds, "s", processor=processor), *(memory if count > DEPTH else [])]


async def peak(plane: Plane) -> float:
    """The most memory of propeller seen until this is cancelled, MiB."""
    most = 0.0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            most = max(most, plane.resident("propeller"))
            await asyncio.sleep(LOOK_SECONDS)
    return most


LARGE: dict[str, Benchmark] = {"large": large}
