"""What tests of every area share: real databases and a real object store, private to the session, on loopback."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # before gRPC is imported; see elevon_kit

LOOPBACK = "127.0.0.1"
START_SECONDS = 60
POSTGRES_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
}
"""Nothing of a test's database has to outlive the session, so it is not forced to the disk."""

FreshDatabase = Callable[[], str]


def free_port() -> int:
    """Answer a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a server to answer; fails with its log when it ends before, or takes longer than a minute."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)


def end(process: subprocess.Popen[bytes], with_signal: int) -> None:
    """End a server that this session started."""
    if process.poll() is None:
        process.send_signal(with_signal)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class PostgresServer:
    """A running server: where its programs are, and its port."""

    programs: Path
    port: int

    def run(self, statement: str) -> None:
        """Run one statement in the database `postgres`."""
        program = [str(self.programs / "psql"), "-X", "-q", "-h", LOOPBACK, "-p", str(self.port), "-U", "postgres"]
        subprocess.run([*program, "-v", "ON_ERROR_STOP=1", "-c", statement], check=True, capture_output=True)

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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL server, started once and ended by its process id."""
    with running_postgres(POSTGRES_SETTINGS) as server:
        yield server


@contextlib.contextmanager
def running_postgres(server_settings: Mapping[str, str]) -> Iterator[PostgresServer]:
    """A private PostgreSQL server with these settings, in a folder that goes with it."""
    programs = postgres_programs()
    folder = Path(tempfile.mkdtemp(prefix="elevon-postgres-"))
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
    server = PostgresServer(programs, free_port())
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


@pytest.fixture(scope="session")
def fresh_postgres_database(postgres_server: PostgresServer) -> FreshDatabase:
    """Makes an empty database at every call and answers its `postgresql+asyncpg://` URL."""

    def make() -> str:
        name = f"elevon_{secrets.token_hex(6)}"
        postgres_server.run(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return f"postgresql+asyncpg://postgres@{LOOPBACK}:{postgres_server.port}/{name}"

    return make


@pytest.fixture
def postgres_url(fresh_postgres_database: FreshDatabase) -> str:
    """The URL of an empty PostgreSQL database that is this test's alone."""
    return fresh_postgres_database()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path}/database-{secrets.token_hex(4)}.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; a test that takes it runs twice, on SQLite and on PostgreSQL."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of a private S3-compatible server, a process of its own; any credentials will do."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"

    def answers() -> bool:
        with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(url, timeout=5):
            return True
        return False

    with tempfile.TemporaryDirectory(prefix="elevon-s3-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            command = ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "moto.server"]
            process = subprocess.Popen([*command, "-H", LOOPBACK, "-p", str(port)], stdout=output, stderr=output)
        try:
            wait_until(answers, process, log)
            yield url
        finally:
            end(process, signal.SIGKILL)  # it keeps nothing that would have to be put in order


@pytest.fixture
def s3_bucket(s3_endpoint: str) -> str:
    """The name of an empty bucket on `s3_endpoint`."""
    name = f"elevon-{secrets.token_hex(6)}"
    request = urllib.request.Request(f"{s3_endpoint}/{name}", method="PUT")
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 200
    return name
