"""Each finding of the doctor, in words."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from elevon import doctor
from elevon.front_door import UNAVAILABLE
from elevon.layout import Layout
from elevon.settings import StandaloneSettings


def settings(port: int = 0, host: str = "127.0.0.1") -> StandaloneSettings:
    return StandaloneSettings(port=port, host=host, data_dir=Path("/nowhere"), python=Path(sys.executable))


def script(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


@contextmanager
def listener(answer: bytes) -> Iterator[int]:
    """Something that listens, and gives everybody the same answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_the_running_python_is_good_enough() -> None:
    found = doctor.python_of_elevon()
    assert found.ok
    assert sys.executable in found.seen


def test_a_python_that_is_not_there(tmp_path: Path) -> None:
    found = doctor.python_of_tasks(tmp_path / "python")
    assert (found.ok, found.seen) == (False, f"{tmp_path}/python does not exist")
    assert "--python" in found.remedy


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("text")
    found = doctor.python_of_tasks(tmp_path / "python")
    assert not found.ok
    assert "does not run" in found.seen


def test_a_python_without_flytekit(tmp_path: Path) -> None:
    python = script(tmp_path / "python", f'exec {sys.executable} -I -S "$@"')
    found = doctor.python_of_tasks(python)
    assert not found.ok
    assert "cannot import flytekit (ModuleNotFoundError: No module named 'flytekit')" in found.seen
    assert found.remedy == f"install it there: {python} -m pip install flytekit"


def test_a_python_that_fails_silently(tmp_path: Path) -> None:
    found = doctor.python_of_tasks(script(tmp_path / "python", "exit 3"))
    assert not found.ok
    assert "no message" in found.seen


def test_a_python_with_flytekit_that_also_chatters(tmp_path: Path) -> None:
    found = doctor.python_of_tasks(script(tmp_path / "python", "echo welcome to this host\necho 3.12.1 1.16.8"))
    assert found.ok
    assert found.seen == f"3.12.1 with flytekit 1.16.8 at {tmp_path}/python"


def test_a_data_folder_to_be_made_free_and_in_use(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "a" / "data")
    assert doctor.data_folder(layout).seen == f"{layout.root} will be made"
    assert not layout.root.exists()
    layout.root.mkdir(parents=True)
    assert doctor.data_folder(layout).seen == f"{layout.root}, free"
    assert list(layout.root.iterdir()) == []
    lock = layout.lock()
    found = doctor.data_folder(layout)
    assert found.ok
    assert "in use by process" in found.seen
    lock.truncate(0)
    assert "in use by services that have not ended yet" in doctor.data_folder(layout).seen
    lock.close()
    assert doctor.data_folder(layout).seen == f"{layout.root}, free"


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        found = doctor.data_folder(Layout(root))
        assert (found.ok, found.seen) == (False, f"{tmp_path}/file is not a folder")
        assert "--data-dir" in found.remedy
    (tmp_path / "lock").mkdir()
    found = doctor.data_folder(Layout(tmp_path))
    assert not found.ok
    assert "cannot be opened: Is a directory" in found.seen


def test_a_disk_with_and_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ENOUGH_DISK_BYTES", 1)
    assert doctor.disk(tmp_path / "not" / "there").ok
    monkeypatch.setattr(doctor, "ENOUGH_DISK_BYTES", 1 << 60)
    found = doctor.disk(tmp_path)
    assert not found.ok
    assert "GiB free" in found.seen


def test_a_free_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert doctor.port(settings(port)).seen == f"{port} on 127.0.0.1 is free"


@pytest.mark.parametrize(
    "answer", [b'HTTP/1.1 200 OK\r\n\r\n{"status":"SERVING"}', b"HTTP/1.1 503 \r\n\r\nNOT_SERVING", UNAVAILABLE]
)
def test_a_port_that_a_control_plane_answers(answer: bytes) -> None:
    with listener(answer) as port:
        found = doctor.port(settings(port))
    assert (found.ok, found.seen) == (True, f"{port} on 127.0.0.1 is answered by a control plane")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\nhello"])
def test_a_port_that_a_stranger_has(answer: bytes) -> None:
    with listener(answer) as port:
        found = doctor.port(settings(port))
    assert (found.ok, found.seen) == (False, f"{port} on 127.0.0.1 is taken, and not by a control plane")
    assert "--port" in found.remedy


def test_an_address_that_is_not_here() -> None:
    found = doctor.port(settings(0, host="192.0.2.1"))
    assert not found.ok
    assert "cannot be used" in found.seen


def test_variables_that_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLYTE_PLATFORM_URL", raising=False)
    assert list(doctor.client_environment(settings(30080))) == []
    monkeypatch.setenv("FLYTE_PLATFORM_URL", "dns:///localhost:30080")
    monkeypatch.setenv("FLYTE_PLATFORM_INSECURE", "True")
    assert [found.ok for found in doctor.client_environment(settings(30080))] == [True, True]
    monkeypatch.setenv("FLYTE_PLATFORM_URL", "flyte.example.com")
    monkeypatch.delenv("FLYTE_PLATFORM_INSECURE")
    url, insecure = doctor.client_environment(settings(30080))
    assert (url.ok, url.remedy) == (False, "export FLYTE_PLATFORM_URL=localhost:30080")
    assert (insecure.ok, insecure.remedy) == (False, "export FLYTE_PLATFORM_INSECURE=true")


def test_settings_that_a_service_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "elevon.yaml"
    config.write_text("admin: {watch: {max_strems: 1}}\npropeller: {engine: {replica_name: one}}\n")
    monkeypatch.delenv("ELEVON_CATALOG_SPEED", raising=False)
    looked_at = StandaloneSettings(python=Path(sys.executable), config=config)
    catalog, propeller, admin = doctor.service_settings(looked_at)
    assert (catalog.ok, propeller.ok, admin.ok) == (True, True, False)
    assert (admin.subject, admin.seen) == ("settings of admin", "unknown key watch.max_strems")
    monkeypatch.setenv("ELEVON_CATALOG_SPEED", "11")
    assert "ELEVON_CATALOG_SPEED" in next(doctor.service_settings(looked_at)).seen
    assert not any(found.ok for found in doctor.examine(looked_at) if found.subject == "settings of admin")


def test_findings_are_shown_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    good = doctor.Finding("sun", True, "shines", "never said")
    assert doctor.show([good]) == 0
    assert capsys.readouterr().out == "ok      sun: shines\nnothing is wrong\n"
    assert doctor.show([good, doctor.Finding("rain", False, "falls", "take an umbrella")]) == 1
    said = capsys.readouterr().out
    assert "PROBLEM rain: falls\n        take an umbrella\n1 to mend\n" in said
    assert "never said" not in said


def test_examining_changes_nothing(tmp_path: Path) -> None:
    looked_at = StandaloneSettings(port=0, data_dir=tmp_path / "data", python=tmp_path / "python")
    subjects = [found.subject for found in doctor.examine(looked_at)]
    assert subjects[:5] == ["Python", "Python for tasks", "data folder", "disk", "port"]
    assert list(tmp_path.iterdir()) == []
