"""A PostgreSQL server of the session's own."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import LOOPBACK, end, free_port, wait_until

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
    "autovacuum": "off",
    "jit": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
}
"""Nothing of a test's database has to outlive the session, so it is not forced to the disk; nor is any so large or so
old that it would have to be vacuumed."""

MEMORY = Path("/dev/shm")
ENOUGH_MEMORY = 4 << 30
"""Bytes; the servers of four sessions take a tenth of it."""

PREFIX = "elevon-postgres-"
LEFT_OVER_SECONDS = 600
EMPTY = "template0"


def folder_in_memory() -> Path | None:
    """Answer a folder whose files never go to a disk; none where there is none, or too little room.

    A database is some three hundred files: on a disk, making and removing them is most of what a short test costs.
    """
    if not os.access(MEMORY, os.W_OK):
        return None
    remove_left_over(MEMORY)
    return MEMORY if shutil.disk_usage(MEMORY).free >= ENOUGH_MEMORY else None


def remove_left_over(place: Path) -> None:
    """Remove the folders of sessions that were killed, and so could not: those without a server, for some time."""
    for data in place.glob(f"{PREFIX}*/data"):
        with contextlib.suppress(OSError):  # another session removes it, or it is another user's
            if not (data / "postmaster.pid").exists() and data.stat().st_mtime < time.time() - LEFT_OVER_SECONDS:
                shutil.rmtree(data.parent)
                data.parent.with_suffix(".log").unlink()


@dataclass(frozen=True)
class PostgresServer:
    """A running server: where its programs are, its version, and its port."""

    programs: Path
    version: int
    port: int

    def run(self, statement: str) -> None:
        """Run one statement in the database `postgres`."""
        program = [str(self.programs / "psql"), "-X", "-q", "-h", LOOPBACK, "-p", str(self.port), "-U", "postgres"]
        subprocess.run([*program, "-v", "ON_ERROR_STOP=1", "-c", statement], check=True, capture_output=True)

    def create(self, template: str = EMPTY) -> str:
        """Make a database, a copy of another that nobody is connected to, and answer its name."""
        name = f"elevon_{secrets.token_hex(6)}"
        files = "STRATEGY file_copy" if self.version >= 15 else ""  # before, there was no other
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {files}')
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def url(self, name: str) -> str:
        """Answer the `postgresql+asyncpg://` URL of a database."""
        return f"postgresql+asyncpg://postgres@{LOOPBACK}:{self.port}/{name}"

    def answers(self) -> bool:
        """Tell whether it takes connections."""
        program = [str(self.programs / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)]
        return subprocess.run(program, check=False).returncode == 0


def postgres_programs() -> Path:
    """Answer the folder with PostgreSQL's programs; fails with what to install when there is none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("pg_ctl")
    if debian:
        return debian[-1].parent
    if on_path:
        return Path(on_path).resolve().parent
    return pytest.fail("PostgreSQL's server programs are missing: apt-get install postgresql", pytrace=False)


def major_version(programs: Path) -> int:
    """Answer 15 for `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`."""
    told = subprocess.run([str(programs / "postgres"), "--version"], check=True, capture_output=True, text=True).stdout
    return int(told.split(")", 1)[1].split()[0].partition(".")[0])


def as_server_user(folder: Path) -> list[str]:
    """Answer the words before a command that must not run as root, and give the folder to that user.

    The server ends when this process does, however that happens.
    """
    tied = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() != 0:
        return tied
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [*tied, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@contextlib.contextmanager
def running_postgres(server_settings: Mapping[str, str], place: Path | None = None) -> Iterator[PostgresServer]:
    """A private PostgreSQL server with these settings, in a folder that goes with it; `place` is where that is made."""
    programs = postgres_programs()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    prefix = as_server_user(folder)
    data = folder / "data"
    initdb = [
        *prefix,
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
    ]
    made = subprocess.run([*initdb, "--no-sync"], check=False, capture_output=True, text=True, cwd=folder)
    if made.returncode != 0:
        pytest.fail(f"initdb failed:\n{made.stdout}{made.stderr}")
    server = PostgresServer(programs, major_version(programs), free_port())
    settings = [word for name, value in server_settings.items() for word in ("-c", f"{name}={value}")]
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        command = [*prefix, str(programs / "postgres"), "-D", str(data), "-p", str(server.port), *settings]
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    try:
        wait_until(server.answers, process, log)
        yield server
    finally:
        end(process, signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)
        log.unlink(missing_ok=True)
