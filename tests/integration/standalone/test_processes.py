"""Supervision of real child processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from elevon.processes import ServiceCommand, ServiceFailed, ServiceProcess

PROGRAM = """
import json, os, pathlib, signal, sys, time
mode, ready, trace = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
def note(word):
    with trace.open("a") as file: file.write(f"{word} {os.getpid()} {' '.join(sys.argv[1:])}\\n")
def on_term(*_):
    note("term")
    if mode != "stubborn": sys.exit(0)
signal.signal(signal.SIGTERM, on_term)
note("start")
if mode == "dies":
    for number in range(40): print("line", number, flush=True)
    sys.exit(7)
print("hello", os.environ.get("GREETING"), flush=True)
if mode != "mute": ready.write_text(json.dumps({"event": "ready", "pid": os.getpid()}))
while mode != "brief": time.sleep(0.02)
"""


class Child:
    """A supervised program whose life is written down."""

    def __init__(self, folder: Path, mode: str, restarted: Callable[[str, int], None] | None = None) -> None:
        self.trace = folder / "trace"
        self.command = ServiceCommand(
            name="child",
            arguments=(sys.executable, "-c", PROGRAM, mode, str(folder / "ready"), str(self.trace)),
            environment={**os.environ, "GREETING": "world"},
            ready_file=folder / "ready",
            log_file=folder / "log",
        )
        self.process = ServiceProcess(self.command, restarted)

    def noted(self, word: str) -> list[str]:
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        return [line for line in lines if line.startswith(word + " ")]

    async def up(self) -> int:
        await self.process.launch()
        answer = await self.process.ready(30)
        assert answer["pid"] == self.process.pid
        return int(answer["pid"])


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_a_child_is_ready_logs_and_drains(tmp_path: Path) -> None:
    child = Child(tmp_path, "good")
    (tmp_path / "ready").write_text('{"event": "ready", "pid": 1}')  # of an earlier run: must not count
    pid = await child.up()
    assert (tmp_path / "log").read_text() == "hello world\n"
    await child.process.stop()
    assert not alive(pid)
    assert child.process.pid is None
    assert len(child.noted("term")) == 1
    assert child.process.restarts == 0


async def test_an_early_death_is_reported_with_the_end_of_its_log_only(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("an old complaint\n")
    child = Child(tmp_path, "dies")
    await child.process.launch()
    with pytest.raises(ServiceFailed) as failure:
        await child.process.ready(30)
    message = str(failure.value)
    assert "the child service ended with code 7" in message
    assert str(tmp_path / "log") in message
    assert message.endswith("line 39")
    assert "line 24\n" not in message
    assert "an old complaint" not in message
    await child.process.stop()


async def test_who_is_never_ready_is_given_up(tmp_path: Path) -> None:
    child = Child(tmp_path, "mute")
    await child.process.launch()
    with pytest.raises(ServiceFailed, match="was not ready within 0 s"):
        await child.process.ready(0.2)
    await child.process.stop()
    assert child.process.pid is None


async def test_a_killed_child_starts_again_with_the_same_command(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    child = Child(tmp_path, "good", lambda name, code: seen.append((name, code)))
    first = await child.up()
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: child.process.restarts and len(child.noted("start")) == 2)
    assert seen == [("child", -signal.SIGKILL)]
    assert child.process.restarts == 1
    commands = {line.split(" ", 2)[2] for line in child.noted("start")}
    assert len(commands) == 1
    second = child.process.pid
    assert second not in (None, first)
    await child.process.stop()
    assert not alive(second or 0)


async def test_pauses_grow_while_it_keeps_dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delays = (0.01, 0.02, 60.0)
    monkeypatch.setattr("elevon.processes.RESTART_DELAYS", delays)
    child = Child(tmp_path, "brief")
    await child.process.launch()
    await child.process.ready(30)
    await eventually(lambda: child.process.restarts == 2)
    await eventually(lambda: child.process.pid is None)
    assert len(child.noted("start")) == 3
    async with asyncio.timeout(20):
        await child.process.stop()  # does not wait for the minute
    assert len(child.noted("start")) == 3


async def test_a_stubborn_child_is_killed(tmp_path: Path) -> None:
    child = Child(tmp_path, "stubborn")
    pid = await child.up()
    await child.process.stop(3)
    assert not alive(pid)
    assert len(child.noted("term")) == 1


async def test_stopping_while_it_is_started_again_leaves_nothing_behind(tmp_path: Path) -> None:
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        child = Child(folder, "good")
        pid = await child.up()
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.09 + attempt * 0.005)
        await child.process.stop()
        assert child.process.pid is None
        assert not any(alive(int(line.split()[1])) for line in child.noted("start"))


async def test_stop_before_ready_and_twice(tmp_path: Path) -> None:
    child = Child(tmp_path, "good")
    await child.process.stop()
    await child.process.launch()
    await child.process.stop()
    await child.process.stop()
    assert child.process.pid is None
    pid = await child.up()
    assert alive(pid)
    await child.process.stop()


SUPERVISOR = """
import asyncio, os, sys, pathlib
from elevon.processes import ServiceCommand, ServiceProcess
folder = pathlib.Path(sys.argv[1])
async def main():
    command = ServiceCommand("child", (sys.executable, "-c", sys.argv[2], "good", str(folder / "ready"),
        str(folder / "trace")), dict(os.environ), folder / "ready", folder / "log")
    process = ServiceProcess(command)
    await process.launch()
    print((await process.ready(30))["pid"], flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_children_drain_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path), PROGRAM], stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    pid = int(supervisor.stdout.readline())
    assert alive(pid)
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)
    assert f"term {pid}" in (tmp_path / "trace").read_text()
