"""The `elevon` command as a user types it: real processes, real output, exit codes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import admin_service_pb2_grpc

ELEVON = (sys.executable, "-m", "elevon")
READY = re.compile(r"ready: Elevon answers on localhost:(\d+) ")


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without anybody's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ELEVON_", "FLYTE_"))} | extra


def elevon(*words: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*ELEVON, *map(str, words)],
        capture_output=True,
        text=True,
        env=environment(**extra),
        timeout=100,
        check=False,
    )


class Up:
    """A running `elevon up`; what it prints is collected."""

    def __init__(self, data_dir: Path, *words: str | Path, **extra: str) -> None:
        command = [*ELEVON, "up", "--port", "0", "--data-dir", str(data_dir), "--python", sys.executable]
        self.process = subprocess.Popen(
            [*command, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(**extra),
        )
        self.output = ""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    def port(self) -> int:
        """The port of the ready line."""
        until(lambda: READY.search(self.output) or self.process.poll() is not None)
        found = READY.search(self.output)
        assert found, self.output
        return int(found[1])

    def service(self, name: str) -> int:
        """The process id of a service."""
        pid = self.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if f"elevon_{name}" in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
        raise AssertionError(f"{name} does not run")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; answers the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(60)
        self.reader.join(30)
        return code


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    """Wait for a callable to answer something true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@contextlib.contextmanager
def running(data_dir: Path, *words: str | Path, **extra: str) -> Iterator[Up]:
    """An `elevon up` that is ended whatever happens."""
    up = Up(data_dir, *words, **extra)
    try:
        yield up
    finally:
        up.end()


def healthy(port: int) -> bool:
    """Whether the one port answers HTTP."""
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/healthcheck", timeout=20) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def is_running(pid: int) -> bool:
    """Whether the process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def projects(port: int) -> list[str]:
    """The projects, over gRPC on the one port."""
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        stub = admin_service_pb2_grpc.AdminServiceStub(channel)
        answer = stub.ListProjects(admin.ProjectListRequest(), timeout=30, wait_for_ready=True)
        return [project.id for project in answer.projects]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A control plane for the tests that leave it running; its connector service is not there."""
    with running(tmp_path_factory.mktemp("up") / "data", "--connector", "far=127.0.0.1:9") as started:
        started.port()
        yield started


def data_dir(up: Up) -> Path:
    """Where it keeps its data."""
    found = re.search(r"data and logs +(\S+)", up.output)
    assert found
    return Path(found[1])


def test_the_ready_line_names_a_port_that_answers_grpc_and_http(up: Up) -> None:
    port = up.port()
    assert port != 0
    assert healthy(port)
    assert "flytesnacks" in projects(port)
    assert f"FLYTE_PLATFORM_URL=localhost:{port} FLYTE_PLATFORM_INSECURE=true" in up.output


def test_pages_of_strangers_are_kept_out(up: Up) -> None:
    address = f"http://localhost:{up.port()}/api/v1/projects"
    body = b'{"project": {"id": "strange", "name": "strange"}}'
    for headers in ({"Origin": "https://strange.example.com"}, {"Host": f"strange.example.com:{up.port()}"}):
        asked = urllib.request.Request(address, body, headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked, timeout=10)
        assert refused.value.code == 403
    page = urllib.request.Request(address, headers={"Origin": "http://127.0.0.1:3000"})
    with urllib.request.urlopen(page, timeout=10) as answer:
        assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1:3000"
        assert b"strange" not in answer.read()


def test_a_connector_service_that_is_away_keeps_nothing_from_starting(up: Up) -> None:
    up.port()
    until(lambda: "far=127.0.0.1:9" in up.output)
    log = data_dir(up) / "logs" / "propeller.log"
    until(lambda: "connector service 'far' at 127.0.0.1:9" in log.read_text())


def test_a_second_one_on_the_same_folder_says_who_holds_it(up: Up) -> None:
    began = time.monotonic()
    second = elevon("up", "--port", "0", "--data-dir", data_dir(up), "--python", sys.executable)
    assert second.returncode == 1
    assert f"already runs on {data_dir(up)} (process {up.process.pid})" in second.stderr
    assert "Traceback" not in second.stderr
    assert time.monotonic() - began < 60
    assert healthy(up.port())


def test_a_reset_of_a_folder_in_use_changes_nothing(up: Up) -> None:
    refused = elevon("up", "--reset", "--port", "0", "--data-dir", data_dir(up), "--python", sys.executable)
    assert refused.returncode == 1
    assert (data_dir(up) / "admin.sqlite").exists()
    assert "flytesnacks" in projects(up.port())


def test_migrating_a_folder_in_use_is_refused(up: Up) -> None:
    refused = elevon("migrate", "--data-dir", data_dir(up))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "already runs" in refused.stderr
    assert "stop it first" in refused.stderr


def test_the_doctor_knows_a_control_plane_when_it_meets_one(up: Up, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3.11.0 1.16.8\n")
    python.chmod(0o755)
    seen = elevon("doctor", "--data-dir", data_dir(up), "--port", str(up.port()), "--python", python)
    assert seen.returncode == 0, seen.stdout
    assert "is answered by a control plane" in seen.stdout
    assert f"in use by process {up.process.pid}" in seen.stdout
    assert seen.stdout.endswith("nothing is wrong\n")
    seen = elevon("doctor", "--data-dir", data_dir(up), "--port", "0", "--python", tmp_path / "nowhere")
    assert seen.returncode == 1
    assert seen.stdout.endswith("1 to mend\n")


@pytest.mark.parametrize("service", ["admin", "catalog", "propeller"])
def test_a_killed_service_starts_again_and_the_port_keeps_answering(up: Up, service: str) -> None:
    port, killed = up.port(), up.service(service)
    os.kill(killed, signal.SIGKILL)
    until(lambda: not is_running(killed))
    until(lambda: healthy(port))  # waits at the front door while admin is away; its last threads may yet cut one off
    until(lambda: f"{service} ended (-9); started again" in up.output)
    assert up.service(service) != killed
    assert "flytesnacks" in projects(port)


def test_a_taken_port_is_said_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = elevon("up", "--port", str(port), "--data-dir", tmp_path, "--python", sys.executable)
    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: something listens there already" in refused.stderr
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "admin.sqlite").exists()


def test_drain_resume_and_reset(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running(folder) as first:
        first.port()
        assert first.end(signal.SIGTERM) == 0
    assert first.output.endswith("draining…\n")
    key = (folder / "signing.key").read_text()
    (folder / "blobs" / "kept").write_text("data")
    with sqlite3.connect(folder / "admin.sqlite") as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 1
    database.close()
    with running(folder) as second:
        second.port()
        assert (folder / "signing.key").read_text() == key
        assert (folder / "blobs" / "kept").read_text() == "data"
        assert second.end(signal.SIGINT) == 0
    with running(folder, "--reset") as third:
        assert "flytesnacks" in projects(third.port())
        assert (folder / "signing.key").read_text() != key
        assert not (folder / "blobs" / "kept").exists()


def test_a_second_signal_ends_what_does_not_drain(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running(folder) as up:
        up.port()
        services = [up.service(name) for name in ("admin", "propeller", "catalog")]
        os.kill(up.service("propeller"), signal.SIGSTOP)
        up.process.send_signal(signal.SIGINT)
        until(lambda: "draining" in up.output)
        assert up.process.poll() is None
        assert up.end(signal.SIGINT) == 1
        assert up.output.endswith("draining…\nending at once: what ran is resumed with the next start\n")
        until(lambda: not any(is_running(service) for service in services))
    with running(folder) as following:
        assert healthy(following.port())


def test_a_signal_during_the_start_ends_it(tmp_path: Path) -> None:
    with running(tmp_path / "data") as up:
        until(lambda: (tmp_path / "data" / "logs").exists())
        assert up.end() == 0
        assert "ready" not in up.output


def test_names_that_are_nowhere_are_said(up: Up) -> None:
    target = f"localhost:{up.port()}"
    for words, said in (
        (("get", "executions", "-p", "nosuch"), "there is no project 'nosuch'; there are: .*flytesnacks"),
        (("get", "tasks", "-d", "nosuch"), "project flytesnacks has no domain 'nosuch'; there are: development, "),
        (("get", "workflows", "-p", "nosuch"), "there is no project 'nosuch'"),
        (("get", "launch-plans", "-d", "nosuch"), "has no domain 'nosuch'"),
        (("get", "schedules", "-p", "nosuch"), "there is no project 'nosuch'"),
        (("get", "ticks", "-d", "nosuch"), "has no domain 'nosuch'"),
    ):
        done = elevon(*words, "--target", target)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.search(said, done.stderr)
    assert elevon("get", "executions", "--target", target, "--phase", "failed").returncode == 0


def test_a_killed_supervisor_leaves_the_folder_to_the_next_one(tmp_path: Path) -> None:
    with running(tmp_path / "data") as killed:
        killed.port()
        killed.end(signal.SIGKILL)
        with running(tmp_path / "data") as following:
            assert healthy(following.port())


def test_the_settings_file_reaches_the_services_and_wins_over_what_fits_one_machine(tmp_path: Path) -> None:
    config = tmp_path / "elevon.yaml"
    database = tmp_path / "elsewhere" / "admin.db"
    config.write_text(
        f"standalone:\n  public_host: 127.0.0.1\n"
        f"admin:\n  projects: [{{id: mine}}]\n  gateway: {{allowed_origins: ['*'], refuse_other_origins: false}}\n"
        f"  database:\n    url: sqlite+aiosqlite:///{database}\n"
    )
    with running(tmp_path / "data", "--config", config) as up:
        until(lambda: "ready" in up.output or up.process.poll() is not None)
        found = re.search(r"answers on 127\.0\.0\.1:(\d+)", up.output)
        assert found, up.output
        assert projects(int(found[1])) == ["mine"]
        page = {"Origin": "https://console.example.com"}
        asked = urllib.request.Request(f"http://127.0.0.1:{found[1]}/api/v1/projects", headers=page)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert answer.headers["access-control-allow-origin"] == page["Origin"]
        assert database.exists()
        assert not (tmp_path / "data" / "admin.sqlite").exists()


def test_a_service_that_refuses_its_settings_is_quoted(tmp_path: Path) -> None:
    config = tmp_path / "elevon.yaml"
    config.write_text("catalog:\n  speed: 11\n")
    refused = elevon("up", "--port", "0", "--data-dir", tmp_path, "--python", sys.executable, "--config", config)
    assert refused.returncode == 1
    assert "the catalog service ended with code 2" in refused.stderr
    assert "unknown key speed" in refused.stderr
    assert "Traceback" not in refused.stderr
    seen = elevon("doctor", "--data-dir", tmp_path, "--python", sys.executable, "--config", config)
    assert seen.returncode == 1
    assert "PROBLEM settings of catalog: unknown key speed" in seen.stdout


def test_migrate_makes_the_schemas(tmp_path: Path) -> None:
    for _ in range(2):
        done = elevon("migrate", "--data-dir", tmp_path / "data")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "admin: up to date"
    for service in ("admin", "catalog", "propeller"):
        assert (tmp_path / "data" / f"{service}.sqlite").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "--port", "0", "--python", "/nowhere/python"], "there is no Python for tasks at /nowhere/python"),
        (["up", "--port", "0", "--python", "/etc/passwd"], "there is no Python for tasks at /etc/passwd"),
        (["up", "--python", sys.executable, "--data-dir", "/etc/passwd"], "/etc/passwd cannot be the data folder"),
        (["up", "--python", sys.executable, "--data-dir", "/proc/none/x"], "/proc/none/x cannot be the data folder"),
        (["migrate", "--data-dir", "/etc/passwd"], "/etc/passwd cannot be the data folder"),
        (["up", "--config", "/etc/shadow/x"], "does not exist"),
        (["up", "--config", "{bad}"], "unknown section 'nobody'"),
        (["doctor", "--config", "{bad}"], "unknown section 'nobody'"),
        (["migrate", "--config", "{bad}"], "unknown section 'nobody'"),
        (["up", "--port", "99999"], "less than or equal to 65535"),
        (["up", "--connector", "=x"], "'=x' is neither host:port nor name=host:port"),
        (["up", "--connector", "foo"], "'foo' is neither host:port nor name=host:port"),
        (["get", "executions", "--phase", "BOGUS"], "'BOGUS' is no phase; there are:"),
        (["up", "--port", "0", "--python", sys.executable, "--host", "192.0.2.1", "--data-dir", "{tmp}"], "cannot li"),
        (["up", "--port", "0", "--python", sys.executable, "--host", "no.invalid", "--data-dir", "{tmp}"], "cannot li"),
    ],
)
def test_ordinary_mistakes_get_a_sentence(tmp_path: Path, words: list[str], said: str) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("nobody: {}\n")
    done = elevon(*(word.format(bad=bad, tmp=tmp_path / "data") for word in words))
    assert done.returncode in (1, 2)
    flat = re.sub(r"[│\s]+", " ", done.stderr)
    assert said in flat
    assert "Traceback" not in done.stderr


def test_variables_nobody_knows_are_refused(tmp_path: Path) -> None:
    done = elevon("up", "--data-dir", tmp_path, ELEVON_STANDALONE_PROT="1")
    assert done.returncode == 1
    assert "unknown key ELEVON_STANDALONE_PROT" in done.stderr


def test_the_version_is_printed() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", elevon("version").stdout)
