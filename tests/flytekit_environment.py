"""A virtual environment with the real flytekit, which tests run as users do: outside of Elevon's own environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
ENVIRONMENT = REPOSITORY / ".flytekit-venv"
REQUIREMENTS = (REPOSITORY / "examples/quickstart/requirements.txt", REPOSITORY / "tests/flytekit-requirements.txt")


def flytekit_interpreter() -> Path:
    """The interpreter of the environment, which is made when it is missing: that takes a minute and a package index."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "bin" / "pyflyte-execute").exists():
        _uv("venv", "--clear", "--python", sys.executable if sys.version_info < (3, 13) else "3.12", str(ENVIRONMENT))
    if not _is_complete():
        _uv("pip", "install", "--python", str(python), *(f"--requirements={path}" for path in REQUIREMENTS))
    return python


def _is_complete() -> bool:
    """Whether all that is required was installed, at whatever version."""
    lines = [line for path in REQUIREMENTS for line in path.read_text().splitlines()]
    wanted = {re.split("[<>=~! ]", line)[0].lower().replace("-", "_") for line in lines if line[:1].isalpha()}
    found = {path.name.split("-")[0].lower() for path in ENVIRONMENT.glob("lib/python*/site-packages/*.dist-info")}
    return wanted <= found


def _uv(*arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run([Path(sys.executable).parent / "uv", *arguments], check=True, env=environment, cwd=REPOSITORY)


@pytest.fixture(scope="session")
def flytekit_python() -> Path:
    """The interpreter of an environment with flytekit, pandas and pyarrow."""
    return flytekit_interpreter()
