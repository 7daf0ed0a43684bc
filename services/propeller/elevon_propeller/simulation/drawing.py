"""From a number to a blueprint: every kind of node, nested in every other, with options and fates at random."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from elevon_propeller.simulation.blueprint import BREAKS, DIES, FAILS, HANGS, SUCCEEDS, Blueprint, Graph, Step

DEEPEST = 3
"""Graphs are nested so deep at most."""

_SIZES = (1, 2, 3, 3, 4, 4, 5, 7)
_BUDGETS = (6, 10, 10, 14, 14, 40)
"""After so many steps, of which an execution has one number, nothing more is nested: most are small, some are not."""

_KINDS = (
    *("task",) * 9,
    *("branch",) * 3,
    *("workflow",) * 3,
    *("dynamic",) * 3,
    *("array",) * 3,
    *("launch_plan",) * 2,
    "array_plan",
    "sleep",
    "approve",
    "signal",
)
_LEAVES = ("task", "task", "task", "task", "array", "approve", "signal", "sleep")
_WITH_ARRAYS_OF_NOTHING = (0, 1, 2, 3, 3, 4, 6)


def draw(seed: int) -> Blueprint:
    """The blueprint of a seed."""
    rng = random.Random(seed)
    kindness = rng.choice((0.0, 0.0, 0.1, 0.3, 0.5))
    artist = _Artist(rng, unkind=kindness, timeouts=rng.random() < 0.3, budget=rng.choice(_BUDGETS))
    return Blueprint(
        graph=artist.graph(0, rng.choice((*_SIZES, 14 if rng.random() < 0.3 else 5))),
        x=rng.randrange(10),
        max_parallelism=rng.choice((0, 0, 1, 2, 3)),
        interruptible=rng.choice((None, None, True, False)),
        overwrite_cache=rng.random() < 0.1,
        abort_after=rng.choice((0.0,) * 5 + (rng.random() * 4,)),
        inline_limit=rng.choice((65_536, 65_536, 12, 0)),
        array_parallelism=rng.choice(("unlimited", "unlimited", "workflow", "hybrid")),
        array_live_elements=rng.choice((10_000, 2)),
        begins_per_step=rng.choice((250, 250, 2, 1)),
    )


@dataclass(slots=True)
class _Artist:
    rng: random.Random
    unkind: float
    timeouts: bool
    budget: int
    graphs: int = 0
    tasks: int = 0

    def graph(self, depth: int, size: int, *, failure_node: bool = True) -> Graph:
        rng = self.rng
        name = f"g{self.graphs}"
        self.graphs += 1
        steps: list[Step] = []
        for number in range(size):
            steps.append(self._step(f"n{number}", depth, steps))
        if steps[-1].kind == "sleep" or steps[-1].yields_list:
            steps.append(self._task(f"n{size}", steps[-1:] if steps[-1].yields_list else steps))
        failure = None
        if failure_node and rng.random() < 0.25:
            failure = self._task("fn", [])
        output = next(step.id for step in reversed(steps) if not step.yields_list and step.kind != "sleep")
        return Graph(name, tuple(steps), output, rng.random() < 0.6, failure)

    def _step(self, node_id: str, depth: int, before: list[Step]) -> Step:
        self.budget -= 1
        kinds = _KINDS if depth < DEEPEST and self.budget > 0 else _LEAVES
        kind = self.rng.choice(kinds)
        step = self._task(node_id, before) if kind == "task" else self._other(node_id, kind, depth, before)
        return replace(step, after=self._after(before))

    def _task(self, node_id: str, before: list[Step]) -> Step:
        rng = self.rng
        twins = [step for step in before if step.kind == "task" and step.cached and len(step.sources) == 1]
        if twins and rng.random() < 0.3:
            twin = rng.choice(twins)
            lists = [step for step in before if step.id in twin.sources and step.yields_list]
            if not lists:
                return replace(twin, id=node_id, sources=(self._number(before),))
        sources = [self._any(before)]
        if rng.random() < 0.3:
            sources.append(self._number(before))
        cached = rng.random() < 0.35
        drawn = self._runs(node_id, "task")
        return replace(
            drawn,
            sources=tuple(sources),
            fates=(self._fates(drawn.timeout),),
            cached=cached,
            serializable=cached and rng.random() < 0.5,
            files=rng.random() < 0.2,
        )

    def _runs(self, node_id: str, kind: str) -> Step:
        """A step that runs a task of its own."""
        rng = self.rng
        self.tasks += 1
        return Step(
            node_id,
            kind,
            task=f"t{self.tasks}",
            retries=rng.choice((0, 0, 1, 2)),
            timeout=rng.choice((0.0, 1.5, 4.0)) if self.timeouts else 0.0,
            interruptible=rng.choice((None, None, None, True, False)),
        )

    def _other(self, node_id: str, kind: str, depth: int, before: list[Step]) -> Step:
        rng = self.rng
        step = Step(node_id, kind, sources=(self._number(before),))
        if kind == "sleep":
            return replace(step, sources=(), seconds=rng.choice((0.05, 0.4, 1.5)))
        if kind in ("approve", "signal"):
            rejects = kind == "approve" and rng.random() < self.unkind / 2
            return replace(step, task=self._runs(node_id, kind).task, answer=0 if rejects else rng.randrange(1, 9))
        if kind == "branch":
            return replace(step, arms=self._arms(node_id, depth, before))
        if kind in ("array", "array_plan"):
            return self._array(replace(step, task=self._runs(node_id, kind).task), depth)
        if kind == "dynamic":
            cached = rng.random() < 0.25
            drawn = self._runs(node_id, kind)
            graph = self.graph(depth + 1, rng.choice((1, 2, 3)), failure_node=False)
            return replace(drawn, sources=step.sources, fates=(self._fates(drawn.timeout),), cached=cached, graph=graph)
        timeout = rng.choice((0.0, 0.0, 6.0)) if self.timeouts else 0.0
        return replace(step, graph=self.graph(depth + 1, rng.choice((1, 2, 3, 4))), timeout=timeout)

    def _arms(self, node_id: str, depth: int, before: list[Step]) -> tuple[tuple[int, Step], ...]:
        """Two or three arms, of any kind that yields a number; the last one is the one for everything else."""
        bounds = sorted(self.rng.sample(range(1, 1_000), self.rng.choice((1, 2))))
        arms = []
        for place, bound in enumerate((*bounds, 1_000_000)):
            arm = self._step(f"{node_id}a{place}", depth + 1, before)
            while arm.yields_list or arm.kind == "sleep":
                arm = self._step(f"{node_id}a{place}", depth + 1, before)
            arms.append((bound, replace(arm, after=())))
        return tuple(arms)

    def _array(self, step: Step, depth: int) -> Step:
        rng = self.rng
        size = rng.choice(_WITH_ARRAYS_OF_NOTHING)
        graph = self.graph(depth + 1, rng.choice((1, 2))) if step.kind == "array_plan" else None
        cached = graph is None and rng.random() < 0.3
        timeout = rng.choice((0.0, 2.0)) if self.timeouts else 0.0
        return replace(
            step,
            fates=self._fates_of_elements(min(size, 3) if graph is not None else size, timeout, same=cached),
            graph=graph,
            retries=rng.choice((0, 1)),
            timeout=timeout,
            cached=cached,
            serializable=cached and rng.random() < 0.5,
            parallelism=rng.choice((None, None, 0, 1, 2)),
            required=rng.choice((None, None, 0.5, 0.6, 0, 1)),
            runs_all=rng.random() < 0.2,
            own_files=rng.random() < 0.2,
        )

    def _fates_of_elements(self, count: int, timeout: float, *, same: bool) -> tuple[str, ...]:
        """The fates of an array's elements; what is cached must not depend on which element has a value first."""
        if same:
            return (self._fates(timeout),) * count
        return tuple(self._fates(timeout) for _ in range(count))

    def _fates(self, timeout: float) -> str:
        if self.rng.random() >= self.unkind:
            return SUCCEEDS
        kinds: tuple[str, ...] = (SUCCEEDS, SUCCEEDS, FAILS, BREAKS, BREAKS, DIES)
        if timeout:
            kinds = (*kinds, HANGS)
        return "".join(self.rng.choice(kinds) for _ in range(self.rng.choice((1, 2, 3, 4))))

    def _any(self, before: list[Step]) -> str:
        """A step whose value is wanted: often the last one, so that chains grow."""
        usable = [step.id for step in before if step.kind != "sleep"]
        if not usable:
            return ""
        return usable[-1] if self.rng.random() < 0.4 else self.rng.choice(["", *usable])

    def _number(self, before: list[Step]) -> str:
        return self._any([step for step in before if not step.yields_list])

    def _after(self, before: list[Step]) -> tuple[str, ...]:
        if not before or self.rng.random() < 0.7:
            return ()
        return (self.rng.choice(before).id,)
