"""What a blueprint comes to by its fates alone, worked out without an engine: what timing must not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from elevon_propeller.simulation.blueprint import BREAKS, DIES, SUCCEEDS, Blueprint, Graph, Step, steps_of

MODULUS = 1_009
SYSTEM_RETRIES = 3


@dataclass(frozen=True, slots=True)
class Ending:
    """How a step ends: with a value, without one because it failed, or skipped."""

    phase: str
    number: int = 0
    items: tuple[int | None, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether steps that follow can go on."""
        return self.phase == "succeeded"


FAILED, SKIPPED = Ending("failed"), Ending("skipped")


def expected(blueprint: Blueprint) -> Ending | None:
    """How the execution must end; None when time has a say in it: deadlines, or a user who aborts."""
    if blueprint.abort_after or any(step.timeout for step in steps_of(blueprint.graph)):
        return None
    return ending_of(blueprint.graph, blueprint.x)


def computed(task: str, inputs: Sequence[int | Sequence[int | None]]) -> int:
    """What a task answers: a number that depends on all of its inputs."""
    total = sum(task.encode())
    for value in inputs:
        number = value if isinstance(value, int) else sum(item or 0 for item in value) + len(value)
        total = total * 3 + number
    return total % MODULUS


def items_for(step: Step, x: int) -> list[int]:
    """The list that an array step makes of its input."""
    return [x if index == 0 else index * 100 for index in range(len(step.fates))]


def ending_of(graph: Graph, x: int) -> Ending:
    """How a graph ends with this input."""
    return _Walk(graph, x).whole()


def survives(fates: str, retries: int) -> bool:
    """Whether a task with these fates succeeds within its two budgets."""
    system = number = 0
    while True:
        fate = fates[min(number, len(fates) - 1)]
        if fate in (SUCCEEDS, DIES):
            return fate == SUCCEEDS
        if fate == BREAKS:
            if system >= SYSTEM_RETRIES:
                return False
            system += 1
        elif number - system >= retries:
            return False
        number += 1


@dataclass(slots=True)
class _Walk:
    graph: Graph
    x: int
    endings: dict[str, Ending] = field(default_factory=dict)

    def whole(self) -> Ending:
        self.endings[""] = Ending("succeeded", self.x)
        for step in self.graph.steps:
            self.endings[step.id] = self._step(step)
        if any(ending.phase == "failed" for ending in self.endings.values()):
            return FAILED
        last = self.endings[self.graph.output]
        return last if last.is_good else FAILED

    def _step(self, step: Step) -> Ending:
        around = [self.endings[name] for name in (*step.sources, *step.after)]
        if not all(ending.is_good for ending in around):
            return SKIPPED
        if step.kind == "sleep":
            return Ending("succeeded")
        values = [
            ending.items if ending.items or _is_list(self.graph, name) else ending.number
            for name, ending in zip(step.sources, around, strict=False)
        ]
        if step.kind == "task":
            return Ending("succeeded", computed(step.task, values)) if survives(step.fates[0], step.retries) else FAILED
        x = values[0]
        assert isinstance(x, int)
        return self._special(step, x)

    def _special(self, step: Step, x: int) -> Ending:
        if step.kind == "approve":
            return Ending("succeeded", x) if step.answer else FAILED
        if step.kind == "signal":
            return Ending("succeeded", step.answer)
        if step.kind == "branch":
            arm = next(arm for bound, arm in step.arms if x < bound)
            return self._step(arm)
        if step.kind == "array":
            good = [survives(fates, step.retries) for fates in step.fates]
            items = [computed(step.task, [item]) for item in items_for(step, x)]
            return _gathered(step, [item if ok else None for item, ok in zip(items, good, strict=True)])
        assert step.graph is not None
        if step.kind == "array_plan":
            endings = [ending_of(step.graph, item) for item in items_for(step, x)]
            return _gathered(step, [ending.number if ending.is_good else None for ending in endings])
        if step.kind == "dynamic" and not survives(step.fates[0], step.retries):
            return FAILED
        return ending_of(step.graph, x)


def _gathered(step: Step, items: list[int | None]) -> Ending:
    good = sum(item is not None for item in items)
    return Ending("succeeded", items=tuple(items)) if good >= required_of(step) else FAILED


def required_of(step: Step) -> int:
    """How many elements of an array must succeed."""
    if step.required is None:
        return len(step.fates)
    if isinstance(step.required, int):
        return step.required
    return ceil(Fraction(str(step.required)) * len(step.fates))


def _is_list(graph: Graph, name: str) -> bool:
    return any(step.id == name and step.yields_list for step in graph.steps)
