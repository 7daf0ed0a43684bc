"""Admin, simulated: takes events, creates child executions, hands executions, signals and aborts to whoever lives."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from elevon_core import identifiers
from elevon_core.compiler import LaunchPlanInterface
from elevon_core.errors import AlreadyExists, ElevonError, FailedPrecondition, NotFound
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller

from elevon_propeller.engine.originals import Original
from elevon_propeller.ports import ChildOutcome, Refusal
from elevon_propeller.simulation.building import Registry
from elevon_propeller.simulation.closures import DOMAIN, PROJECT
from elevon_propeller.simulation.ledger import Rule, Violation
from elevon_propeller.simulation.line import Line, Weather
from elevon_propeller.simulation.view import Verdict, View, execution_of
from elevon_propeller.usecases.executions import Executions

PATIENCE = 3.0
"""Seconds that admin waits for a replica's answer before it asks another one."""

Ask = Callable[[Executions], Awaitable[bool]]


@dataclass(slots=True)
class Known:
    """An execution admin knows; `graph` is the name of what it runs."""

    graph: str
    inputs: core.LiteralMap
    options: propeller.ExecutionOptions
    view: View = field(default_factory=View)
    signals: dict[str, core.Literal] = field(default_factory=dict)
    handed_over: bool = False


class Headquarters:
    """What is committed here outlives every replica. `anyone` picks a replica that is alive, or None."""

    def __init__(
        self,
        registry: Registry,
        weather: Weather,
        anyone: Callable[[], Executions | None],
        created: Callable[[str, Known], None],
    ) -> None:
        self.executions: dict[str, Known] = {}
        self.deliveries = 0
        self._registry = registry
        self._weather = weather
        self._anyone = anyone
        self._created = created
        self._errands: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether every execution has ended and nothing is to be handed over."""
        return not self._errands and all(known.view.has_ended for known in self.executions.values())

    def create(self, name: str, known: Known) -> None:
        """Keep an execution and have a replica take it over."""
        self.executions[name] = known
        self._weather.note("admin", f"creates {name} of {known.graph}")
        self._errand(self._hand_over(name, known))
        self._created(name, known)

    def abort(self, name: str, cause: str) -> None:
        """Begin to abort an execution; nothing for one that has ended."""
        known = self.executions[name]
        if known.view.has_ended:
            return
        self._weather.note("admin", f"aborts {name}")
        known.view.workflow.phase = core.WorkflowExecution.ABORTING
        request = propeller.AbortExecutionRequest(execution_id=identifier(name), cause=cause)
        self._errand(self._until_done(lambda executions: executions.abort(request)))

    def signal(self, name: str, signal_id: str, value: core.Literal) -> None:
        """Keep a signal's value and tell the execution."""
        self._weather.note("admin", f"has the signal {signal_id} of {name}")
        self.executions[name].signals[signal_id] = value
        request = propeller.SetSignalRequest(execution_id=identifier(name), signal_id=signal_id, value=value)
        self._errand(self._until_done(lambda executions: executions.set_signal(request)))

    def take(self, payload: bytes) -> list[Refusal]:
        """Apply events in order."""
        self.deliveries += 1
        refusals = []
        for index, told in enumerate(admin.RecordEventsRequest.FromString(payload).events):
            known = self.executions.get(execution_of(told))
            verdict = known.view.apply(told) if known is not None else Verdict.REFUSED
            if verdict is Verdict.REFUSED:
                raise Violation(Rule.ACCEPTED, f"refused: {str(told).split()}")
            if verdict is Verdict.TOO_LATE:
                refusals.append(Refusal(index, verdict.value))
        return refusals

    def launch(self, request: admin.ExecutionCreateRequest) -> None:
        """Create a child execution; raises AlreadyExists, NotFound."""
        if request.name in self.executions:
            raise AlreadyExists(f"execution {request.name} exists")
        parent = request.spec.metadata.parent_node_execution
        above = self.executions.get(parent.execution_id.name)
        if above is None or parent.node_id not in above.view.nodes:
            raise NotFound(f"node {parent.node_id} of {parent.execution_id.name} is not known")
        graph = request.spec.launch_plan.name
        options = propeller.ExecutionOptions()
        options.CopyFrom(above.options)
        options.ClearField("recovered_from")
        self.create(request.name, Known(graph, request.inputs, options))

    def recover(self, original: str, name: str, options: propeller.ExecutionOptions) -> None:
        """Begin an execution where another one has ended; raises AlreadyExists, NotFound."""
        if name in self.executions:
            raise AlreadyExists(f"execution {name} exists")
        known = self.executions.get(original)
        if known is None:
            raise NotFound(f"no execution {original}")
        recovering = propeller.ExecutionOptions()
        recovering.CopyFrom(options)
        recovering.recovered_from.CopyFrom(identifier(original))
        self.create(name, Known(known.graph, known.inputs, recovering))

    def terminate(self, name: str, cause: str) -> None:
        """Begin to abort a child execution; raises NotFound, FailedPrecondition when it has ended."""
        known = self.executions.get(name)
        if known is None:
            raise NotFound(f"no execution {name}")
        if known.view.has_ended:
            raise FailedPrecondition(f"execution {name} has ended")
        self.abort(name, cause)

    def outcome(self, name: str) -> ChildOutcome | None:
        """How an execution has ended, as far as admin was told; raises NotFound."""
        known = self.executions.get(name)
        if known is None:
            raise NotFound(f"no execution {name}")
        view = known.view
        if not view.has_ended:
            return None
        phase = core.WorkflowExecution.Phase.ValueType(view.workflow.phase)
        return ChildOutcome(phase, outputs_uri=view.outputs_uri, error=view.error)

    async def close(self) -> None:
        """Give up what is not handed over."""
        for errand in self._errands:
            errand.cancel()

    def _errand(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _hand_over(self, name: str, known: Known) -> None:
        closure = self._registry.closures[known.graph]
        digest = hashlib.sha256(known.graph.encode()).digest()
        request = propeller.CreateExecutionRequest(
            execution_id=identifier(name), closure_digest=digest, inputs=known.inputs, options=known.options
        )

        async def ask(executions: Executions) -> bool:
            answer = await executions.create(request)
            if answer.closure_required:
                request.closure.CopyFrom(closure)
            return not answer.closure_required

        await self._until_done(ask)
        known.handed_over = True

    async def _until_done(self, ask: Ask) -> None:
        """Ask one replica after the other until one has done it."""
        while True:
            executions = self._anyone()
            if executions is not None:
                try:
                    async with asyncio.timeout(PATIENCE):
                        if await ask(executions):
                            return
                except (ElevonError, TimeoutError):
                    pass
            await asyncio.sleep(0.1 + self._weather.latency())


class Office:
    """One replica's view of headquarters: both ports that lead to admin."""

    def __init__(self, headquarters: Headquarters, registry: Registry, line: Line) -> None:
        self._headquarters = headquarters
        self._registry = registry
        self._line = line

    async def record(self, payload: bytes) -> Sequence[Refusal]:
        """Deliver events."""

        async def take() -> list[Refusal]:
            return self._headquarters.take(payload)

        return await self._line.call("events", "tell", take)

    async def launch(self, request: admin.ExecutionCreateRequest) -> None:
        """Create an execution."""

        async def launch() -> None:
            self._headquarters.launch(request)

        await self._line.call("admin", f"launch {request.name}", launch)

    async def recover(self, request: admin.ExecutionRecoverRequest) -> None:
        """Begin an execution where another one has ended."""

        async def recover() -> None:
            parent = request.metadata.parent_node_execution.execution_id.name
            above = self._headquarters.executions.get(parent)
            if above is None:
                raise NotFound(f"execution {parent} is not known")
            self._headquarters.recover(request.id.name, request.name, above.options)

        await self._line.call("admin", f"recover {request.id.name}", recover)

    async def original(self, execution: core.WorkflowExecutionIdentifier) -> Original:
        """What an execution to be recovered came to: the store knows of all that admin has created."""
        raise NotFound(f"no execution {execution.name}")

    async def terminate(self, child: core.WorkflowExecutionIdentifier, cause: str) -> None:
        """Begin to abort an execution."""

        async def terminate() -> None:
            self._headquarters.terminate(child.name, cause)

        await self._line.call("admin", f"terminate {child.name}", terminate)

    async def outcome(self, child: core.WorkflowExecutionIdentifier) -> ChildOutcome | None:
        """How an execution has ended."""

        async def outcome() -> ChildOutcome | None:
            return self._headquarters.outcome(child.name)

        return await self._line.call("admin", f"ask for {child.name}", outcome)

    async def register_signal(
        self, execution: core.WorkflowExecutionIdentifier, signal_id: str, signal_type: core.LiteralType
    ) -> core.Literal | None:
        """Make a signal known; its value when it has one."""

        async def register() -> core.Literal | None:
            return self._headquarters.executions[execution.name].signals.get(signal_id)

        return await self._line.call("admin", f"signal {signal_id}", register)

    async def task(self, wanted: core.Identifier) -> core.CompiledTask:
        """A registered task."""

        async def task() -> core.CompiledTask:
            return self._registry.tasks[identifiers.key(wanted)]

        return await self._line.call("admin", f"get {wanted.name}", task)

    async def launch_plan(self, wanted: core.Identifier) -> LaunchPlanInterface:
        """What a registered launch plan expects and yields."""

        async def launch_plan() -> LaunchPlanInterface:
            return self._registry.launch_plans[identifiers.key(wanted)]

        return await self._line.call("admin", f"get {wanted.name}", launch_plan)


def identifier(name: str) -> core.WorkflowExecutionIdentifier:
    """An execution in the project of all examples."""
    return core.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=name)
