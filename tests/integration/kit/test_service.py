"""A whole service as a process: ready line, health, drain, exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from elevon_idl.catalog import v1 as catalog
from elevon_idl.catalog.v1 import data_catalog_pb2_grpc

PROGRAM = Path(__file__).parent / "example_service.py"


class Process:
    """The service under test."""

    def __init__(self, process: asyncio.subprocess.Process, ready_file: Path) -> None:
        self.process = process
        self._ready_file = ready_file

    async def ready(self) -> dict[str, Any]:
        """Wait for the ready line."""
        while not self._ready_file.exists():
            assert self.process.returncode is None, "the service ended before it was ready"
            await asyncio.sleep(0.02)
        line = self._ready_file.read_text()
        assert line.endswith("\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def ended(self) -> tuple[int, str]:
        """Wait for the end and answer exit code and log."""
        _, log = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, log.decode()


Run = Callable[..., Awaitable[Process]]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    started: list[Process] = []

    async def start(*arguments: str, **environment: str) -> Process:
        ready_file = tmp_path / "run" / "ready.json"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            f"--database.url=sqlite+aiosqlite:///{tmp_path}/service.db",
            f"--ready-file={ready_file}",
            *arguments,
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(Process(process, ready_file))
        return started[-1]

    yield start
    for service in started:
        if service.process.returncode is None:
            service.process.kill()
            await service.process.wait()


def create(channel: grpc.aio.Channel, seconds: float) -> Any:
    """Begin a call that takes so long."""
    stub: Any = data_catalog_pb2_grpc.DataCatalogStub(channel)
    dataset = catalog.Dataset(id=catalog.DatasetID(name=str(seconds)))
    return stub.CreateDataset(catalog.CreateDatasetRequest(dataset=dataset), wait_for_ready=True)


async def test_a_service_starts_serves_and_drains(run: Run) -> None:
    service = await run()
    ready = await service.ready()
    assert (ready["event"], ready["pid"]) == ("ready", service.process.pid)
    async with httpx.AsyncClient(timeout=60) as client:
        health = (await client.get(f"http://{ready['http']}/healthcheck")).json()
    assert health == {"status": "SERVING", "dependencies": {"database": ""}}
    async with grpc.aio.insecure_channel(ready["grpc"]) as channel:
        await create(channel, 0)
        running = create(channel, 0.3)
        await create(channel, 0)  # which came after it, on the same connection
        service.process.send_signal(signal.SIGTERM)
        await running
    code, log = await service.ended()
    assert code == 0
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events.index("ready") < events.index("stopping") < events.index("stopped")
    assert (await service.process.stdout.read() if service.process.stdout else b"") == b""


async def test_an_interrupt_drains_too(run: Run) -> None:
    service = await run()
    await service.ready()
    service.process.send_signal(signal.SIGINT)
    assert (await service.ended())[0] == 0


async def test_a_second_signal_ends_at_once(run: Run) -> None:
    service = await run("--grpc.drain-seconds=60", "--grpc.drain-notice-seconds=60")
    await service.ready()
    service.process.send_signal(signal.SIGTERM)
    assert service.process.stderr is not None
    async for line in service.process.stderr:
        if json.loads(line)["event"] == "stopping":
            break
    service.process.send_signal(signal.SIGTERM)
    assert (await service.ended())[0] == 128 + signal.SIGTERM


async def test_a_signal_during_the_start_ends_it(run: Run) -> None:
    service = await run("--trouble=slow", "--log.level=debug")
    await asyncio.sleep(0)
    assert service.process.stderr is not None
    while service.process.returncode is None and not await signal_is_handled(service.process.pid):
        await asyncio.sleep(0.02)
    service.process.send_signal(signal.SIGTERM)
    assert (await service.ended())[0] == 0


async def signal_is_handled(pid: int) -> bool:
    """Tell whether a process catches SIGTERM by now."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--grpc.prot=1"], 2, "unknown key grpc.prot"),
        (["--database.url=oracle://x"], 2, "database.url"),
        (["--trouble=schema"], 3, "run `elevon migrate`"),
        (["--trouble=unavailable"], 1, "no database"),
        (["--trouble=defect"], 1, "ZeroDivisionError"),
        (["--telemetry.traces=file"], 2, "missing telemetry.traces_file"),
    ],
)
async def test_what_goes_wrong_has_an_exit_code(run: Run, arguments: list[str], code: int, message: str) -> None:
    service = await run(*arguments)
    ended, log = await service.ended()
    assert ended == code
    assert message in log


async def test_a_stop_that_fails_is_told(run: Run) -> None:
    service = await run("--trouble=stop")
    await service.ready()
    service.process.send_signal(signal.SIGTERM)
    code, log = await service.ended()
    assert code == 1
    assert "did not stop cleanly" in log


async def test_a_ready_file_of_a_former_process_is_taken_away(run: Run, tmp_path: Path) -> None:
    stale = tmp_path / "run" / "ready.json"
    stale.parent.mkdir()
    stale.write_text("{}\n")
    service = await run("--trouble=unavailable")
    assert (await service.ended())[0] == 1
    assert not stale.exists()


async def test_the_environment_is_read(run: Run) -> None:
    service = await run(ELEVON_CATALOG_TROUBLE="unavailable")
    assert (await service.ended())[0] == 1
