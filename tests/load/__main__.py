"""Load on a whole control plane: `make load`, or `make load SECONDS=20 ARGS="--clients 50"`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from elevon.layout import SERVICES
from elevon_client import Client
from rich.console import Console

from tests.benchmarks.figures import machine
from tests.benchmarks.plane import Plane, executions_in, until
from tests.load.flood import LISTS, LOOK_UPS, in_a_process
from tests.load.mix import prepare
from tests.load.samples import compare, show
from tests.load.worker import Outcome, in_processes

CALM_CLIENTS, CALM_PAUSE = 20, 0.1
COMPUTING = "beside a process that computes and calls nobody"
PROCESSES = 4


async def ended_as_they_should(client: Client, outcome: Outcome) -> None:
    """Wait until every execution that was created has ended in its way; raises AssertionError."""
    for phase, count in (("SUCCEEDED", outcome.echoed), ("ABORTED", outcome.aborted)):
        there_are = partial(executions_in, client, phase)
        await until(f"{count} executions to be {phase}", partial(there_are, count), pause=0.25)
        if await there_are(count + 1):
            raise AssertionError(f"more than {count} executions are {phase}")


def state(plane: Plane, console: Console) -> None:
    """Print memory and open files of the processes."""
    pids = {name: plane.pid(name) for name in SERVICES} | {"up": plane.process.pid}
    files = {name: len(list(Path(f"/proc/{pid}/fd").iterdir())) for name, pid in pids.items()}
    parts = [f"{name} {plane.resident(name):.0f} MiB, {files[name]} files" for name in pids]
    console.print("processes: " + "; ".join(parts))


async def measure(clients: int, seconds: float, flooded: float, console: Console) -> bool:
    """Load, then a flood; whether nobody was told of an error but the one who floods."""
    with tempfile.TemporaryDirectory(prefix="elevon-load-", ignore_cleanup_errors=True) as folder:
        plane = await Plane.start(Path(folder) / "data")
        try:
            async with Client(plane.target) as client:
                await prepare(plane.target)
                state(plane, console)
                mixed = await in_processes(plane.target, clients, seconds, processes=PROCESSES)
                show(f"{clients} clients, {seconds:g} s, no pauses", mixed.samples, seconds, console)
                await ended_as_they_should(client, mixed)
                console.print(f"{mixed.echoed:,} executions succeeded, {mixed.aborted:,} were aborted, none was lost")
                state(plane, console)
                calm = await beside_a_flood(plane.target, flooded, console)
                state(plane, console)
        finally:
            await plane.stop()
    return not any(outcome.samples.failures for outcome in (mixed, *calm))


async def beside_a_flood(target: str, seconds: float, console: Console) -> list[Outcome]:
    """What clients that take their time see alone, beside a process that only computes, and beside ones that flood."""
    few = partial(in_processes, target, CALM_CLIENTS, seconds, processes=2, pause=CALM_PAUSE)
    title = f"{CALM_CLIENTS} clients that pause up to {CALM_PAUSE * 1000:g} ms between calls, {seconds:g} s"
    seen = {"alone": await few(seed=1_000_000)}
    show(title, seen["alone"].samples, seconds, console)
    async with computing():
        seen[COMPUTING] = await few(seed=2_000_000)
    show(f"{title}, {COMPUTING}", seen[COMPUTING].samples, seconds, console)
    for number, what in enumerate((LOOK_UPS, LISTS), 3):
        beside = f"beside one that floods with {what}"
        disturbed, flood = await asyncio.gather(few(seed=number * 1_000_000), in_a_process(target, seconds + 1, what))
        show(f"{title}, {beside}", disturbed.samples, seconds, console)
        counted = ", ".join(f"{count:,} {code}" for code, count in sorted(flood.items()))
        console.print(f"the one that floods: {counted}")
        seen[beside] = disturbed
    compare({beside: outcome.samples for beside, outcome in seen.items()}, console)
    return list(seen.values())


@asynccontextmanager
async def computing() -> AsyncIterator[None]:
    """One core less for everybody else: what a flooding client costs that runs on the same machine."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make load", description="Put load on a control plane and print what it took."
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long all clients call (default 60)")
    parser.add_argument("--clients", type=int, default=200, help="clients with a connection each (default 200)")
    parser.add_argument("--flood-seconds", type=float, default=15, help="how long one client floods (default 15)")
    arguments = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(machine())
    fine = asyncio.run(measure(arguments.clients, arguments.seconds, arguments.flood_seconds, console))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
