"""A failing play in words: what was run, what went wrong around it, what happened, and which rule was broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from elevon_propeller.simulation.blueprint import Graph, Step
from elevon_propeller.simulation.scene import Outcome, Script


def told(outcome: Outcome) -> str:
    """All of it, laid out for reading."""
    script = outcome.script
    lines = [f"seed {script.seed} breaks the rule: {outcome.violation}", "", "the execution"]
    lines += [f"  {line}" for line in _execution(script)]
    lines += ["", f"the faults ({len(outcome.happened)})"]
    lines += [f"  at call {fault.moment}: {fault.danger.value} ({fault.length} s)" for fault in outcome.happened]
    if outcome.notes:
        lines += ["", "the history (virtual seconds, who, what)"]
        lines += outcome.notes
    return "\n".join(lines)


def _execution(script: Script) -> Iterator[str]:
    blueprint = script.blueprint
    yield f"{script.replicas} replicas, {'local processes' if script.local else 'a cluster'}, x={blueprint.x}"
    options = [
        f"{name}={getattr(blueprint, name)}"
        for name in ("max_parallelism", "interruptible", "overwrite_cache", "abort_after", "inline_limit")
        if getattr(blueprint, name)
    ]
    yield " ".join(options)
    yield from _graph(blueprint.graph)


def _graph(graph: Graph) -> Iterator[str]:
    policy = "fails immediately" if graph.fails_immediately else "fails after executable nodes complete"
    yield f"{graph.name}: {policy}, its output is that of {graph.output}"
    for step in graph.steps:
        yield from _step(step)
    if graph.failure is not None:
        yield "  on failure"
        yield from _step(graph.failure)


def _step(step: Step) -> Iterator[str]:
    shown = [
        f"{field.name}={getattr(step, field.name)!r}"
        for field in fields(step)
        if field.name not in ("id", "kind", "graph", "arms") and getattr(step, field.name) != field.default
    ]
    yield f"  {step.id}: {step.kind} {' '.join(shown)}"
    for bound, arm in step.arms:
        yield f"    below {bound}"
        yield from (f"    {line}" for line in _step(arm))
    if step.graph is not None:
        yield from (f"    {line}" for line in _graph(step.graph))
