"""Runs of the feature projects: many at a time, with a real FlyteRemote, told as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.harness import Plane

VERSION = "features"
MODULES = ("branching", "composed", "dynamics", "failing", "eagerly", "typed", "framed")
SESSION = Path(__file__).parent / "feature_session.py"
SUCCEEDED, FAILED, SKIPPED = 3, 5, 6
"""Node phases, as FlyteRemote tells them."""

Case = tuple[str, Mapping[str, Any]]
"""The name of a launch plan and inputs."""


@dataclass(frozen=True)
class Ended:
    """What FlyteRemote knew of an execution that had ended."""

    name: str
    phase: str
    outputs: dict[str, Any]
    error: dict[str, Any]
    nodes: dict[str, Any]

    def values(self) -> list[Any]:
        """The outputs `o0`, `o1`… in order; asserts that there are outputs."""
        assert self.phase == "SUCCEEDED", self.error
        return [self.outputs[f"o{number}"] for number in range(len(self.outputs))]

    @property
    def value(self) -> Any:
        """The only output."""
        (found,) = self.values()
        return found

    @property
    def message(self) -> str:
        """Why the execution has failed; asserts that it has."""
        assert self.phase == "FAILED", self.phase
        return str(self.error["message"])

    def below(self, *path: str) -> dict[str, Any]:
        """The nodes below a node."""
        found = self.nodes
        for node_id in path:
            found = found[node_id]["nodes"]
        return found


def register_features(plane: Plane) -> None:
    """Register all feature modules, and then what refers to them."""
    plane.flytekit("pyflyte", "register", "--version", VERSION, *(f"{module}.py" for module in MODULES))
    plane.flytekit("pyflyte", "register", "--version", VERSION, "referring.py")


def run_cases(plane: Plane, cases: Mapping[str, Case], kind: str = "plan") -> dict[str, Ended]:
    """Launch all cases at the same time and follow every node of each."""
    told = {case: [kind, name, inputs] for case, (name, inputs) in cases.items()}
    done = plane.flytekit("python", SESSION, VERSION, given=json.dumps(told))
    found = json.loads(done.stdout)
    slow = [case for case, ended in found.items() if ended["phase"] == "too slow"]
    assert not slow, f"{slow} did not end in time"
    return {case: Ended(**{**ended, "error": ended["error"] or {}}) for case, ended in found.items()}
