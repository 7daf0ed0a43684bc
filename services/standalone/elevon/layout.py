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


class FolderInUse(Exception):
    """Another control plane runs on this data folder."""


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
        if not self.signing_key.exists():
            descriptor = os.open(self.signing_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as key:
                key.write(secrets.token_hex(32))

    def reset(self) -> None:
        """Delete everything in the folder except the lock, which the caller holds."""
        for entry in self.root.iterdir():
            if entry.name == "lock":
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def lock(self, seconds: float = 0.0) -> IO[str]:
        """Take the folder until the returned file is closed here and in the services that inherit it.

        Waits up to `seconds` for an earlier control plane that still drains. Raises FolderInUse when it stays taken.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (self.root / "lock").open("a+")
        deadline = time.monotonic() + seconds
        while not try_lock(lock):
            if time.monotonic() >= deadline:
                lock.seek(0)
                holder = lock.read().strip() or "unknown"
                lock.close()
                raise FolderInUse(f"a control plane already runs on {self.root} (process {holder})")
            time.sleep(0.1)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock


def try_lock(lock: IO[str]) -> bool:
    """Take the lock if nobody holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
