"""The fake of `AdminService`: passes the same contract suite as the real one."""

from __future__ import annotations

from elevon_core import identifiers
from elevon_core.compiler import LaunchPlanInterface
from elevon_core.errors import AlreadyExists, ElevonError, FailedPrecondition, NotFound
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_propeller.engine.originals import Original
from elevon_propeller.ports import ChildOutcome

Name = tuple[str, str, str]


class MemoryAdminService:
    """Executions end when the test says so with `end`; `failures` are raised first, one per call.

    It knows what was launched, and `executions` besides.
    """

    def __init__(self) -> None:
        self.launched: dict[Name, admin.ExecutionCreateRequest] = {}
        self.executions: set[Name] = set()
        self.originals: dict[Name, Original] = {}
        self.outcomes: dict[Name, ChildOutcome] = {}
        self.causes: dict[Name, str] = {}
        self.tasks: dict[tuple[str, ...], core.CompiledTask] = {}
        self.launch_plans: dict[tuple[str, ...], LaunchPlanInterface] = {}
        self.signals: dict[tuple[Name, str], core.LiteralType] = {}
        self.values: dict[tuple[Name, str], core.Literal] = {}
        self.failures: list[ElevonError] = []
        self.calls = 0

    async def launch(self, request: admin.ExecutionCreateRequest) -> None:
        """Keep an execution."""
        self._begin()
        name = (request.project, request.domain, request.name)
        if name in self.launched:
            raise AlreadyExists(f"execution {request.name} exists")
        plan = request.spec.launch_plan
        if identifiers.key(plan) not in self.launch_plans:
            raise NotFound(f"missing entity of type LAUNCH_PLAN with identifier {identifiers.text(plan)}")
        self.launched[name] = request

    async def recover(self, request: admin.ExecutionRecoverRequest) -> None:
        """Keep an execution, with the one it recovers."""
        self._begin()
        project, domain = request.id.project, request.id.domain
        original = self._known(request.id)
        name = (project, domain, request.name)
        if name in self.launched:
            raise AlreadyExists(f"execution {request.name} exists")
        again = admin.ExecutionCreateRequest(project=project, domain=domain, name=request.name)
        again.spec.metadata.CopyFrom(request.metadata)
        again.spec.metadata.reference_execution.CopyFrom(request.id)
        if original in self.launched:
            again.inputs.CopyFrom(self.launched[original].inputs)
        self.launched[name] = again

    async def original(self, execution: core.WorkflowExecutionIdentifier) -> Original:
        """An original given, or one of which nothing is left."""
        self._begin()
        return self.originals.get(self._known(execution), Original(execution.name))

    async def terminate(self, child: core.WorkflowExecutionIdentifier, cause: str) -> None:
        """End an execution at once."""
        self._begin()
        name = self._known(child)
        if name in self.outcomes:
            raise FailedPrecondition(f"execution {child.name} has ended")
        self.causes[name] = cause
        self.outcomes[name] = ChildOutcome(core.WorkflowExecution.ABORTED)

    async def outcome(self, child: core.WorkflowExecutionIdentifier) -> ChildOutcome | None:
        """How an execution has ended."""
        self._begin()
        return self.outcomes.get(self._known(child))

    async def register_signal(
        self, execution: core.WorkflowExecutionIdentifier, signal_id: str, signal_type: core.LiteralType
    ) -> core.Literal | None:
        """Keep a signal."""
        self._begin()
        place = (self._known(execution), signal_id)
        if self.signals.setdefault(place, signal_type) != signal_type:
            raise AlreadyExists(f"signal {signal_id!r} of {execution.name} exists with another type")
        return self.values.get(place)

    async def task(self, identifier: core.Identifier) -> core.CompiledTask:
        """A task given."""
        self._begin()
        if identifiers.key(identifier) not in self.tasks:
            raise NotFound(f"missing entity of type TASK with identifier {identifiers.text(identifier)}")
        return self.tasks[identifiers.key(identifier)]

    async def launch_plan(self, identifier: core.Identifier) -> LaunchPlanInterface:
        """A launch plan given."""
        self._begin()
        if identifiers.key(identifier) not in self.launch_plans:
            raise NotFound(f"missing entity of type LAUNCH_PLAN with identifier {identifiers.text(identifier)}")
        return self.launch_plans[identifiers.key(identifier)]

    def end(self, child: core.WorkflowExecutionIdentifier, outcome: ChildOutcome) -> None:
        """Let an execution end."""
        self.outcomes[self._known(child)] = outcome

    def _begin(self) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)

    def _known(self, child: core.WorkflowExecutionIdentifier) -> Name:
        name = (child.project, child.domain, child.name)
        if name not in self.launched and name not in self.executions:
            raise NotFound(f"missing entity of type execution with identifier {'/'.join(name)}")
        return name
