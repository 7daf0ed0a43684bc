"""What a seed makes of a workflow: steps of every kind, nested in each other, and what becomes of each of them.

A blueprint is a plain value: it can be compared, printed, and made smaller while looking for what makes a seed fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SUCCEEDS, FAILS, BREAKS, DIES, HANGS = "SFBDH"
"""What becomes of an attempt: success; a failure that is the user's, or the system's, both retryable; a final failure;
no end at all, which only steps with a timeout may meet."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a graph. Its output `x` is a number, that of an array a list of numbers, a sleep has none.

    `sources` are the steps whose outputs are its inputs `x` and `y`, the empty id standing for the input of the graph;
    `after` are steps that it merely follows. `fates` has one letter for each attempt, the last one for all that follow;
    an array has one such text for each of its elements. `seconds` is how long a sleep lasts, `answer` what a gate is
    told: 0 rejects an approval. `arms` are the steps a branch chooses from: the first whose bound is above its input.
    `task` names what runs, or the signal that a gate waits for; steps that share a task share its cache entries.
    """

    id: str
    kind: str
    sources: tuple[str, ...] = ("",)
    after: tuple[str, ...] = ()
    task: str = ""
    fates: tuple[str, ...] = (SUCCEEDS,)
    retries: int = 0
    timeout: float = 0.0
    interruptible: bool | None = None
    cached: bool = False
    serializable: bool = False
    files: bool = False
    graph: Graph | None = None
    arms: tuple[tuple[int, Step], ...] = ()
    seconds: float = 0.0
    answer: int = 1
    parallelism: int | None = None
    required: float | int | None = None
    runs_all: bool = False
    own_files: bool = False

    @property
    def yields_list(self) -> bool:
        """Whether its output is a list of numbers."""
        return self.kind in ("array", "array_plan")


@dataclass(frozen=True, slots=True)
class Graph:
    """A workflow: its steps come after all those they need; `output` is the step whose value is its own."""

    name: str
    steps: tuple[Step, ...]
    output: str
    fails_immediately: bool = True
    failure: Step | None = None


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A whole execution: the workflow, its input, and what it is run with.

    `abort_after` is when the user has enough, in seconds, 0 for never. `inline_limit` decides which values travel in
    rows and which in files.
    """

    graph: Graph
    x: int = 1
    max_parallelism: int = 0
    interruptible: bool | None = None
    overwrite_cache: bool = False
    abort_after: float = 0.0
    inline_limit: int = 65_536
    array_parallelism: str = "unlimited"
    array_live_elements: int = 10_000
    begins_per_step: int = 250


def steps_of(graph: Graph) -> Iterator[Step]:
    """Every step of a graph and of all graphs within it, those of launched executions included."""
    for step in own_steps(graph):
        yield step
        if step.graph is not None:
            yield from steps_of(step.graph)


def own_steps(graph: Graph) -> Iterator[Step]:
    """The steps of a graph itself, the arms of branches and the failure node included."""
    pending = [*graph.steps, *((graph.failure,) if graph.failure is not None else ())]
    while pending:
        step = pending.pop(0)
        yield step
        pending.extend(arm for _, arm in step.arms)


def launched_graphs(graph: Graph) -> Iterator[Graph]:
    """The graphs that launch plans run, within a graph or within each other."""
    for step in steps_of(graph):
        if step.kind in ("launch_plan", "array_plan") and step.graph is not None:
            yield step.graph


def steps_of_execution(graph: Graph) -> Iterator[Step]:
    """Every step that is run within one execution: not those of executions it launches."""
    for step in own_steps(graph):
        yield step
        if step.graph is not None and step.kind in ("workflow", "dynamic"):
            yield from steps_of_execution(step.graph)
