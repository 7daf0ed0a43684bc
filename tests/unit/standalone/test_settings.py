"""Where settings come from, which wins, and what is said about those nobody knows."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from elevon.overrides import Overrides
from elevon.settings import StandaloneSettings, connector_addresses, default_data_dir, default_python
from elevon_core.errors import InvalidArgument


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ELEVON_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "elevon.yaml"
    path.write_text("standalone:\n  port: 1001\n  host: 127.0.0.9\nadmin:\n  database:\n    url: sqlite:///x.db\n")
    return path


def test_flags_win_over_the_environment_and_it_over_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert StandaloneSettings.load().port == 30080
    assert StandaloneSettings.load(config).port == 1001
    monkeypatch.setenv("ELEVON_STANDALONE_PORT", "1002")
    assert StandaloneSettings.load(config).port == 1002
    assert StandaloneSettings.load(config, port=1003).port == 1003
    assert StandaloneSettings.load(config, port=None).port == 1002
    assert StandaloneSettings.load(config, port=1003).host == "127.0.0.9"


def test_the_file_may_be_named_in_the_environment(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVON_CONFIG", str(config))
    settings = StandaloneSettings.load()
    assert settings.port == 1001
    assert settings.config == config


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("standalone:\n  prot: 1\n", "unknown key prot"),
        ("standalone:\n  port: many\n", "port: .*many"),
        ("standalone:\n  port: 70000\n", "port: .*70000"),
        ("standalone: 5\n", "'standalone' must be a mapping"),
        ("stand_alone: {}\n", "unknown section 'stand_alone'"),
        ("- a list\n", "mapping of sections"),
        ("a: [\n", "cannot be read"),
        ("\x00", "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InvalidArgument, match=named):
        StandaloneSettings.load(path)


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVON_CONFIG", "/nowhere/elevon.yaml")
    with pytest.raises(InvalidArgument, match=r"/nowhere/elevon\.yaml"):
        StandaloneSettings.load()


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [("PROT", "1", "ELEVON_STANDALONE_PROT"), ("PORT", "x", "port: .*'x'"), ("DRAIN_SECONDS", "-1", "drain_seconds")],
)
def test_a_bad_variable_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
) -> None:
    monkeypatch.setenv(f"ELEVON_STANDALONE_{variable}", value)
    with pytest.raises(InvalidArgument, match=named):
        StandaloneSettings.load()


def test_an_unknown_flag_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match="unknown key speed"):
        StandaloneSettings.load(speed=1)


def test_a_folder_here_wins_over_the_one_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_data_dir() == Path.home() / ".elevon"
    (tmp_path / ".elevon").mkdir()
    assert default_data_dir() == tmp_path / ".elevon"


def test_the_tasks_python_is_the_first_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert default_python() == Path(sys.executable)
    (tmp_path / "python3").symlink_to(sys.executable)
    assert default_python() == tmp_path / "python3"


def test_what_the_user_set_for_a_service_is_found(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Overrides.read(None).get("admin", "DATABASE__URL") is None
    assert Overrides.read(config).get("admin", "DATABASE__URL") == "sqlite:///x.db"
    assert Overrides.read(config).get("admin", "DATABASE__URL__DEEPER") is None
    assert Overrides.read(config).get("catalog", "DATABASE__URL") is None
    monkeypatch.setenv("elevon_admin_database__url", "sqlite:///y.db")
    assert Overrides.read(config).get("admin", "DATABASE__URL") == "sqlite:///y.db"


def test_connector_services_have_names() -> None:
    given = ["spark=s:1", "a:1", "b:2"]
    targets = ["k8s:///a.b:http", "dns:///a:1", "[::1]:80", "unix:/run/x"]
    assert list(connector_addresses(f"{number}={each}" for number, each in enumerate(targets)).values()) == targets
    assert connector_addresses(given) == {"spark": "s:1", "default": "a:1", "b:2": "b:2"}
    assert StandaloneSettings.load(connectors=given).connectors == given
    assert StandaloneSettings.load().connectors == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["=a:1"], "neither host:port"),
        (["x="], "neither"),
        (["foo"], "'foo' is neither"),
        (["x=foo:"], "neither"),
        ([":8000"], "neither"),
        (["foo:http"], "neither"),
        (["foo:65536"], "neither"),
        (["foo:0"], "neither"),
        (["x=y=foo:80"], "neither"),
        (["x=f oo:80"], "neither"),
        (["http://foo"], "neither"),
        (["x=a:1", "x=b:1"], "called 'x'"),
    ],
)
def test_connector_services_that_cannot_be_are_refused(given: list[str], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        StandaloneSettings.load(connectors=given)
