"""A virtual environment with the real flytekit, which tests run as users do: outside of Elevon's own environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
ENVIRONMENT = REPOSITORY / ".flytekit-venv"
PACKAGES = ("flytekit", "pandas", "pyarrow")


def flytekit_interpreter() -> Path:
    """The interpreter of the environment, which is made when it is missing: that takes a minute and a package index."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "bin" / "pyflyte-execute").exists():
        _uv("venv", "--clear", "--python", "3.11", str(ENVIRONMENT))
        _uv("pip", "install", "--python", str(python), *PACKAGES)
    return python


def _uv(*arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run([Path(sys.executable).parent / "uv", *arguments], check=True, env=environment, cwd=REPOSITORY)


@pytest.fixture(scope="session")
def flytekit_python() -> Path:
    """The interpreter of an environment with flytekit, pandas and pyarrow."""
    return flytekit_interpreter()
