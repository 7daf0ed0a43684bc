"""Each wheel installs into a bare environment and brings only what it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).parent / "uv"
MEMBERS = [*sorted(ROOT.glob("libs/*")), *sorted(ROOT.glob("services/*")), ROOT / "clients" / "python"]
SERVICES = ("admin", "catalog", "propeller")
SERVER_PACKAGES = {"sqlalchemy", "alembic", "starlette", "uvicorn", "obstore", "pydantic", "opentelemetry-sdk"}

pytestmark = pytest.mark.timeout(300)


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for member in MEMBERS:
        run(UV, "build", "--quiet", "--wheel", "--out-dir", folder, member)
    return folder


def install(wheels: Path, environment: Path, *names: str) -> Path:
    run(UV, "venv", "--quiet", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--python", python, "--find-links", wheels, *names)
    return python


def installed(python: Path) -> set[str]:
    rows = json.loads(run(UV, "pip", "list", "--python", python, "--format", "json"))
    return {row["name"] for row in rows}


def test_the_client_brings_no_server(wheels: Path, tmp_path: Path) -> None:
    python = install(wheels, tmp_path / "client", "elevon-client")
    run(python, "-I", "-c", "from elevon_client import Client; import elevon_idl.admin.v1")
    assert installed(python) & SERVER_PACKAGES == set()
    assert {name for name in installed(python) if name.startswith("elevon")} == {"elevon-client", "elevon-idl"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_brings_only_its_own(service: str, wheels: Path, tmp_path: Path) -> None:
    python = install(wheels, tmp_path / service, f"elevon-{service}")
    run(python, "-I", "-c", f"import elevon_{service}.app, elevon_{service}.__main__")
    expected = {f"elevon-{service}", "elevon-core", "elevon-idl", "elevon-kit"}
    assert {name for name in installed(python) if name.startswith("elevon")} == expected


def test_the_command_brings_everything(wheels: Path, tmp_path: Path) -> None:
    python = install(wheels, tmp_path / "all", "elevon")
    assert run(python.parent / "elevon", "version").strip() == "0.1.0"
    assert {f"elevon-{service}" for service in SERVICES} <= installed(python)


def test_wheels_hold_code_and_migrations(wheels: Path) -> None:
    import zipfile

    for service in SERVICES:
        wheel = next(wheels.glob(f"elevon_{service}-*.whl"))
        names = zipfile.ZipFile(wheel).namelist()
        assert any("/store/migrations/versions/" in name for name in names), f"{wheel.name} lacks its migrations"
