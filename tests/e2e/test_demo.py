"""The demonstration shows what it promises, and what it says to do next works."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import Plane
from tests.flytekit_environment import REPOSITORY
from tests.servers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SCRIPT = REPOSITORY / "examples" / "quickstart" / "demo.py"


def test_the_demonstration_and_what_it_says_to_do_next(plane: Plane, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--port", str(free_port()), "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, env={**os.environ, "COLUMNS": "200"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Both executions succeeded; the second took its models from the cache." in done.stdout
    (line,) = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("pyflyte run")]
    words = [str(REPOSITORY / word) if word.endswith(".py") else word for word in shlex.split(line)]
    again = plane.flytekit(*words)
    assert "has succeeded" in again.stdout
