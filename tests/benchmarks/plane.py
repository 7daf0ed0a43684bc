"""A control plane to measure: `elevon up` as its users run it, in a process of its own, and a client of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from elevon.layout import SERVICES, Layout
from elevon_client import Client
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from tests.benchmarks import specs

Item = TypeVar("Item")

CLIENTS = 32
SUCCEEDED = core.WorkflowExecution.SUCCEEDED
TICKS = os.sysconf("SC_CLK_TCK")


class Plane:
    """A running `elevon up`."""

    def __init__(self, process: asyncio.subprocess.Process, target: str, layout: Layout) -> None:
        self.process = process
        self.target = target
        self.layout = layout

    @classmethod
    async def start(cls, data: Path, environment: Mapping[str, str] | None = None) -> Plane:
        """Start one on a data folder, with some more environment variables; returns when it says that it is ready."""
        command = (sys.executable, "-m", "elevon", "up", "--port", "0", "--data-dir", str(data))
        variables = {**os.environ, **(environment or {})}
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=variables)
        assert process.stdout is not None
        while line := (await process.stdout.readline()).decode():
            if line.startswith("ready:"):
                target = next(word for word in line.split() if word.rpartition(":")[2].isdigit())
                return cls(process, target, Layout(data))
        raise AssertionError(f"elevon up ended with {await process.wait()}")

    async def stop(self) -> None:
        """Drain it."""
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()

    async def kill(self) -> None:
        """End all of it with SIGKILL."""
        for pid in (self.process.pid, *(self.pid(service) for service in SERVICES)):
            os.kill(pid, signal.SIGKILL)
        await self.process.wait()

    def pid(self, service: str) -> int:
        """The process of a service that is ready."""
        return int(json.loads(self.layout.ready(service).read_text())["pid"])

    def processes(self) -> dict[str, int]:
        """The processes of the control plane, and this one as its client."""
        return {**{name: self.pid(name) for name in SERVICES}, "up": self.process.pid, "client": os.getpid()}

    def resident(self, *names: str) -> float:
        """The memory of some processes, MiB: all pages that each has, those it shares with others too."""
        pids = self.processes()
        return sum(resident_mebibytes(pids[name]) for name in names)


class ProcessorTime:
    """The processor time that the processes of a control plane and its client spend from here on."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._before = self._seconds()

    def _seconds(self) -> dict[str, float]:
        return {name: processor_seconds(pid) for name, pid in self._plane.processes().items()}

    def each(self, count: int) -> dict[str, float]:
        """Milliseconds for each of so many things done, by process."""
        return {name: (now - self._before[name]) / count * 1000 for name, now in self._seconds().items()}


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a benchmark keeps its data, and whom it tells how far it is."""

    folder: Path
    progress: Callable[[str], None]

    @asynccontextmanager
    async def control_plane(self, environment: Mapping[str, str] | None = None) -> AsyncIterator[tuple[Plane, Client]]:
        """A control plane on this folder, and a client of it; drained afterwards."""
        plane = await Plane.start(self.folder / "data", environment)
        try:
            async with Client(plane.target) as client:
                yield plane, client
        finally:
            await plane.stop()


def resident_mebibytes(pid: int) -> float:
    """The resident memory of a process, shared pages included (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def many(work: Callable[[Item], Awaitable[Any]], items: Iterable[Item], clients: int = CLIENTS) -> None:
    """Do `work` for all items, `clients` at a time."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(clients)))


async def run(client: Client, request: admin.ExecutionCreateRequest, interval: float = 0.02) -> float:
    """Run one execution to its success, as admin tells it every `interval` seconds; returns the seconds it took."""
    began = time.perf_counter()
    created = await client.admin.CreateExecution(request)
    await succeeded(client, created.id, interval=interval)
    return time.perf_counter() - began


async def succeeded(client: Client, execution_id: core.WorkflowExecutionIdentifier, *, interval: float = 0.1) -> None:
    """Wait for the success of an execution; raises AssertionError for another end."""
    execution = await client.wait(execution_id, seconds=300, interval=interval)
    if execution.closure.phase != SUCCEEDED:
        message = execution.closure.error.message
        raise AssertionError(f"{execution_id.name} ended {execution.closure.phase}: {message}")


async def nodes_in(client: Client, execution_id: core.WorkflowExecutionIdentifier, phase: str, count: int) -> bool:
    """Whether at least so many top-level nodes of an execution are in a phase."""
    request = admin.NodeExecutionListRequest(
        workflow_execution_id=execution_id, limit=1, token=str(count - 1), filters=f"eq(phase,{phase})"
    )
    return bool((await client.admin.ListNodeExecutions(request)).node_executions)


async def executions_in(client: Client, phase: str, count: int) -> bool:
    """Whether at least so many executions are in a phase."""
    request = admin.ResourceListRequest(
        id=admin.NamedEntityIdentifier(project=specs.PROJECT, domain=specs.DOMAIN),
        limit=1,
        token=str(count - 1),
        filters=f"eq(phase,{phase})",
    )
    return bool((await client.admin.ListExecutions(request)).executions)


async def until(what: str, reached: Callable[[], Awaitable[bool]], *, seconds: float = 300, pause: float = 0.1) -> None:
    """Ask until the answer is yes; raises AssertionError when that takes too long."""
    deadline = time.monotonic() + seconds
    while not await reached():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        await asyncio.sleep(pause)


async def register(client: Client, workflow: admin.WorkflowCreateRequest, *inputs: str) -> core.Identifier:
    """Register a workflow and its launch plan; returns the launch plan's identifier."""
    await client.admin.CreateWorkflow(workflow)
    plan = specs.launch_plan(workflow.id, *inputs)
    await client.admin.CreateLaunchPlan(plan)
    return plan.id
