"""Settings: who wins, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from elevon_core.errors import InvalidArgument
from elevon_kit.settings import ServiceSettings, SettingsGroup, parse_arguments
from pydantic import Field


class ShelfSettings(SettingsGroup):
    """A group of the service's own."""

    width: int = Field(3, ge=1)
    labels: tuple[str, ...] = ()


class CatalogSettings(ServiceSettings):
    """Settings as a service declares them."""

    service: ClassVar[str] = "catalog"
    shelf: ShelfSettings = ShelfSettings()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "elevon.yaml"
    path.write_text("catalog:\n  grpc: {port: 1000, host: file}\n  shelf: {width: 7}\nadmin:\n  anything: 1\n")
    return path


def test_defaults_hold_when_nothing_is_said() -> None:
    settings = CatalogSettings.load()
    assert settings.grpc.host == "127.0.0.1"
    assert settings.grpc.port == 0
    assert settings.telemetry.traces == "none"


def test_flags_win_over_environment_over_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVON_CATALOG_GRPC__PORT", "2000")
    monkeypatch.setenv("ELEVON_CATALOG_SHELF__LABELS", '["a", "b"]')
    monkeypatch.setenv("ELEVON_ADMIN_GRPC__PORT", "9")
    settings = CatalogSettings.load([f"--config={config}", "--grpc.drain-seconds", "1.5"])
    assert (settings.grpc.host, settings.grpc.port, settings.grpc.drain_seconds) == ("file", 2000, 1.5)
    assert (settings.shelf.width, settings.shelf.labels) == (7, ("a", "b"))
    assert CatalogSettings.load([f"--config={config}", "--grpc.port=3000"]).grpc.port == 3000
    assert CatalogSettings.load([f"--config={config}"], grpc={"port": 4000}).grpc.port == 4000


def test_the_file_may_be_named_by_the_environment(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVON_CONFIG", str(config))
    assert CatalogSettings.load().shelf.width == 7


def test_a_group_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVON_CATALOG_SHELF", '{"width": 5}')
    assert CatalogSettings.load().shelf.width == 5
    monkeypatch.setenv("ELEVON_CATALOG_SHELF", "{width")
    with pytest.raises(InvalidArgument, match="ELEVON_CATALOG_SHELF is not valid JSON: Expecting property name"):
        CatalogSettings.load()


def test_lists_are_given_as_json() -> None:
    assert CatalogSettings.load(['--shelf.labels=["x"]']).shelf.labels == ("x",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--help"], "settings are given as --config FILE and --group.field=value"),
        (["--grpc.prot=1"], "unknown key grpc.prot"),
        (["--nonsense=1"], "unknown key nonsense"),
        (["--grpc.port=many"], "grpc.port"),
        (["--shelf.width=0"], "shelf.width"),
        (["--grpc.port"], "--grpc.port needs a value"),
        (["grpc.port=1"], "unexpected argument 'grpc.port=1'"),
        (["--shelf.labels=[1"], "--shelf.labels is not valid JSON"),
        (["--config=/does/not/exist.yaml"], "/does/not/exist.yaml cannot be read"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        CatalogSettings.load(arguments)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("ELEVON_CATALOG_GRPC__PROT", "unknown key grpc.prot"),
        ("ELEVON_CATALOG_NONSENSE", "unknown key ELEVON_CATALOG_NONSENSE"),
        ("ELEVON_CATALOG_GRPC_PORT", "unknown key ELEVON_CATALOG_GRPC_PORT"),
    ],
)
def test_unknown_variables_are_errors(variable: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(InvalidArgument) as caught:
        CatalogSettings.load()
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("catalog: {grpc: {prot: 1}}", "unknown key grpc.prot"),
        ("katalog: {}", "unknown section 'katalog'"),
        ("[1, 2]", "must be a mapping of sections"),
        ("catalog: 5", "section 'catalog' must be a mapping"),
        ("catalog: {", "cannot be read"),
    ],
)
def test_a_wrong_file_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "elevon.yaml"
    path.write_text(text)
    with pytest.raises(InvalidArgument) as caught:
        CatalogSettings.load([f"--config={path}"])
    assert message in caught.value.message


def test_secrets_are_not_shown() -> None:
    settings = CatalogSettings.load(["--blobs.s3-secret-access-key=hush"])
    assert "hush" not in repr(settings)
    assert settings.blobs.s3_secret_access_key.get_secret_value() == "hush"


def test_arguments_nest() -> None:
    assert parse_arguments(["--a.b=1", "--a.c", "2", "--d-e=3"]) == {"a": {"b": "1", "c": "2"}, "d_e": "3"}


def test_every_field_of_every_group_is_documented() -> None:
    for name, field in ServiceSettings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, SettingsGroup):
            for inner, described in group.model_fields.items():
                assert described.description, f"{name}.{inner}"
