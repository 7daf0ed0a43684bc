"""The commands of the examples' README do what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.harness import Plane
from tests.flytekit_environment import REPOSITORY

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FOLDER = REPOSITORY / "examples" / "node_kinds"


def rows() -> dict[str, list[list[str]]]:
    """The commands of the table, by the folder they are about."""
    found = {}
    for line in (FOLDER / "README.md").read_text().splitlines():
        row = re.fullmatch(r"\| \[.*\]\((\w+)/workflows\.py\) \| .* \| (`.*`) \|", line)
        if row is not None:
            found[row.group(1)] = [shlex.split(command) for command in re.findall(r"`([^`]+)`", row.group(2))]
    return found


def run(plane: Plane, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command with its files named in full; it is run from anywhere."""
    return plane.flytekit(*(FOLDER / word if word.endswith(".py") else word for word in command), check=False)


def test_every_example_has_its_line() -> None:
    assert set(rows()) == {path.parent.name for path in FOLDER.glob("*/workflows.py")}


def test_the_commands_work(plane: Plane) -> None:
    def all_of(commands: list[list[str]]) -> subprocess.CompletedProcess[str]:
        return [run(plane, command) for command in commands][-1]

    with ThreadPoolExecutor(3) as pool:
        ended = dict(zip(rows(), pool.map(all_of, rows().values()), strict=True))
    failed = ended.pop("failure_node")
    assert {kind: done.stdout + done.stderr for kind, done in ended.items() if done.returncode} == {}
    assert "published: # Elevon" in ended["gate"].stdout
    assert failed.returncode
    assert "this machine does not work" in failed.stdout + failed.stderr
