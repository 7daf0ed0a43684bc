"""Ending what is left of an attempt whose fork server is dead: nothing of it may live when it is run again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from elevon_propeller.plugins.process.folder import AttemptFolder

MARK = "ELEVON_ATTEMPT"
"""The variable that names the attempt's folder in the environment of every process of it."""

_PROCESSES = Path("/proc")
_PAUSE = 0.01


def sweep(folder: AttemptFolder, timeout: float = 30.0) -> bool:
    """Kill every process of an attempt; answers whether none is left. Blocks, usually for milliseconds.

    A process is the attempt's when its environment is marked with the folder, when it holds the lock, or when it writes
    to the log. Where the system has no /proc, only the lock is waited for.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = list(remains(folder))
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found and not folder.is_locked():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)


def remains(folder: AttemptFolder) -> Iterator[int]:
    """Process ids of what lives of an attempt, as far as this user may see."""
    mark = f"{MARK}={folder.path}".encode()
    files = {str(folder.path / "lock"), str(folder.log)}
    for entry in _PROCESSES.glob("[0-9]*"):
        if int(entry.name) != os.getpid() and _belongs(entry, mark, files):
            yield int(entry.name)


def _belongs(process: Path, mark: bytes, files: set[str]) -> bool:
    try:
        if process.stat().st_uid != os.getuid() or _is_zombie(process):
            return False
        if mark in (process / "environ").read_bytes().split(b"\0"):
            return True
        return any(_writes(process, descriptor, files) for descriptor in (process / "fd").iterdir())
    except OSError:
        return False  # gone, or not ours


def _is_zombie(process: Path) -> bool:
    return (process / "stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")


def _writes(process: Path, descriptor: Path, files: set[str]) -> bool:
    try:
        if os.readlink(descriptor) not in files:
            return False
        flags = (process / "fdinfo" / descriptor.name).read_text().partition("flags:")[2].split()[0]
    except (OSError, IndexError):
        return False
    return bool(int(flags, 8) & (os.O_WRONLY | os.O_RDWR))
