"""One supervised service process: started, watched, started again when it dies, drained when asked."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

RESTART_DELAYS = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the first, second, … restart in a row; the last one repeats."""

LIBC = ctypes.CDLL(None)
"""Loaded before any fork: between fork and exec nothing may be loaded."""

TAIL_LINES = 15
"""How much of a log is shown when a service does not start."""

STEADY_SECONDS = 30.0
"""A process that lived this long counts as steady: its next restart is quick again."""


class ServiceFailed(Exception):
    """A service did not start; the message names it and its log."""


@dataclass(frozen=True, slots=True)
class ServiceCommand:
    """How a service is started; `keep_open` are file descriptors that it holds as long as it lives."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    ready_file: Path
    log_file: Path
    keep_open: tuple[int, ...] = ()


class ServiceProcess:
    """Keeps one service alive from `start` to `stop`."""

    def __init__(self, command: ServiceCommand, restarted: Callable[[str, int], None] | None = None) -> None:
        self.command = command
        self.restarts = 0
        self._restarted = restarted
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._spawning = asyncio.Lock()
        self._log_offset = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def launch(self) -> None:
        """Start the process, for the first time or after `stop`; `ready` tells when it serves."""
        self._stopping.clear()
        async with self._spawning:
            await self._spawn()

    async def ready(self, seconds: float) -> dict[str, Any]:
        """Wait until it serves, then keep it alive; returns what it wrote to its ready file. Raises ServiceFailed."""
        content = await self._wait_ready(seconds)
        self._watcher = asyncio.create_task(self._watch(), name=f"watch {self.command.name}")
        return content

    async def stop(self, seconds: float = 20.0) -> None:
        """Ask it to drain, and end it when it has not within `seconds`."""
        self._stopping.set()
        async with self._spawning:  # a restart that has begun is let finish, so that nothing is left behind
            process = self._process
        if process is not None and process.returncode is None:
            await self._drain(process, seconds)
        if self._watcher is not None:
            await self._watcher
            self._watcher = None

    async def kill(self) -> None:
        """End it as a crash would, and leave it so until `launch`."""
        self._stopping.set()
        async with self._spawning:
            process = self._process
        if process is not None and process.returncode is None:
            _send(process, signal.SIGKILL)
            await process.wait()
        if self._watcher is not None:
            await self._watcher
            self._watcher = None

    async def _drain(self, process: asyncio.subprocess.Process, seconds: float) -> None:
        _send(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            logger.warning("%s did not drain within %s s and is ended", self.command.name, seconds)
            _send(process, signal.SIGKILL)
            await process.wait()

    async def _spawn(self) -> None:
        self.command.ready_file.unlink(missing_ok=True)
        with self.command.log_file.open("ab") as log:
            self._log_offset = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self.command.arguments,
                env=dict(self.command.environment),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=self.command.keep_open,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor, which drains in order
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )

    async def _wait_ready(self, seconds: float) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + seconds
        assert self._process is not None
        while asyncio.get_running_loop().time() < deadline:
            ended = self._process.returncode  # before the file is looked for: what served and died was ready
            with contextlib.suppress(OSError, json.JSONDecodeError):
                content: dict[str, Any] = json.loads(self.command.ready_file.read_text())
                return content
            if ended is not None:
                raise ServiceFailed(self._failure(f"ended with code {ended}"))
            await asyncio.sleep(0.01)
        raise ServiceFailed(self._failure(f"was not ready within {seconds:.0f} s"))

    def _failure(self, what: str) -> str:
        tail = ""
        with contextlib.suppress(OSError):
            written = self.command.log_file.read_bytes()[self._log_offset :].decode(errors="replace")
            tail = "".join(written.splitlines(keepends=True)[-TAIL_LINES:])
        return f"the {self.command.name} service {what}; its log {self.command.log_file} ends:\n{tail}".rstrip()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        in_a_row = 0
        while True:
            assert self._process is not None
            started = loop.time()
            code = await self._process.wait()
            if self._stopping.is_set():
                return
            in_a_row = 0 if loop.time() - started > STEADY_SECONDS else in_a_row
            delay = RESTART_DELAYS[min(in_a_row, len(RESTART_DELAYS) - 1)]
            logger.warning("%s ended with code %d; it starts again in %s s", self.command.name, code, delay)
            in_a_row += 1
            if not await self._restart_after(delay):
                return
            self.restarts += 1
            if self._restarted is not None:
                self._restarted(self.command.name, code)

    async def _restart_after(self, delay: float) -> bool:
        """Start the process again after a pause; False when it is to stop instead."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._stopping.wait()
        async with self._spawning:
            if self._stopping.is_set():
                return False
            try:
                await self._spawn()
            except OSError as error:  # the process that ended is still the last one: it counts as ended again
                logger.warning("%s cannot be started: %s", self.command.name, error)
        return True


def _send(process: asyncio.subprocess.Process, number: int) -> None:
    """Send a signal to a child, dead or alive.

    Asyncio's own methods first look whether it has died, and so take its end away from whoever waits for it.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def die_with_parent() -> None:
    """Ask Linux to end this process when the supervisor ends, however that happens (prctl PR_SET_PDEATHSIG)."""
    pr_set_pdeathsig = 1
    LIBC.prctl(pr_set_pdeathsig, signal.SIGTERM, 0, 0, 0)
