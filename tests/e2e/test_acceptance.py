"""What the SDK's own integration suite expects of a back end, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.harness import Plane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

HERE = Path(__file__).parent
VERSION = "acceptance"
STEPS = ("progress", "nesting", "inheritance", "options", "absence", "registry", "references", "scripts")


@pytest.fixture(scope="module")
def told(plane: Plane) -> Mapping[str, str]:
    plane.register("acceptance", VERSION)
    done = plane.flytekit("python", HERE / "acceptance_session.py", VERSION)
    return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)


@pytest.mark.parametrize("step", STEPS)
def test_flyte_remote_finds_what_it_expects(told: Mapping[str, str], step: str) -> None:
    assert told[step] == "ok"


def test_tasks_of_a_notebook_travel_as_pickles(plane: Plane) -> None:
    done = plane.flytekit("python", HERE / "as_notebook.py", HERE / "notebook_session.py", "notebook")
    assert done.stdout.strip().endswith("every step worked"), done.stdout + done.stderr
