"""What the use cases around executions need from the world outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from elevon_core.errors import ElevonError
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller

from elevon_admin.domain.concurrency import PlanName
from elevon_admin.domain.dispatches import Dispatch
from elevon_admin.domain.entities import LaunchParts
from elevon_admin.domain.event_batches import PreparedEvent
from elevon_admin.domain.executions import (
    ExecutionLiterals,
    LaunchSituation,
    NewExecution,
    StoredExecution,
    StoredNode,
    StoredSignal,
    StoredTaskExecution,
)
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.metrics_spans import History
from elevon_admin.domain.paging import Page
from elevon_admin.domain.records import ExecutionKey, ExecutionRecord, NodeKey, TaskKey
from elevon_admin.domain.sorting import Sort


class EventRepository(Protocol):
    """Executions with their nodes and task attempts, for recording events."""

    async def record(self, events: Sequence[PreparedEvent]) -> Sequence[ElevonError | None]:
        """Apply events in order, in one transaction; each has an outcome of its own, None when it was applied.

        Calls that come together share a transaction. Once it returns, what was applied is durable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Inserted:
    """A new execution: its row, and what is to be delivered.

    `waits_for` is the launch plan for a place of which it waits; then it is not delivered itself, but aborts of those
    that it replaces may be.
    """

    row_id: int
    dispatches: Sequence[Dispatch]
    waits_for: PlanName | None = None


class ExecutionRepository(Protocol):
    """Workflow executions."""

    async def add(self, execution: NewExecution) -> Inserted:
        """Insert the execution, its tags and its dispatch in one transaction, which calls that come together share.

        The launch plan's concurrency policy may have it wait instead, and others aborted for it. Raises AlreadyExists
        when the name is taken or the policy refuses it; nothing changes.
        """
        ...

    async def exists(self, key: ExecutionKey) -> bool:
        """Whether there is an execution of this name."""
        ...

    async def get(self, key: ExecutionKey) -> StoredExecution | None:
        """The execution, or None."""
        ...

    async def literals(self, key: ExecutionKey) -> ExecutionLiterals | None:
        """Its inputs and outputs, or None when there is no such execution."""
        ...

    async def parent(self, key: NodeKey) -> LaunchSituation | None:
        """What a child execution takes from its parent node's execution; None when that node does not exist."""
        ...

    async def list(
        self,
        project: str,
        domain: str,
        name: str,
        filters: Sequence[Filter],
        sort: Sort | None,
        page: Page,
        make: Callable[[], admin.Execution] = admin.Execution,
    ) -> Sequence[StoredExecution]:
        """A page and one more row if there is one; archived ones only if a filter speaks of `state`.

        `make` makes the message that a row is read into: one that belongs to an answer already need not be copied.
        """
        ...

    async def abort(
        self, key: ExecutionKey, change: Callable[[ExecutionRecord], None], payload: bytes, cause: str, now: int
    ) -> Sequence[Dispatch]:
        """Change the execution and queue an abort, in one transaction; answers all that is undelivered of it.

        What waits for a place is ended without the engine's help.

        Raises NotFound, and whatever `change` raises.
        """
        ...

    async def set_state(
        self, key: ExecutionKey, state: int, change: Callable[[ExecutionRecord], None], now: int
    ) -> None:
        """Write the column and the changed closure; raises NotFound."""
        ...


class WaitingRepository(Protocol):
    """Executions that wait for a place under the concurrency policy of their launch plan."""

    async def plans(self) -> Sequence[PlanName]:
        """Launch plans for a place of which somebody waits."""
        ...

    async def plans_of(self, keys: Sequence[ExecutionKey]) -> Sequence[PlanName]:
        """Of the launch plans of these executions, those for a place of which somebody waits."""
        ...

    async def admit(self, plan: PlanName, now: int) -> Sequence[Dispatch]:
        """Queue the hand-over of those for which there is a place, in order of creation; answers what is undelivered.

        May be repeated, and called by several replicas at once.
        """
        ...


class NodeExecutionRepository(Protocol):
    """Node executions, for reading."""

    async def get(self, key: NodeKey) -> StoredNode | None:
        """The node execution with its data, or None."""
        ...

    async def list(
        self,
        execution: ExecutionKey,
        filters: Sequence[Filter],
        sort: Sort | None,
        page: Page,
        *,
        parent_node: str | None = None,
        parent_task: str | None = None,
        make: Callable[[], admin.NodeExecution] = admin.NodeExecution,
    ) -> Sequence[StoredNode]:
        """A page and one more row: those below a node, below a task attempt, or, without either, the top level.

        `make` is as in ExecutionRepository.
        """
        ...


Row = TypeVar("Row")


class Changed(NamedTuple, Generic[Row]):
    """A row, and when it was written last, in nanoseconds by the clock of whoever wrote it."""

    updated_at: int
    row: Row


class ChangeRepository(Protocol):
    """Executions and nodes by what has changed; `position` is (nanoseconds, row id), and rows come after it in order.

    Nodes come without their data.
    """

    async def executions(self, keys: Sequence[ExecutionKey]) -> Mapping[ExecutionKey, Changed[StoredExecution]]:
        """Those of the executions that exist."""
        ...

    async def executions_since(
        self, project: str, domain: str, position: tuple[int, int], limit: int
    ) -> Sequence[Changed[StoredExecution]]:
        """The executions of a project and domain that were written after a position, oldest first."""
        ...

    async def nodes(self, execution: ExecutionKey, node_ids: Sequence[str]) -> Sequence[Changed[StoredNode]]:
        """Those of the nodes that exist."""
        ...

    async def nodes_since(
        self, execution: ExecutionKey, position: tuple[int, int], limit: int
    ) -> Sequence[Changed[StoredNode]]:
        """The nodes of an execution that were written after a position, oldest first."""
        ...


class TaskExecutionRepository(Protocol):
    """Task executions, for reading."""

    async def get(self, key: TaskKey) -> StoredTaskExecution | None:
        """The task execution with its data, or None."""
        ...

    async def list(
        self, node: NodeKey, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[StoredTaskExecution]:
        """A page and one more row if there is one."""
        ...


class HistoryRepository(Protocol):
    """What is recorded of whole executions."""

    async def get(self, key: ExecutionKey, *, inside: bool) -> History | None:
        """The execution, `inside` with all its nodes and task attempts and without their workflows; or None."""
        ...


class SignalRepository(Protocol):
    """Signals of gate nodes."""

    async def get_or_create(
        self, execution: ExecutionKey, signal_id: str, signal_type: core.LiteralType, now: int
    ) -> StoredSignal:
        """The signal, made if it did not exist; raises NotFound without its execution."""
        ...

    async def get(self, execution: ExecutionKey, signal_id: str) -> StoredSignal | None:
        """The signal, or None."""
        ...

    async def set_value(
        self, execution: ExecutionKey, signal_id: str, value: core.Literal, payload: bytes, now: int
    ) -> Sequence[Dispatch]:
        """Write the value and queue its delivery, in one transaction; answers all that is undelivered."""
        ...

    async def list(
        self, execution: ExecutionKey, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[StoredSignal]:
        """A page and one more row if there is one."""
        ...


class DispatchRepository(Protocol):
    """The outbox towards the engine."""

    async def undelivered(self, limit: int, before: int) -> Sequence[Dispatch]:
        """The oldest rows among those made no later than `before`, in order."""
        ...

    async def delivered(self, row_id: int) -> None:
        """Forget what was acknowledged; calls that come together share a transaction."""
        ...


class Outbox(Protocol):
    """Where committed dispatches go to be delivered; what is lost here is found again in the database."""

    def put(self, dispatches: Sequence[Dispatch]) -> None:
        """Deliver these soon, in order for each execution; those that are known already are left alone."""
        ...


class Engine(Protocol):
    """The execution engine; every call may be repeated at any time.

    Unavailable and everything else that may pass raises an error that asks for another attempt; InvalidArgument and
    FailedPrecondition mean that no attempt will ever succeed.
    """

    async def create(self, request: propeller.CreateExecutionRequest) -> propeller.CreateExecutionResponse:
        """Hand an execution over."""
        ...

    async def abort(self, execution_id: core.WorkflowExecutionIdentifier, cause: str) -> bool:
        """Stop an execution; False when the engine never had it."""
        ...

    async def set_signal(
        self, execution_id: core.WorkflowExecutionIdentifier, signal_id: str, value: core.Literal
    ) -> bool:
        """Hand a signal's value over; False when the engine never had the execution."""
        ...

    async def tell_end(self, execution_id: core.WorkflowExecutionIdentifier) -> None:
        """Tell of an execution that has ended and that the engine does not run: a node may wait for it."""
        ...


class LaunchSource(Protocol):
    """What can be launched."""

    async def launch_plan(self, identifier: core.Identifier) -> LaunchParts:
        """A launch plan with its compiled workflow; raises NotFound."""
        ...

    async def task(self, identifier: core.Identifier) -> LaunchParts:
        """A task wrapped into a workflow of its own, which is registered if need be; raises NotFound."""
        ...

    async def workflow(self, row: int) -> core.CompiledWorkflowClosure:
        """The compiled workflow of a row; raises NotFound."""
        ...


class ActiveProjects(Protocol):
    """Projects and domains."""

    async def require_active(self, project: str, domain: str) -> Mapping[str, str]:
        """The project's labels; raises InvalidArgument for an unknown domain or a project unknown or not active."""
        ...


@dataclass(frozen=True, slots=True)
class LaunchAttributes:
    """The attributes that bear on one launch; `execution_configs` with the most specific first."""

    execution_configs: Sequence[admin.WorkflowExecutionConfig] = ()
    plugin_overrides: Sequence[admin.PluginOverride] = ()
    task_resources: admin.TaskResourceAttributes | None = None
    cluster_pool: str = ""
    queue_tags: Sequence[str] = ()


class AttributeSource(Protocol):
    """Attributes of projects, domains and workflows."""

    async def for_launch(
        self, project: str, domain: str, workflow: core.Identifier, launch_plan: str
    ) -> LaunchAttributes:
        """What applies to a launch of a workflow in a project and domain; never raises NotFound.

        Resources are those of the place the workflow is registered in.
        """
        ...


SignedMethod = Literal["GET", "PUT"]


class DownloadSigner(Protocol):
    """Makes addresses without a query that let whoever has them read one object for a while."""

    def sign(self, uri: str, expires: timedelta) -> str:
        """The address."""
        ...


class UrlSigner(Protocol):
    """Makes URLs that let whoever has them read or write one object for a while."""

    async def sign(self, method: SignedMethod, uri: str, expires: timedelta, headers: Mapping[str, str]) -> str:
        """The URL; a PUT must carry the headers as given."""
        ...
