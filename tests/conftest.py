"""What tests of every area share: real databases and a real object store, private to the session, on loopback."""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # before gRPC is imported; see elevon_kit

from elevon_kit.migrations import Migrations

from tests.postgres import EMPTY, SETTINGS, PostgresServer, folder_in_memory, running_postgres
from tests.schemas import Schemas
from tests.servers import LOOPBACK, end, free_port, wait_until

FreshDatabase = Callable[[], str]

# As in jobs of a shell's background; tests interrupt what they begin.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about the machine than about what is tested.
settings.register_profile("new-examples", deadline=None)
settings.register_profile("same-examples", deadline=None, derandomize=True)
settings.load_profile("new-examples")

LONG = ("tests/simulation/", "tests/e2e/", "tests/load/", "tests/packaging/", "tests/integration/standalone/")
"""Where a file can take a minute or more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long files begin: in a run with several processes, one that began last would be left over alone."""
    items.sort(
        key=lambda item: next((rank for rank, place in enumerate(LONG) if item.nodeid.startswith(place)), len(LONG))
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector the thousands of tests: a third of the time it takes to collect them goes there."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL server, started once and ended by its process id."""
    with running_postgres(SETTINGS, folder_in_memory()) as server:
        yield server


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Schemas:
    """Databases with the newest schema of a service, for tests to begin with a copy."""
    return Schemas(tmp_path_factory.mktemp("schemas"))


@pytest.fixture
def schema(request: pytest.FixtureRequest) -> Migrations | None:
    """Whose newest schema this test's databases have from the start; None for empty ones.

    A module chooses by the marker `schema`, a folder by a fixture of this name.
    """
    marker = request.node.get_closest_marker("schema")
    chosen: Migrations | None = marker.args[0] if marker else None
    return chosen


@pytest.fixture(scope="session")
def fresh_postgres_database(postgres_server: PostgresServer) -> FreshDatabase:
    """Makes an empty database at every call and answers its `postgresql+asyncpg://` URL."""
    return lambda: postgres_server.url(postgres_server.create())


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, schemas: Schemas, schema: Migrations | None) -> Iterator[str]:
    """The URL of a PostgreSQL database that is this test's alone: empty, or with the `schema`."""
    template = EMPTY if schema is None else schemas.postgres(postgres_server, schema)
    name = postgres_server.create(template)
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def sqlite_url(tmp_path: Path, schemas: Schemas, schema: Migrations | None) -> str:
    """The URL of a SQLite file: one that does not exist yet, or one with the `schema`."""
    path = tmp_path / f"database-{secrets.token_hex(4)}.db"
    if schema is not None:
        shutil.copyfile(schemas.sqlite(schema), path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database; a test that takes it runs twice, on SQLite and on PostgreSQL."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of a private S3-compatible server, a process of its own; any credentials will do."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"

    def answers() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
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
