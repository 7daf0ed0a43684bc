"""A client that does not behave: one connection, as many calls under way as it can have, each repeated at once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from typing import Any

import grpc
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import admin_service_pb2_grpc
from elevon_idl.core import v1 as core

from tests.benchmarks import specs
from tests.load.mix import ECHO, OPTIONS

AT_ONCE = 1_500
LOOK_UPS, LISTS = "look-ups", "lists"


async def flood(
    target: str, seconds: float, at_once: int = AT_ONCE, stop_at: str = "", what: str = LOOK_UPS
) -> Counter[str]:
    """Call for so long, or until a call ends with `stop_at`; answers how many calls ended with which status."""
    found: Counter[str] = Counter()
    task = admin.ObjectGetRequest(id=specs.identifier(core.TASK, ECHO))
    project = admin.NamedEntityIdentifier(project=specs.PROJECT, domain=specs.DOMAIN)
    page = admin.ResourceListRequest(id=project, limit=100)
    async with grpc.aio.insecure_channel(target, options=OPTIONS) as channel:
        stub: Any = admin_service_pb2_grpc.AdminServiceStub(channel)
        until = time.monotonic() + seconds

        async def one() -> None:
            while time.monotonic() < until and not found[stop_at]:
                try:
                    await (stub.ListExecutions(page) if what == LISTS else stub.GetTask(task))
                except grpc.aio.AioRpcError as error:
                    found[error.code().name] += 1
                else:
                    found["OK"] += 1

        await asyncio.gather(*(one() for _ in range(at_once)))
    return found


async def in_a_process(target: str, seconds: float, what: str) -> Counter[str]:
    """The same in a process of its own, as a flood costs the flooding one more than anybody else.

    It has the lowest priority: on a machine of its own its work would cost nobody here anything.
    """
    command = ("nice", "-n", "19", sys.executable, "-m", "tests.load.flood", target, str(seconds), what)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    if process.returncode:
        raise AssertionError(f"the flood ended with {process.returncode}")
    return Counter({code: int(count) for code, count in (line.split() for line in printed.decode().splitlines())})


def main() -> None:
    target, seconds, what = sys.argv[1:]
    for code, count in asyncio.run(flood(target, float(seconds), what=what)).items():
        print(code, count)


if __name__ == "__main__":
    main()
