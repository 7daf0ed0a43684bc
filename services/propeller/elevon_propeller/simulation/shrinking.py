"""From a seed that fails to the smallest play that breaks the same rule: fewer faults, a simpler workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from elevon_propeller.simulation.blueprint import SUCCEEDS, Graph, Step
from elevon_propeller.simulation.scene import Outcome, Script

MOST_PLAYS = 800
"""After so many plays the smallest one found so far is good enough."""

Play = Callable[[Script], Outcome]

_PLAIN: dict[str, object] = {
    "after": (),
    "retries": 0,
    "timeout": 0.0,
    "interruptible": None,
    "cached": False,
    "serializable": False,
    "files": False,
    "parallelism": None,
    "required": None,
    "runs_all": False,
    "own_files": False,
}
_PLAIN_EXECUTION: dict[str, object] = {
    "max_parallelism": 0,
    "interruptible": None,
    "overwrite_cache": False,
    "abort_after": 0.0,
    "inline_limit": 65_536,
    "array_parallelism": "unlimited",
    "array_live_elements": 10_000,
    "begins_per_step": 250,
}


def shrink(failed: Outcome, play: Play) -> Outcome:
    """The smallest play found that breaks the same rule as the one given."""
    return _Search(failed, play).run()


class _Search:
    def __init__(self, failed: Outcome, play: Play) -> None:
        self._best = failed
        self._play = play
        self._plays = 0

    def run(self) -> Outcome:
        self._try(replace(self._best.script, faults=self._best.happened))
        while self._plays < MOST_PLAYS and (self._fewer_faults() or self._simpler()):
            pass
        return self._best

    def _try(self, script: Script) -> bool:
        """Keep a script if it breaks the rule; one that makes no sense does not."""
        self._plays += 1
        assert self._best.violation is not None
        try:
            outcome = self._play(script)
        except Exception:
            return False
        if outcome.violation is None or outcome.violation.rule is not self._best.violation.rule:
            return False
        self._best = replace(outcome, script=replace(script, faults=outcome.happened))
        return True

    def _fewer_faults(self) -> bool:
        """Leave out half of the faults, then a quarter, and so on; true when some were left out."""
        progress = False
        size = max(len(self._best.happened) // 2, 1)
        while size and self._plays < MOST_PLAYS:
            start = 0
            while start < len(self._best.happened) and self._plays < MOST_PLAYS:
                faults = self._best.happened
                if self._try(replace(self._best.script, faults=faults[:start] + faults[start + size :])):
                    progress = True
                else:
                    start += size
            size //= 2
        return progress

    def _simpler(self) -> bool:
        """Take the first simpler script that still fails."""
        for script in simpler_scripts(self._best.script):
            if self._plays >= MOST_PLAYS:
                return False
            if self._try(script):
                return True
        return False


def simpler_scripts(script: Script) -> Iterator[Script]:
    """Scripts that are a little simpler in one place each."""
    blueprint = script.blueprint
    for graph in _simpler_graphs(blueprint.graph):
        yield replace(script, blueprint=replace(blueprint, graph=graph))
    for name, value in _PLAIN_EXECUTION.items():
        if getattr(blueprint, name) != value:
            yield replace(script, blueprint=replace(blueprint, **{name: value}))  # type: ignore[arg-type]  # by name
    if script.replicas > 1:
        yield replace(script, replicas=1)
    if script.local:
        yield replace(script, local=False)


def _simpler_graphs(graph: Graph) -> Iterator[Graph]:
    for place in reversed(range(len(graph.steps))):
        less = _without(graph, place)
        if less is not None:
            yield less
    if graph.failure is not None:
        yield replace(graph, failure=None)
    for place, step in enumerate(graph.steps):
        for simpler in _simpler_steps(step, graph.name):
            yield replace(graph, steps=(*graph.steps[:place], simpler, *graph.steps[place + 1 :]))


def _without(graph: Graph, place: int) -> Graph | None:
    """The graph without a step; those that took its value take what it took. None when nothing would be left."""
    gone = graph.steps[place]
    stand_in = gone.sources[0] if gone.sources else ""
    steps = tuple(_rewired(step, gone.id, stand_in) for step in graph.steps if step is not gone)
    usable = [step.id for step in steps if step.kind != "sleep" and not step.yields_list]
    if not usable:
        return None
    return replace(graph, steps=steps, output=usable[-1] if graph.output == gone.id else graph.output)


def _rewired(step: Step, gone: str, stand_in: str) -> Step:
    return replace(
        step,
        sources=tuple(stand_in if source == gone else source for source in step.sources),
        after=tuple(name for name in step.after if name != gone),
        arms=tuple((bound, _rewired(arm, gone, stand_in)) for bound, arm in step.arms),
    )


def _simpler_steps(step: Step, around: str) -> Iterator[Step]:
    if step.kind not in ("task", "sleep", "array", "array_plan"):
        yield Step(step.id, "task", step.sources, step.after, task=f"plain-{around}-{step.id}")
    if step.graph is not None:
        for graph in _simpler_graphs(step.graph):
            yield replace(step, graph=graph)
    for place, (bound, arm) in enumerate(step.arms):
        for simpler in _simpler_steps(arm, around):
            yield replace(step, arms=(*step.arms[:place], (bound, simpler), *step.arms[place + 1 :]))
    if len(step.fates) > 1:
        yield replace(step, fates=step.fates[:-1])
    if any(fates != SUCCEEDS for fates in step.fates):
        yield replace(step, fates=(SUCCEEDS,) * len(step.fates))
    for name, value in _PLAIN.items():
        if getattr(step, name) != value:
            yield replace(step, **{name: value})  # type: ignore[arg-type]  # by name
