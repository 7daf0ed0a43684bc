"""The folder of an attempt: what is on disk of it, which is all that is known after a crash."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_TAIL_BYTES = 8 * 1024
_TAIL_LINES = 30


@dataclass(frozen=True, slots=True)
class Launch:
    """Written before an attempt is launched: whose it is, and the fork server asked.

    `server` names the server's folder, `identity` the very process. `runs` counts the launches, this one included.
    """

    owner: str
    server: str
    identity: str
    runs: int = 1


@dataclass(frozen=True, slots=True)
class Exit:
    """How an attempt ended, as the fork server recorded it; `code` is negative for a signal, times are Unix seconds."""

    code: int
    stopped: str = ""
    out_of_memory: bool = False
    started: float = 0.0
    ended: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_kib: int = 0


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """Paths and records of one attempt; everything here blocks, for as long as a local disk takes."""

    path: Path
    log: Path

    @property
    def work(self) -> Path:
        """The working folder of the task."""
        return self.path / "work"

    @property
    def home(self) -> Path:
        """The home folder of the task."""
        return self.path / "home"

    @property
    def temporary(self) -> Path:
        """The TMPDIR of the task."""
        return self.path / "tmp"

    def create(self) -> None:
        """Make the folders empty, for a first run or for another one."""
        for stale in ("inputs", "outputs"):
            shutil.rmtree(self.path / stale, ignore_errors=True)
        for folder in (self.work, self.home, self.temporary):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")

    def read_launch(self) -> Launch | None:
        """The record of the launch; None when there was none."""
        record = _read(self.path / "launch.json")
        return Launch(**record) if record is not None else None

    def write_launch(self, launch: Launch) -> None:
        """Record a launch that is about to happen."""
        temporary = self.path / "launch.json.new"
        temporary.write_text(json.dumps(asdict(launch)))
        temporary.replace(self.path / "launch.json")

    def read_exit(self) -> Exit | None:
        """The record of the end; None when there is none."""
        record = _read(self.path / "exit.json")
        return Exit(**record) if record is not None else None

    def is_locked(self) -> bool:
        """Whether a process of the attempt holds the lock."""
        try:
            lock = os.open(self.path / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def log_tail(self) -> str:
        """The last 30 lines of the log, 8 KiB at most."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])

    def remove(self) -> None:
        """Remove all but the log."""
        shutil.rmtree(self.path, ignore_errors=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return dict(content)
