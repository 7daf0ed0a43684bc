"""A world for one execution: plugin, catalog, files, clock and store, all in memory and all decided by one seed.

Between any two steps the engine may crash: its state, its commands under way and its timers are lost, and it starts
again from the rows. Observations arrive late, twice and in any order. `World.run` plays to the end and raises
`Violation` as soon as something happens that must not.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller

from elevon_propeller.engine.attempts import build_attempt
from elevon_propeller.engine.commands import (
    AskChild,
    BuildDynamic,
    Command,
    FinalizeAttempt,
    LaunchChild,
    LoadData,
    LoadMany,
    LookUpCache,
    ReadOriginal,
    RegisterSignal,
    ReleaseCache,
    ReserveCache,
    StartAttempt,
    StopAttempt,
    StopChild,
    StoreCache,
    WriteData,
)
from elevon_propeller.engine.decision import Timer
from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.observations import (
    AbortRequested,
    AttemptReported,
    AttemptStopped,
    CacheLookedUp,
    CacheReserved,
    CacheStored,
    DataLoaded,
    DataWritten,
    ExecutionStarted,
    ManyLoaded,
    Observation,
    OriginalRead,
    Resumed,
    SignalRegistered,
    TimerFired,
)
from elevon_propeller.engine.original_rows import of_rows
from elevon_propeller.engine.originals import Original
from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.engine.plan import Plan, build_plan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.records import ChunkRow, NodeRow, chunk_rows, node_row, restore
from elevon_propeller.engine.state import ExecutionState
from elevon_propeller.engine.step import step
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.simulation.ledger import Ledger, Rule, Violation
from elevon_propeller.simulation.offspring import Offspring, graphs

MAX_STEPS = 20_000
LEASE = 30_000_000
"""How long a reservation lasts unless it is extended, in microseconds: what was lost in a crash comes free again."""


class Randomness(Protocol):
    """What of `random.Random` the world uses."""

    def random(self) -> float:
        """A number from 0 up to 1."""

    def randrange(self, stop: int, /) -> int:
        """A whole number from 0 up to `stop`."""


class Fate(Enum):
    """What becomes of an attempt."""

    SUCCEEDS = "succeeds"
    FAILS = "fails, retryable, the user's"
    BREAKS = "fails, retryable, the system's"
    DIES = "fails for good"
    HANGS = "never ends"


@dataclass(frozen=True, slots=True)
class Dangers:
    """How unkind the world is: probabilities per step, and steps after which the user aborts (0: never)."""

    crash: float = 0.0
    duplicate: float = 0.0
    catalog_outage: float = 0.0
    abort_after: int = 0


@dataclass(slots=True)
class World:
    """`fates` says what becomes of attempts, by node id or spec node id: one each, the last one for all that follow.

    `registered` are the values that admin has for signals when a gate asks. `original` is what is known of the
    execution that this one recovers; `left` makes one of what has become of this one.
    """

    closure: core.CompiledWorkflowClosure
    randomness: Randomness
    fates: Mapping[str, list[Fate]] = field(default_factory=dict)
    options: propeller.ExecutionOptions = field(default_factory=propeller.ExecutionOptions)
    dangers: Dangers = field(default_factory=Dangers)
    policy: EnginePolicy = field(default_factory=EnginePolicy)
    inputs: core.LiteralMap = field(default_factory=core.LiteralMap)
    catalog: dict[str, core.LiteralMap] = field(default_factory=dict)
    now: int = 1_000_000
    steps: int = 0
    crashes: int = 0
    name: str = "simulated"
    original: Original | None = None
    registered: dict[str, core.Literal] = field(default_factory=dict)
    offspring: Offspring = field(default_factory=Offspring)
    ledger: Ledger = field(init=False)
    files: dict[str, bytes] = field(default_factory=dict)
    _plan: Plan = field(init=False)
    _state: ExecutionState = field(init=False)
    _rows: dict[str, NodeRow] = field(default_factory=dict)
    _chunks: dict[tuple[str, int], ChunkRow] = field(default_factory=dict)
    _saved: tuple[ExecutionPhase, core.ExecutionError | None, str, int] = field(init=False)
    _commands: list[Command] = field(default_factory=list)
    _mail: list[Observation] = field(default_factory=list)
    _timers: list[Timer] = field(default_factory=list)
    _signals: dict[str, core.Literal] = field(default_factory=dict)
    _planned: list[tuple[int, Observation]] = field(default_factory=list)
    _reserved: dict[str, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._plan = build_plan(self.closure, SUPPORTED)
        self._state = self._fresh()
        self._saved = (ExecutionPhase.NEW, None, "", 0)
        self.ledger = Ledger(self.options.max_parallelism, self.policy)

    @property
    def phase(self) -> ExecutionPhase:
        """The execution's phase."""
        return self._state.phase

    @property
    def events(self) -> list[admin.ExecutionEvent]:
        """Everything told, in order."""
        return self.ledger.events

    @property
    def rows_of_elements(self) -> int:
        """How many rows the store has of elements of arrays."""
        return len(self._chunks)

    def run(self) -> ExecutionPhase:
        """Play until the execution has ended; raises Violation when it never does, or breaks a rule on the way."""
        self._mail.append(ExecutionStarted(self.now))
        while not self._state.phase.is_terminal:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise Violation(
                    Rule.TERMINATES, f"not ended after {MAX_STEPS} steps: {list(self._state.scope.live.values())[:5]}"
                )
            self._move()
        self.ledger.check_end(self._state)
        self.offspring.check_end()
        return self._state.phase

    def later(self, at: int, seen: Observation) -> None:
        """Have something observed, durably, at a time."""
        self._planned.append((at, seen))

    def outputs(self) -> core.LiteralMap:
        """The outputs of an execution that has succeeded."""
        return core.LiteralMap.FromString(self.files[f"{self._state.metadata_prefix}/end-node/data/0/outputs.pb"])

    def left(self) -> Original:
        """What an execution that recovers this one is told of it."""
        prefix = self._state.raw_output_prefix
        return of_rows(self._state.identifier, self._rows.values(), self._chunks.values(), self._signals, prefix)

    def _move(self) -> None:
        """Let one thing happen."""
        self.now += 1_000
        if self._planned and self._planned[0][0] <= self.now:
            seen = self._planned.pop(0)[1]
            seen.at = self.now
            self._step(seen)
        elif self.dangers.abort_after and self.steps == self.dangers.abort_after:
            self._step(AbortRequested(self.now, "enough"))
        elif self.randomness.random() < self.dangers.crash:
            self._crash()
        elif self._commands and (not self._mail or self.randomness.random() < 0.5):
            self._carry_out(self._commands.pop(self.randomness.randrange(len(self._commands))))
        elif self._mail:
            self._deliver()
        else:
            self._wait()

    def _deliver(self) -> None:
        position = self.randomness.randrange(len(self._mail))
        again = self.randomness.random() < self.dangers.duplicate
        seen = self._mail[position] if again else self._mail.pop(position)
        seen.at = self.now
        self._step(seen)

    def _wait(self) -> None:
        """Nothing is under way: time passes until the next timer."""
        if not self._timers and self._planned:
            self.now = self._planned[0][0]
            return
        if not self._timers:
            raise Violation(
                Rule.TERMINATES, f"stuck: nothing under way, no timer; {list(self._state.scope.live.values())[:5]}"
            )
        self._timers.sort(key=lambda timer: timer.at)
        if self._planned and self._planned[0][0] < self._timers[0].at:
            self.now = self._planned[0][0]
            return
        timer = self._timers.pop(0)
        self.now = max(self.now, timer.at)
        self._step(TimerFired(self.now, timer.node_id, timer.kind, timer.number))

    def _crash(self) -> None:
        self.crashes += 1
        self._commands, self._mail, self._timers = [], [], []
        state = self._fresh()
        state.phase, state.error, state.abort_cause, state.started_at = self._saved
        state.signals = dict(self._signals)
        rows = list(self._rows.values())
        restore(self._plan, state, rows, graphs(self.files, rows), self._chunks.values())
        self._state = state
        fresh = state.phase == ExecutionPhase.NEW
        self._step(ExecutionStarted(self.now) if fresh else Resumed(self.now))

    def _fresh(self) -> ExecutionState:
        name = core.WorkflowExecutionIdentifier(project="p", domain="d", name=self.name)
        policy = self.policy
        return ExecutionState(
            self._plan, name, self.inputs, self.options, 0, policy.metadata_root, policy.raw_output_prefix
        )

    def _step(self, seen: Observation) -> None:
        decision = step(self._plan, self._state, seen, self.policy)
        for node_id in decision.dropped:
            self._chunks = {place: row for place, row in self._chunks.items() if place[0] != node_id}
        for chunk in chunk_rows(decision.chunks):
            self._chunks[chunk["node_id"], chunk["number"]] = chunk
        for node in decision.nodes.values():
            self.ledger.check_row(self._rows.get(node.id), node_row(node))
            self._rows[node.id] = node_row(node)
        state = self._state
        self._saved = (state.phase, state.error, state.abort_cause, state.started_at)
        self.ledger.tell(decision.events)
        self._signals = dict(state.signals)
        self._commands.extend(decision.commands)
        self._timers.extend(decision.timers)

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, StartAttempt):
            self._start(command)
        elif isinstance(command, StopAttempt | FinalizeAttempt):
            self.ledger.end_attempt(command.name)
            if isinstance(command, StopAttempt):
                self._mail.append(AttemptStopped(self.now, command.node_id, command.number))
        elif isinstance(command, LoadData):
            outputs = core.LiteralMap.FromString(self.files[command.uri])
            self._mail.append(DataLoaded(self.now, command.node_id, outputs))
        elif isinstance(command, LoadMany):
            self._mail.append(self._load_many(command))
        elif isinstance(command, WriteData):
            self.files[command.uri] = command.data.SerializeToString()
            self._mail.append(DataWritten(self.now, command.node_id, command.kind))
        elif isinstance(command, LaunchChild | AskChild | StopChild | BuildDynamic):
            self._mail.extend(self._bring_forth(command))
        elif isinstance(command, ReadOriginal):
            known = copy.deepcopy(self.original) if self.original is not None else Original("")
            self._mail.append(OriginalRead(self.now, known))
        elif isinstance(command, RegisterSignal):
            value = self.registered.get(command.signal_id)
            self._mail.append(SignalRegistered(self.now, command.node_id, command.number, value))
        else:
            self._ask_catalog(command)

    def _bring_forth(self, command: LaunchChild | AskChild | StopChild | BuildDynamic) -> list[Observation]:
        state, offspring = self._state, self.offspring
        if isinstance(command, StopChild):
            return offspring.stop(command, self.now)
        if isinstance(command, AskChild):
            return offspring.ask(state, command, self.now)
        if isinstance(command, BuildDynamic):
            return offspring.build(state, command, self.files, self.now)
        node = state.nodes.get(command.node_id)
        fate = self._fate(command.node_id, node.plan.id, command.number) if node is not None else Fate.HANGS
        told = offspring.launch(state, command, fate.name, self.now)
        if told and self.randomness.random() < 0.5:
            told.extend(offspring.ask(state, AskChild(command.node_id, command.number), self.now))
        return told

    def _load_many(self, command: LoadMany) -> ManyLoaded:
        seen = ManyLoaded(self.now, command.node_id, command.number)
        found = {place: self.files[uri] for place, uri in command.uris.items()}
        if command.literals:
            seen.literals = {str(name): core.Literal.FromString(data) for name, data in found.items()}
        else:
            seen.outputs = {int(index): core.LiteralMap.FromString(data) for index, data in found.items()}
        return seen

    def _start(self, command: StartAttempt) -> None:
        node = self._state.nodes.get(command.node_id)
        if node is None:
            return
        attempt = build_attempt(self._plan, self._state, node, self.policy)
        if attempt.number != command.number:
            return
        self.ledger.start_attempt(attempt)
        fate = self._fate(attempt.node_id, attempt.spec_node_id, attempt.number)
        self._report(attempt, Report(AttemptPhase.RUNNING, self._moment()))
        if fate != Fate.HANGS:
            self.ledger.end_attempt(attempt.name)
            self._report(attempt, self._final(attempt, fate))

    def _fate(self, node_id: str, spec_node_id: str, number: int) -> Fate:
        fates = self.fates.get(node_id) or self.fates.get(spec_node_id, [Fate.SUCCEEDS])
        return fates[min(number, len(fates) - 1)]

    def _report(self, attempt: Attempt, report: Report) -> None:
        self._mail.append(AttemptReported(self.now, attempt.node_id, attempt.number, report, "simulated"))

    def _final(self, attempt: Attempt, fate: Fate) -> Report:
        job = self.offspring.jobs.get(attempt.spec_node_id)
        if fate == Fate.SUCCEEDS and job is not None:
            return Report(AttemptPhase.SUCCEEDED, self._moment(), futures=job)
        if fate == Fate.SUCCEEDS:
            return Report(AttemptPhase.SUCCEEDED, self._moment(), outputs=attempt.inputs)
        kind = core.ExecutionError.SYSTEM if fate == Fate.BREAKS else core.ExecutionError.USER
        error = core.ExecutionError(code=fate.name, message=fate.value, kind=kind)
        phase = AttemptPhase.PERMANENT_FAILURE if fate == Fate.DIES else AttemptPhase.RETRYABLE_FAILURE
        return Report(phase, self._moment(), error=error)

    def _ask_catalog(self, command: LookUpCache | ReserveCache | ReleaseCache | StoreCache) -> None:
        entry, node_id = command.entry, command.node_id
        failure = "outage" if self.randomness.random() < self.dangers.catalog_outage else ""
        seen: Observation
        if isinstance(command, LookUpCache):
            outputs = None if failure else self.catalog.get(entry.tag)
            seen = CacheLookedUp(self.now, node_id, outputs, core.CatalogMetadata(dataset_id=entry.dataset), failure)
        elif isinstance(command, ReserveCache):
            acquired = not failure and self._reserve(entry.tag, entry.owner)
            seen = CacheReserved(self.now, node_id, acquired, failure)
        elif isinstance(command, StoreCache):
            if not failure:
                self.catalog[entry.tag] = command.outputs
            seen = CacheStored(self.now, node_id, core.CatalogMetadata(dataset_id=entry.dataset), failure)
        else:
            if self._reserved.get(entry.tag, ("", 0))[0] == entry.owner:
                del self._reserved[entry.tag]
            return
        self._mail.append(seen)

    def _reserve(self, tag: str, owner: str) -> bool:
        holder, until = self._reserved.get(tag, (owner, 0))
        if holder != owner and until > self.now:
            return False
        self._reserved[tag] = (owner, self.now + LEASE)
        return True

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.now / 1_000_000, UTC)
