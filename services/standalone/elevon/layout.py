"""The data folder of an installation: what lies where, and who holds it."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SERVICES = ("catalog", "propeller", "admin")
"""The three services, in the order they start; they stop the other way round."""


LARGE_LOG_BYTES = 16 * 1024 * 1024
"""A log that has grown beyond this is put aside at the next start, in place of the one before."""


class FolderInUse(Exception):
    """Another control plane runs on this data folder; `ending` when it does not for long any more."""

    def __init__(self, message: str, *, ending: bool) -> None:
        super().__init__(message)
        self.ending = ending


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths inside one data folder, all absolute."""

    root: Path

    @property
    def blobs(self) -> Path:
        """Inputs, outputs, decks, uploads, and what tasks write."""
        return self.root / "blobs"

    @property
    def work(self) -> Path:
        """Where tasks run."""
        return self.root / "work"

    @property
    def run(self) -> Path:
        """Ready files, sockets and the lock of the running control plane."""
        return self.root / "run"

    @property
    def signing_key(self) -> Path:
        """The key that signs upload and download addresses; made once."""
        return self.root / "signing.key"

    def database(self, service: str) -> str:
        """The address of a service's database."""
        return f"sqlite+aiosqlite:///{self.root / service}.sqlite"

    def log(self, service: str) -> Path:
        """The file a service logs to."""
        return self.root / "logs" / f"{service}.log"

    def ready(self, service: str) -> Path:
        """The file a service writes when it serves."""
        return self.run / f"{service}.ready"

    def prepare(self) -> None:
        """Make the folders and the signing key where they are missing; readable by their owner only."""
        for folder in (self.root, self.blobs, self.work, self.run, self.root / "logs"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for log in map(self.log, SERVICES):
            if log.exists() and log.stat().st_size > LARGE_LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))
        if not self.signing_key.exists():
            self._make_signing_key()

    def _make_signing_key(self) -> None:
        unfinished = self.signing_key.with_suffix(".new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as key:
            key.write(secrets.token_hex(32))
        unfinished.replace(self.signing_key)

    def reset(self) -> None:
        """Delete what a control plane keeps in the folder, and nothing that somebody else put there.

        The lock stays: the caller holds it.
        """
        for folder in (self.blobs, self.work, self.run, self.root / "logs"):
            if folder.is_symlink():
                folder.unlink()
            elif folder.exists():
                shutil.rmtree(folder)
        for service in SERVICES:
            for suffix in ("", "-wal", "-shm", "-journal"):
                (self.root / f"{service}.sqlite{suffix}").unlink(missing_ok=True)
        self.signing_key.unlink(missing_ok=True)

    def lock(self, seconds: float = 0.0) -> IO[str]:
        """Take the folder until the returned file is closed here and in the services that inherit it.

        Waits up to `seconds` for services that still drain. Raises FolderInUse when it stays taken, and at once when
        the control plane that holds it is at work; OSError when there can be no such folder.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (self.root / "lock").open("a+")
        deadline = time.monotonic() + seconds
        while not try_lock(lock):
            holder = holder_of(lock)
            if holder is not None or time.monotonic() >= deadline:
                lock.close()
                who = f"process {holder}" if holder is not None else "services that have not ended yet"
                raise FolderInUse(f"a control plane already runs on {self.root} ({who})", ending=holder is None)
            time.sleep(0.1)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock


def holder_of(lock: IO[str]) -> int | None:
    """The process id of the control plane that wrote the lock; None when it has ended or is about to."""
    lock.seek(0)
    text = lock.read().strip()
    if not text.isdigit():
        return None
    try:
        os.kill(int(text), 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return int(text)
    return int(text)


def announce_end(lock: IO[str]) -> None:
    """Take the process id out of the lock: whoever waits for the folder will get it soon."""
    lock.truncate(0)


def try_lock(lock: IO[str]) -> bool:
    """Take the lock if nobody holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
