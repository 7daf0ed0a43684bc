"""A seed, played: replicas of the real runtime around one store, an admin that hands over, a user, and all that fails.

Everything happens in one virtual time. The play ends when the world is at rest, or a rule is broken.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace

from elevon_core.errors import ElevonError
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_kit.retry import is_transient
from google.protobuf.wrappers_pb2 import BoolValue

from elevon_propeller.engine.observations import (
    AbortRequested,
    ExecutionStarted,
    Observation,
    Resumed,
    SignalSet,
)
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.runtime.actors import Actor, Name
from elevon_propeller.runtime.driver import Driver
from elevon_propeller.runtime.keys import Keys
from elevon_propeller.runtime.runtime import Runtime, RuntimeOptions, Surroundings
from elevon_propeller.simulation import building, drawing, oracle
from elevon_propeller.simulation.blueprint import Blueprint, steps_of_execution
from elevon_propeller.simulation.building import Registry
from elevon_propeller.simulation.cluster import Cluster, ClusterPlugin
from elevon_propeller.simulation.faults import ON_MAIL, Danger, Fault, Faults
from elevon_propeller.simulation.headquarters import Headquarters, Known, Office
from elevon_propeller.simulation.ledger import Rule, Violation
from elevon_propeller.simulation.line import Line, Weather, defect
from elevon_propeller.simulation.listening import listening
from elevon_propeller.simulation.register import Register
from elevon_propeller.simulation.surroundings import LineBlobs, LineCatalog, LineStore, OnePlugin, SharedCatalog
from elevon_propeller.simulation.virtual_time import Standstill, VirtualLoop
from elevon_propeller.store.memory import MemoryStore
from elevon_propeller.usecases.executions import Executions

TOP, AGAIN = "top", "again"
LONGEST = 900.0
"""Virtual seconds after which a world that has not come to rest never will."""

LEASE_SECONDS = 8.0
_IN_TURN = (ExecutionStarted, Resumed, AbortRequested, SignalSet)
"""Observations that nothing comes between: the runtime waits until they are durable."""


@dataclass(frozen=True, slots=True)
class Script:
    """What is played; `faults` None draws them from the seed. `replicas` share the shards."""

    seed: int
    blueprint: Blueprint
    replicas: int
    local: bool
    faults: tuple[Fault, ...] | None = None

    @classmethod
    def of_seed(cls, seed: int) -> Script:
        """What a seed plays."""
        rng = random.Random(f"script {seed}")
        replicas = 2 if rng.random() < 0.4 else 1
        return cls(seed, drawing.draw(seed), replicas, local=rng.random() < 0.3)


class UnrulyDriver(Driver):
    """The real driver; observations reach it twice or late. An execution that it cannot drive breaks a rule."""

    weather: Weather

    def post(self, actor: Actor, observation: Observation) -> None:
        """Put an observation into the mailbox, or see that it gets there another way."""
        if isinstance(observation, _IN_TURN):
            super().post(actor, observation)
            return
        fault = self.weather.faults.next(ON_MAIL, type(observation).__name__)
        if fault is None:
            super().post(actor, observation)
            return
        self.weather.note("mail", f"! {fault.danger.value} ({fault.length} s) {observation}")
        loop = asyncio.get_running_loop()
        loop.call_later(fault.length, super().post, actor, observation)
        if fault.danger is Danger.REPEATED:
            super().post(actor, observation)

    def postpone(self, key: int, name: Name, error: Exception) -> None:
        """Try an execution later; only outages are a reason to."""
        if not is_transient(error):
            self.weather.violate(defect(f"{name[2]} cannot be driven: {type(error).__name__}: {error}"))
        super().postpone(key, name, error)


class SteadyKeys(Keys):
    """Numbers that are the same in every play."""

    def __init__(self, first: int) -> None:
        self._last = first

    def next(self) -> int:
        """The next number."""
        self._last += 1
        return self._last


@dataclass(slots=True)
class Replica:
    """One process of propeller, until it dies."""

    name: str
    line: Line
    runtime: Runtime
    executions: Executions
    starting: asyncio.Task[None] | None = None
    ready: bool = False


class Scene:
    """Plays a script. `driver` is the class that drives executions: a place for planted bugs."""

    def __init__(
        self,
        script: Script,
        loop: VirtualLoop,
        faults: Faults | None = None,
        *,
        notes: bool = False,
        driver: type[UnrulyDriver] = UnrulyDriver,
    ) -> None:
        blueprint = script.blueprint
        self.script = script
        self._loop = loop
        self._driver = driver
        self._rng = random.Random(f"scene {script.seed}")
        if faults is None:
            faults = Faults.of_seed(script.seed) if script.faults is None else Faults.given(script.faults)
        self.weather = Weather(
            faults,
            random.Random(f"weather {script.seed}"),
            self._now,
            loop.create_future(),
            notes=[] if notes else None,
        )
        self.registry: Registry = building.register(blueprint.graph)
        self.policy = EnginePolicy(
            inline_limit=blueprint.inline_limit,
            element_inline_limit=min(blueprint.inline_limit, 1024),
            array_parallelism=blueprint.array_parallelism,
            array_live_elements=blueprint.array_live_elements,
            begins_per_step=blueprint.begins_per_step,
            metadata_root="s3://simulated/metadata",
            raw_output_prefix="s3://simulated/raw",
        )
        self.register = Register(self.policy, blueprint.max_parallelism, self._now)
        self.store = MemoryStore()
        self.blobs = MemoryBlobStore()
        self.catalog = SharedCatalog(self._now)
        self.cluster = Cluster(
            self.registry,
            self.weather,
            self.blobs,
            self.register,
            local=script.local,
            array_parallelism=blueprint.array_parallelism,
        )
        self.headquarters = Headquarters(self.registry, self.weather, self._anyone, self._created)
        self.replicas: list[Replica] = []
        self.generations = 0
        self._keys = SteadyKeys(1)
        self._burials: set[asyncio.Task[None]] = set()

    def _now(self) -> float:
        return self._loop.now

    async def play(self) -> None:
        """Play to the end; raises Violation."""
        for _ in range(self.script.replicas):
            self._new_replica()
        options = propeller.ExecutionOptions(
            max_parallelism=self.script.blueprint.max_parallelism,
            overwrite_cache=self.script.blueprint.overwrite_cache,
        )
        if self.script.blueprint.interruptible is not None:
            options.interruptible.CopyFrom(BoolValue(value=self.script.blueprint.interruptible))
        inputs = building.literal_map({"x": self.script.blueprint.x})
        self.headquarters.create(TOP, Known(self.script.blueprint.graph.name, inputs, options))
        if self.script.blueprint.abort_after:
            self._loop.call_later(self.script.blueprint.abort_after, self.headquarters.abort, TOP, "enough")
        await self._rest()
        if self._is_to_be_recovered():
            known = self.headquarters.executions[TOP]
            self.headquarters.recover(TOP, AGAIN, known.options)
            await self._rest()
        self._judge()

    def _is_to_be_recovered(self) -> bool:
        """Of those that have not succeeded the user recovers some."""
        phase = self.headquarters.executions[TOP].view.workflow.phase
        return phase != core.WorkflowExecution.SUCCEEDED and self.script.seed % 3 == 0

    async def _rest(self) -> None:
        """Wait until nothing is left to do."""
        while not self._is_at_rest():
            if self._now() > LONGEST:
                rule = Rule.ALL_ENDS if self.headquarters.is_idle and self.cluster.alive else Rule.TERMINATES
                raise Violation(rule, f"not at rest after {LONGEST} s: {self.unrest()}")
            await asyncio.wait([self.weather.broken], timeout=0.5)
            if self.weather.broken.done():
                self.weather.broken.result()

    def _is_at_rest(self) -> bool:
        return self.headquarters.is_idle and not self.store.undelivered and not self.cluster.alive

    def unrest(self) -> str:
        running = [name for name, known in self.headquarters.executions.items() if not known.view.has_ended]
        live = [
            node
            for replica in self.replicas
            for actor in replica.runtime.driver.actors.values()
            for scope in actor.state.scopes()
            for node in scope.live.values()
        ]
        return f"executions {running}, nodes {live[:8]}, attempts {self.cluster.alive[:5]}"

    def _judge(self) -> None:
        """The rules that can be judged only at the end."""
        for name, known in self.headquarters.executions.items():
            self.register.ledger(name).check_told()
            told = [key for key in self.register.told[name] if key not in known.view.too_late]
            if told != known.view.accepted:
                raise Violation(Rule.TOLD_IN_ORDER, _difference(name, told, known.view.accepted))
        self.register.check_arrays(self.store.arrays)
        self._judge_outcome()

    def _judge_outcome(self) -> None:
        ending = oracle.expected(self.script.blueprint)
        if ending is not None:
            self._judge_ending(TOP, ending)
        recovered = oracle.expected(replace(self.script.blueprint, abort_after=0.0))
        if recovered is not None and AGAIN in self.headquarters.executions:
            self._judge_ending(AGAIN, recovered)

    def _judge_ending(self, name: str, ending: oracle.Ending) -> None:
        """What had succeeded is taken over and fates repeat: recovering comes to what the fates say."""
        view = self.headquarters.executions[name].view
        phase = core.WorkflowExecution.SUCCEEDED if ending.is_good else core.WorkflowExecution.FAILED
        if view.workflow.phase != phase:
            name = core.WorkflowExecution.Phase.Name(core.WorkflowExecution.Phase.ValueType(view.workflow.phase))
            raise Violation(Rule.SAME_OUTPUTS, f"ended {name}, by its fates it had to have {ending}: {view.error}")
        if ending.is_good:
            found = self._outputs(view.outputs_uri)
            if found != {"x": ending.number}:
                raise Violation(Rule.SAME_OUTPUTS, f"outputs {found}, by its fates they had to be {ending.number}")

    def _outputs(self, uri: str) -> dict[str, int | list[int | None]]:
        return building.values_of(core.LiteralMap.FromString(self.blobs.peek(uri)))

    def _created(self, name: str, known: Known) -> None:
        """The user gives every gate of a new execution its answer, before or after it is asked."""
        for step in steps_of_execution(self.registry.graphs[known.graph]):
            if step.kind in ("approve", "signal"):
                value = building.number(step.answer)
                if step.kind == "approve":
                    value = core.Literal(scalar=core.Scalar(primitive=core.Primitive(boolean=bool(step.answer))))
                delay = self._rng.choice((0.0, 0.02, 0.3, 3.0))
                self._loop.call_later(delay, self.headquarters.signal, name, step.task, value)

    def _anyone(self) -> Executions | None:
        alive = [replica for replica in self.replicas if replica.ready]
        return self._rng.choice(alive).executions if alive else None

    def _new_replica(self) -> None:
        self.generations += 1
        name = f"r{self.generations}"
        line = Line(name, self.weather, lambda: self._die(replica))
        surroundings = Surroundings(
            store=LineStore(self.store, self.register, line),
            admin=(office := Office(self.headquarters, self.registry, line)),
            catalog=LineCatalog(self.catalog, line),
            plugins=OnePlugin(ClusterPlugin(self.cluster, line)),
            blobs=LineBlobs(self.blobs, line),
            service=office,
        )
        runtime = Runtime(
            surroundings,
            self.policy,
            RuntimeOptions(lease_seconds=LEASE_SECONDS),
            self._loop.microseconds,
            name,
            self._driver,
        )
        runtime.keys = self._keys
        assert isinstance(runtime.driver, UnrulyDriver)
        runtime.driver.weather = self.weather
        replica = Replica(name, line, runtime, Executions(runtime))
        self.replicas.append(replica)
        replica.starting = self._loop.create_task(self._start(replica))

    async def _start(self, replica: Replica) -> None:
        self.weather.note(replica.name, "starts")
        try:
            await replica.runtime.start()
        except ElevonError as error:
            self.weather.note(replica.name, f"cannot start: {error.message}")
            self._die(replica)
        else:
            replica.ready = True

    def _die(self, replica: Replica) -> None:
        if not replica.line.alive:
            return
        self.weather.note(replica.name, "dies")
        replica.line.alive = False
        replica.ready = False
        self.replicas.remove(replica)
        self.cluster.replica_died(replica.name)
        self._loop.call_soon(self._bury, replica)
        self._loop.call_later(0.1 + self._rng.random() * 2, self._new_replica)

    def _bury(self, replica: Replica) -> None:
        """End the tasks of a dead replica, of which none does anything any more."""
        if replica.starting is not None:
            replica.starting.cancel()
        self._burials.add(burial := self._loop.create_task(replica.runtime.kill()))
        burial.add_done_callback(self._burials.discard)


def _difference(name: str, told: list[tuple[object, ...]], accepted: list[tuple[object, ...]]) -> str:
    for place, (left, right) in enumerate(zip(told, accepted, strict=False)):
        if left != right:
            return f"{name}, event {place}: committed {left}, accepted {right}"
    longer = told[len(accepted) :] or accepted[len(told) :]
    return f"{name}: {len(told)} committed, {len(accepted)} accepted; the first of the rest is {longer[0]}"


@dataclass(slots=True)
class Outcome:
    """How a play ended; `violation` is None when all rules held."""

    script: Script
    violation: Violation | None
    happened: tuple[Fault, ...]
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def play(
    script: Script,
    faults: Faults | None = None,
    *,
    notes: bool = False,
    driver: type[UnrulyDriver] = UnrulyDriver,
) -> Outcome:
    """Play a script from beginning to end; `faults` stand in for those of the script."""
    loop = VirtualLoop()
    random.seed(script.seed)
    violation = None
    try:
        scene = Scene(script, loop, faults, notes=notes, driver=driver)
        try:
            with listening(lambda error: scene.weather.violate(defect(error))):
                loop.run_until_complete(scene.play())
        except Violation as broken:
            violation = broken
        except Standstill as standstill:
            violation = Violation(Rule.TERMINATES, f"{standstill}: {scene.unrest()}")
        return Outcome(script, violation, tuple(scene.weather.faults.happened), scene.weather.notes or [], loop.now)
    finally:
        _close(loop)


def _close(loop: VirtualLoop) -> None:
    loop.turns = 0
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
