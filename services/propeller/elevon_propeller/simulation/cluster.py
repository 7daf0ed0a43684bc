"""Where simulated attempts run: a cluster that all replicas share, or processes that die with the replica beside them.

An attempt's fate is that of the step its task belongs to. What has ended and was let go of is remembered by its name,
as a cluster remembers its objects: an owner who asks for it again breaks a rule, a replica that lost its lease is late.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

from elevon_core.errors import Internal
from elevon_idl.core import v1 as core
from elevon_kit.blobs_memory import MemoryBlobStore

from elevon_propeller.engine.attempts import ARRAY_INDEX
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report, ReportSink
from elevon_propeller.simulation import building, oracle
from elevon_propeller.simulation.blueprint import BREAKS, DIES, HANGS, SUCCEEDS, Step
from elevon_propeller.simulation.building import Registry
from elevon_propeller.simulation.ledger import Ledger, Rule, Violation
from elevon_propeller.simulation.line import Line, Weather
from elevon_propeller.simulation.register import Register
from elevon_propeller.simulation.virtual_time import EPOCH

_FAILURES = {
    "F": (AttemptPhase.RETRYABLE_FAILURE, core.ExecutionError.USER),
    BREAKS: (AttemptPhase.RETRYABLE_FAILURE, core.ExecutionError.SYSTEM),
    DIES: (AttemptPhase.PERMANENT_FAILURE, core.ExecutionError.USER),
}


@dataclass(slots=True)
class Run:
    """An attempt that was started; `final` is set once it has ended, `forgotten` once it was let go of."""

    attempt: Attempt
    ledger: Ledger
    host: str
    sinks: dict[str, ReportSink] = field(default_factory=dict)
    final: Report | None = None
    stopped: bool = False
    forgotten: bool = False


class Cluster:
    """Runs attempts; the register knows what is durable, and who may ask."""

    def __init__(
        self,
        registry: Registry,
        weather: Weather,
        blobs: MemoryBlobStore,
        register: Register,
        *,
        local: bool,
        array_parallelism: str,
    ) -> None:
        self._registry = registry
        self._weather = weather
        self._blobs = blobs
        self._register = register
        self._local = local
        self._array_parallelism = array_parallelism
        self._rng = random.Random(weather.rng.random())
        self._runs: dict[str, Run] = {}
        self._unwanted: set[str] = set()

    @property
    def alive(self) -> list[str]:
        """The names of the attempts that have not ended."""
        return [name for name, run in self._runs.items() if run.final is None and not run.stopped]

    async def start(self, who: str, attempt: Attempt, report: ReportSink) -> None:
        """Start an attempt, attach to it, or tell once more how it has ended."""
        run = self._runs.get(attempt.name)
        if run is None and attempt.name not in self._unwanted:
            self._begin(who, attempt, report)
            return
        if run is None or run.forgotten or run.stopped:
            if self._register.owns(who, attempt.execution_id.name):
                raise Violation(Rule.STARTED_ONCE, f"{attempt.name} was started again after it had ended")
            return
        run.sinks[who] = report
        self._tell(run, run.final or self._report(AttemptPhase.RUNNING))

    async def abort(self, name: str) -> None:
        """Stop an attempt; one that was never started must not be started later."""
        run = self._runs.get(name)
        if run is None:
            self._unwanted.add(name)
            return
        if run.final is None and not run.stopped:
            run.ledger.end_attempt(name)
        run.stopped = True

    async def finalize(self, name: str) -> None:
        """Let go of an attempt; only one that runs no more may be."""
        run = self._runs.get(name)
        if run is None:
            return
        if run.final is None and not run.stopped:
            raise Violation(Rule.ALL_ENDS, f"{name} was let go of while it runs")
        run.forgotten = True

    def detach(self, who: str, name: str) -> None:
        """A replica does not look after an attempt any more."""
        run = self._runs.get(name)
        if run is not None:
            run.sinks.pop(who, None)

    def replica_died(self, who: str) -> None:
        """Nobody listens there any more; local processes die too."""
        for name, run in list(self._runs.items()):
            run.sinks.pop(who, None)
            if self._local and run.host == who and run.final is None and not run.stopped:
                self._weather.note("plugin", f"{name} dies with {who}")
                run.ledger.end_attempt(name)
                del self._runs[name]

    def _begin(self, who: str, attempt: Attempt, report: ReportSink) -> None:
        ledger = self._register.ledger(attempt.execution_id.name)
        step = self._registry.steps[attempt.task.id.name]
        if step.kind != "array":
            self._register.check_started(attempt.execution_id.name, attempt.node_id, attempt.number)
        if attempt.number > step.retries + oracle.SYSTEM_RETRIES:
            raise Violation(
                Rule.BUDGETS, f"{attempt.name} is attempt {attempt.number + 1}, with {step.retries} retries"
            )
        ledger.start_attempt(attempt, _is_slotless(step, self._array_parallelism))
        run = self._runs[attempt.name] = Run(attempt, ledger, who, {who: report})
        fate = _fate(step, attempt)
        self._weather.note("plugin", f"{attempt.name} runs, fate {fate}")
        loop = asyncio.get_running_loop()
        if self._rng.random() < 0.3:
            self._tell(run, self._report(AttemptPhase.INITIALIZING, "pulling"))
        loop.call_later(self._rng.random() * 0.05, self._progress, run)
        if fate != HANGS:
            loop.call_later(self._duration(), self._finish, run, step, fate)

    def _duration(self) -> float:
        return self._rng.random() * (0.05 if self._rng.random() < 0.8 else 1.2)

    def _progress(self, run: Run) -> None:
        if run.final is None:
            self._tell(run, self._report(AttemptPhase.RUNNING, self._rng.choice(("", "", "half way"))))

    def _finish(self, run: Run, step: Step, fate: str) -> None:
        name = run.attempt.name
        if run.stopped or self._runs.get(name) is not run:
            return
        run.final = self._final(run.attempt, step, fate)
        run.ledger.end_attempt(name)
        self._weather.note("plugin", f"{name} has ended: {run.final.phase.value}")
        self._tell(run, run.final)
        if self._rng.random() < 0.1:
            late = self._report(AttemptPhase.RUNNING, "late news")
            asyncio.get_running_loop().call_later(self._rng.random() * 2, self._tell, run, late)
        if self._rng.random() < 0.1:
            asyncio.get_running_loop().call_later(self._rng.random() * 2, self._tell, run, run.final)

    def _tell(self, run: Run, report: Report) -> None:
        for sink in list(run.sinks.values()):
            sink(report)

    def _report(self, phase: AttemptPhase, reason: str = "") -> Report:
        return Report(phase, self._moment(), reason=reason)

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(EPOCH + self._weather.now(), UTC)

    def _final(self, attempt: Attempt, step: Step, fate: str) -> Report:
        if fate != SUCCEEDS:
            phase, kind = _FAILURES[fate]
            error = core.ExecutionError(code=f"FATE_{fate}", message="so it was decided", kind=kind)
            return Report(phase, self._moment(), error=error)
        values = building.values_of(attempt.inputs)
        if step.kind == "dynamic":
            return self._yield_job(attempt, step, values["x"])
        outputs = building.literal_map(
            {"x": oracle.computed(step.task, [values[name] for name in ("x", "y") if name in values])}
        )
        if step.files:
            self._blobs.poke(attempt.paths.outputs, outputs.SerializeToString())
        return Report(AttemptPhase.SUCCEEDED, self._moment(), outputs=outputs, has_outputs_file=step.files)

    def _yield_job(self, attempt: Attempt, step: Step, x: object) -> Report:
        if not isinstance(x, int):
            raise Internal(f"{attempt.name} has the input {x!r}")
        brings_tasks = sum(step.task.encode()) % 2 == 0
        job = building.job(step, self._registry, x, brings_tasks=brings_tasks)
        self._blobs.poke(attempt.paths.futures, job.SerializeToString())
        return Report(AttemptPhase.SUCCEEDED, self._moment(), futures=job)


class ClusterPlugin:
    """One replica's view of the cluster."""

    def __init__(self, cluster: Cluster, line: Line) -> None:
        self._cluster = cluster
        self._line = line

    @property
    def id(self) -> str:
        """What events call it."""
        return "simulated"

    @property
    def task_types(self) -> frozenset[str]:
        """All tasks of blueprints are of one type."""
        return frozenset({building.TASK_TYPE})

    async def open(self) -> None:
        """Nothing to prepare."""

    async def start(self, attempt: Attempt, report: ReportSink) -> None:
        """Start an attempt, or find it again."""
        cluster, who = self._cluster, self._line.who
        await self._line.call("plugin", f"start {attempt.name}", lambda: cluster.start(who, attempt, report))

    async def abort(self, name: str, reason: str) -> None:
        """Stop an attempt."""
        await self._line.call("plugin", f"abort {name}", lambda: self._cluster.abort(name))

    async def finalize(self, name: str) -> None:
        """Let go of an attempt."""
        await self._line.call("plugin", f"finalize {name}", lambda: self._cluster.finalize(name))

    async def detach(self, name: str) -> None:
        """Stop listening to an attempt; what runs runs on."""
        self._cluster.detach(self._line.who, name)

    async def close(self) -> None:
        """Nothing to let go of."""


def _is_slotless(step: Step, array_parallelism: str) -> bool:
    """Whether attempts of a step do not count against max_parallelism."""
    if step.kind != "array":
        return False
    if step.parallelism:
        return True
    return array_parallelism == "unlimited" or (array_parallelism == "hybrid" and step.parallelism == 0)


def _fate(step: Step, attempt: Attempt) -> str:
    index = int(attempt.environment.get(ARRAY_INDEX, "0")) if step.kind == "array" else 0
    fates = step.fates[index]
    return fates[min(attempt.number, len(fates) - 1)]
