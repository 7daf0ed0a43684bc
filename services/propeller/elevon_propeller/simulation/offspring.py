"""What the nodes of a simulated execution bring forth: executions of launch plans, and the graphs of dynamic tasks.

Both outlive crashes of the engine. The end of a launched execution is told only now and then; else it has to be asked
for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from elevon_core.compiler import LaunchPlanInterface
from elevon_core.errors import CompilationError
from elevon_idl.core import v1 as core

from elevon_propeller.engine import children, dynamic_graphs
from elevon_propeller.engine.commands import AskChild, BuildDynamic, LaunchChild, StopChild
from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.observations import ChildEnded, ChildLaunched, ChildStopped, DynamicBuilt, Observation
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.plan import Graph, build_plan
from elevon_propeller.engine.records import NodeRow, dynamic_uris
from elevon_propeller.engine.state import ExecutionState, NodeState
from elevon_propeller.simulation.ledger import Rule, Violation

Workflow = core.WorkflowExecution
_WAITING = frozenset({NodePhase.RUNNING, NodePhase.PREPARING})


@dataclass(slots=True)
class Child:
    """A launched execution; `phase` is 0 while it runs."""

    node_id: str
    inputs: core.LiteralMap
    phase: core.WorkflowExecution.Phase.ValueType = Workflow.UNDEFINED
    recovers: str = ""


@dataclass(slots=True)
class Offspring:
    """`jobs` says by spec node id what dynamic tasks yield; `launch_plans` what these may refer to."""

    jobs: Mapping[str, core.DynamicJobSpec] = field(default_factory=dict)
    launch_plans: Mapping[tuple[str, str, str, str], LaunchPlanInterface] = field(default_factory=dict)
    launched: dict[str, Child] = field(default_factory=dict)
    causes: dict[str, str] = field(default_factory=dict)
    builds: int = 0

    def launch(self, state: ExecutionState, command: LaunchChild, fate: str, at: int) -> list[Observation]:
        """Create an execution; asked again it is there already."""
        node = waiting(state, command.node_id, command.number)
        if node is None:
            return []
        request = children.launch_request(state, node)
        if fate == "BREAKS":
            error = core.ExecutionError(code="RuntimeExecutionError", message="refused", kind=core.ExecutionError.USER)
            return [ChildLaunched(at, node.id, node.attempt, error)]
        for name, child in self.launched.items():
            if child.node_id == node.id and not child.phase and name != request.name:
                raise Violation(Rule.ONE_AT_A_TIME, f"{request.name} launched while {name} runs")
        child = self.launched.setdefault(request.name, Child(node.id, request.inputs))
        recover = children.recover_request(state, node)
        if recover is not None:
            child.recovers = recover.id.name
        if not child.phase and fate != "HANGS":
            child.phase = {"SUCCEEDS": Workflow.SUCCEEDED, "DIES": Workflow.ABORTED}.get(fate, Workflow.FAILED)
        self._check_slots(state)
        return [ChildLaunched(at, node.id, node.attempt)]

    def ask(self, state: ExecutionState, command: AskChild, at: int) -> list[Observation]:
        """Tell how an execution has ended, when it has."""
        node = waiting(state, command.node_id, command.number)
        child = self.launched.get(children.identifier(state, node).name) if node is not None else None
        if node is None or child is None or not child.phase:
            return []
        seen = ChildEnded(at, node.id, node.attempt, child.phase)
        if child.phase == Workflow.SUCCEEDED:
            seen.outputs = child.inputs
        elif child.phase == Workflow.FAILED:
            seen.error = core.ExecutionError(code="CHILD", message="it failed", kind=core.ExecutionError.USER)
        return [seen]

    def stop(self, command: StopChild, at: int) -> list[Observation]:
        """Terminate an execution; one that does not exist or has ended is fine."""
        child = self.launched.get(command.child.name)
        if child is not None and not child.phase:
            child.phase = Workflow.ABORTED
            self.causes[command.child.name] = command.cause
        return [ChildStopped(at, command.node_id, command.number)]

    def build(
        self, state: ExecutionState, command: BuildDynamic, files: dict[str, bytes], at: int
    ) -> list[Observation]:
        """Compile a job, once for an attempt."""
        node = waiting(state, command.node_id, command.number)
        if node is None:
            return []
        assert node.plan.task is not None
        uri = dynamic_graphs.compiled_uri(state, node)
        if command.source and uri not in files and command.source in files:
            files[uri] = files[command.source]
        seen = DynamicBuilt(at, node.id, node.attempt, uri)
        if uri not in files and command.source:
            return [seen]
        if uri not in files:
            job = command.spec or self.jobs[node.plan.id]
            template = dynamic_graphs.build_template(state, node, job)
            try:
                closure = dynamic_graphs.compile_job(node.plan.task.template, job, template, {}, self.launch_plans)
            except CompilationError as error:
                seen.error = core.ExecutionError(
                    code="DynamicWorkflowBuildFailed", message=error.message, kind=core.ExecutionError.USER
                )
                return [seen]
            self.builds += 1
            files[uri] = closure.SerializeToString()
        seen.closure = core.CompiledWorkflowClosure.FromString(files[uri])
        seen.graph = build_plan(seen.closure, SUPPORTED).primary
        return [seen]

    def check_end(self) -> None:
        """Nothing that was launched runs on."""
        alive = [name for name, child in self.launched.items() if not child.phase]
        if alive:
            raise Violation(Rule.ALL_ENDS, f"children run on: {alive}")

    def _check_slots(self, state: ExecutionState) -> None:
        alive = sum(not child.phase for child in self.launched.values())
        if state.options.max_parallelism and alive > state.options.max_parallelism:
            raise Violation(
                Rule.PARALLELISM, f"{alive} children at a time, allowed are {state.options.max_parallelism}"
            )


def graphs(files: Mapping[str, bytes], rows: Iterable[NodeRow]) -> dict[str, Graph]:
    """The graphs that are needed to go on after a crash."""
    found = {}
    for uri in dynamic_uris(rows):
        found[uri] = build_plan(core.CompiledWorkflowClosure.FromString(files[uri]), SUPPORTED).primary
    return found


def waiting(state: ExecutionState, node_id: str, number: int) -> NodeState | None:
    """The node, when it still waits for this."""
    node = state.nodes.get(node_id)
    return node if node is not None and node.phase in _WAITING and node.attempt == number else None
