"""Small executions and chosen faults, for plays that show one thing."""

from __future__ import annotations

import random
from collections.abc import Sequence

from elevon_propeller.simulation.blueprint import Blueprint, Graph, Step
from elevon_propeller.simulation.faults import Danger, Fault, Faults
from elevon_propeller.simulation.ledger import Violation
from elevon_propeller.simulation.scene import Script, UnrulyDriver, play

Stage = tuple[str, Danger, float]


class Staged(Faults):
    """Each danger meets the first call or observation, after that of the one before, whose description has a text."""

    def __init__(self, *stages: Stage) -> None:
        super().__init__(random.Random(0), 0.0)
        self.stages = list(stages)

    def next(self, kinds: tuple[Danger, ...], what: str) -> Fault | None:
        """The next stage, when its call has come."""
        self.moment += 1
        if not self.stages or self.stages[0][0] not in what or self.stages[0][1] not in kinds:
            return None
        _, danger, length = self.stages.pop(0)
        fault = Fault(self.moment, danger, length)
        self.happened.append(fault)
        return fault


def staged(steps: Sequence[Step], *stages: Stage, seed: int = 0, replicas: int = 1, **options: object) -> None:
    """Play an execution of these steps, the last one's value being its output; raises Violation.

    Other options are the blueprint's. All stages must have been reached.
    """
    graph = Graph("g0", tuple(steps), steps[-1].id)
    blueprint = Blueprint(graph, **options)  # type: ignore[arg-type]  # by name
    faults = Staged(*stages)
    outcome = play(Script(seed, blueprint, replicas, local=False), faults)
    if outcome.violation is not None:
        raise outcome.violation
    assert not faults.stages, f"never came to {faults.stages}"


def first_violation(driver: type[UnrulyDriver], seeds: range) -> Violation | None:
    """What the first of some seeds breaks that breaks anything, with this driver."""
    outcomes = (play(Script.of_seed(seed), driver=driver).violation for seed in seeds)
    return next((violation for violation in outcomes if violation is not None), None)
