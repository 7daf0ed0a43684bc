"""A process full of clients: `python -m tests.load.worker TARGET CLIENTS SECONDS SEED PAUSE` prints what they saw."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field

from tests.load.mix import MixedClient
from tests.load.samples import Samples


@dataclass(slots=True)
class Outcome:
    """What all clients saw, and how many executions have to end in which way."""

    samples: Samples = field(default_factory=Samples)
    echoed: int = 0
    aborted: int = 0


async def work(target: str, count: int, seconds: float, seed: int, pause: float) -> Outcome:
    """Let so many clients call, all at a time."""
    found = Outcome()
    clients = [MixedClient(target, seed + number, found.samples, pause) for number in range(count)]
    until = time.monotonic() + seconds
    await asyncio.gather(*(client.run(until) for client in clients))
    found.echoed = sum(client.echoed for client in clients)
    found.aborted = sum(client.aborted for client in clients)
    return found


async def in_processes(
    target: str, clients: int, seconds: float, *, processes: int, seed: int = 0, pause: float = 0.0
) -> Outcome:
    """Spread the clients over processes, one Python alone cannot keep hundreds busy; raises when one of them fails."""
    shares = [clients // processes + (number < clients % processes) for number in range(processes)]
    commands = [
        (target, str(share), str(seconds), str(seed + number * clients), str(pause))
        for number, share in enumerate(shares)
        if share
    ]
    found = Outcome()
    for printed in await asyncio.gather(*map(_process, commands)):
        document = json.loads(printed)
        found.samples.merge(document)
        found.echoed += document["echoed"]
        found.aborted += document["aborted"]
    return found


async def _process(arguments: tuple[str, ...]) -> bytes:
    command = (sys.executable, "-m", "tests.load.worker", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise AssertionError(f"a process of clients ended with {process.returncode}")
    return printed


def main() -> None:
    target, count, seconds, seed, pause = sys.argv[1:]
    found = asyncio.run(work(target, int(count), float(seconds), int(seed), float(pause)))
    print(json.dumps({**found.samples.document(), "echoed": found.echoed, "aborted": found.aborted}))


if __name__ == "__main__":
    main()
