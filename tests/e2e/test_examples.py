"""The commands of the examples' README do what it says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.e2e.harness import Plane
from tests.flytekit_environment import REPOSITORY

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SESSION = Path(__file__).parent / "command_session.py"
FOLDER = REPOSITORY / "examples" / "node_kinds"


def rows() -> dict[str, list[list[str]]]:
    """The commands of the table, by the folder they are about."""
    found = {}
    for line in (FOLDER / "README.md").read_text().splitlines():
        row = re.fullmatch(r"\| \[.*\]\((\w+)/workflows\.py\) \| .* \| (`.*`) \|", line)
        if row is not None:
            found[row.group(1)] = [shlex.split(command) for command in re.findall(r"`([^`]+)`", row.group(2))]
    return found


def test_every_example_has_its_line() -> None:
    assert set(rows()) == {path.parent.name for path in FOLDER.glob("*/workflows.py")}


def test_the_commands_work(plane: Plane) -> None:
    """All pyflyte commands in one process, and then what a person does at the gates."""
    told = {kind: [in_full(word) for word in commands[0][1:]] for kind, commands in rows().items()}
    done = plane.flytekit("python", SESSION, "apart", given=json.dumps(list(told.values())))
    ended = dict(zip(told, json.loads(done.stdout.splitlines()[-1]), strict=True))
    failed = ended.pop("failure_node")
    assert {kind: each["output"] for kind, each in ended.items() if each["code"]} == {}
    assert failed["code"]
    assert "this machine does not work" in failed["output"]
    _, (program, script) = rows()["gate"]
    assert "published: # Elevon" in plane.flytekit(program, in_full(script)).stdout


def in_full(word: str) -> str:
    return str(FOLDER / word) if word.endswith(".py") else word
