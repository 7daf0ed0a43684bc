"""Many events at once: which rows they need, and how they change these rows in memory, in the order given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from elevon_core.errors import AlreadyExists, ElevonError, NotFound
from elevon_core.identifiers import (
    validate_execution_identifier,
    validate_identifier,
    validate_node_execution_identifier,
    validate_part,
)
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event

from elevon_admin.domain import execution_closure, node_closure, task_closure
from elevon_admin.domain.phases import check_producer
from elevon_admin.domain.records import (
    NO_DATA,
    EventData,
    ExecutionFamily,
    ExecutionKey,
    NodeKey,
    NodeRecord,
    TaskKey,
)

AnyEvent = event.WorkflowExecutionEvent | event.NodeExecutionEvent | event.TaskExecutionEvent
AnyKey = ExecutionKey | NodeKey | TaskKey

EVENTS_AT_ONCE = 500
"""Between so many of a batch, which take about ten milliseconds, others have their turn."""


@dataclass(slots=True)
class PreparedEvent:
    """A valid event; `replayable` if its sender repeats whole batches, so that old events are told from new ones.

    `places` say whose data its outputs point at, and `key` names what the event is about, by the kind of the event.
    """

    reported: AnyEvent
    data: EventData = field(default_factory=lambda: NO_DATA)
    replayable: bool = False
    places: frozenset[str] = frozenset()
    key: AnyKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = _key_of(self.reported)

    @property
    def execution(self) -> ExecutionKey:
        """The execution that the event belongs to."""
        if isinstance(self.key, TaskKey):
            return self.key.node.execution
        return self.key.execution if isinstance(self.key, NodeKey) else self.key


@dataclass(slots=True)
class Wanted:
    """Which rows events need; `references` are executions that only have to exist."""

    executions: set[ExecutionKey] = field(default_factory=set)
    nodes: set[NodeKey] = field(default_factory=set)
    tasks: set[TaskKey] = field(default_factory=set)
    references: set[ExecutionKey] = field(default_factory=set)


@dataclass(slots=True)
class Families:
    """The rows that were found, by execution, and which of the references exist."""

    by_execution: dict[ExecutionKey, ExecutionFamily]
    references: Collection[ExecutionKey] = ()

    def of(self, key: ExecutionKey) -> ExecutionFamily:
        """The family of an execution; raises NotFound."""
        family = self.by_execution.get(key)
        if family is None:
            raise missing_execution(key)
        return family


def missing_execution(key: ExecutionKey) -> NotFound:
    """The error for an execution that does not exist."""
    return NotFound(f"missing entity of type execution with identifier {key}")


def validate_event(reported: AnyEvent) -> None:
    """Raise InvalidArgument for an event that is incomplete or names phases and times that do not exist."""
    if isinstance(reported, event.WorkflowExecutionEvent):
        execution_closure.validate_workflow_event(reported)
        validate_execution_identifier(reported.execution_id, "execution_id")
    elif isinstance(reported, event.NodeExecutionEvent):
        node_closure.validate_node_event(reported)
        validate_node_execution_identifier(reported.id)
        if reported.HasField("parent_task_metadata"):
            validate_identifier(reported.parent_task_metadata.id.task_id, core.TASK, "task_id")
            validate_node_execution_identifier(reported.parent_task_metadata.id.node_execution_id)
        if reported.HasField("parent_node_metadata"):
            validate_part(reported.parent_node_metadata.node_id, "parent_node_metadata.node_id")
        if reported.HasField("workflow_node_metadata"):
            validate_execution_identifier(reported.workflow_node_metadata.execution_id, "workflow_node_metadata")
    else:
        task_closure.validate_task_event(reported)
        validate_identifier(reported.task_id, core.TASK, "task_id")
        validate_node_execution_identifier(reported.parent_node_execution_id, "node_execution_id")


def wanted_rows(events: Sequence[PreparedEvent]) -> Wanted:
    """The rows that applying the events will look at."""
    wanted = Wanted()
    for prepared in events:
        key = prepared.key
        if isinstance(key, ExecutionKey):
            wanted.executions.add(key)
        elif isinstance(prepared.reported, event.NodeExecutionEvent) and isinstance(key, NodeKey):
            _want_node(wanted, key, prepared.reported)
        elif isinstance(key, TaskKey):
            wanted.executions.add(key.node.execution)
            wanted.nodes.add(key.node)
            wanted.tasks.add(key)
    return wanted


def _want_node(wanted: Wanted, key: NodeKey, reported: event.NodeExecutionEvent) -> None:
    wanted.executions.add(key.execution)
    wanted.nodes.add(key)
    if reported.HasField("parent_node_metadata"):
        wanted.nodes.add(NodeKey(key.execution, reported.parent_node_metadata.node_id))
    if reported.HasField("parent_task_metadata"):
        parent = node_closure.parent_task_key(reported)
        wanted.executions.add(parent.node.execution)
        wanted.tasks.add(parent)
    if reported.HasField("workflow_node_metadata"):
        wanted.references.add(ExecutionKey.of(reported.workflow_node_metadata.execution_id))


def apply_events(families: Families, events: Sequence[PreparedEvent]) -> list[ElevonError | None]:
    """Apply the events in order; each has an outcome of its own, None when it was applied."""
    outcomes: list[ElevonError | None] = []
    for prepared in events:
        try:
            _apply(families, prepared)
        except ElevonError as error:
            outcomes.append(error)
        else:
            outcomes.append(None)
    return outcomes


def _apply(families: Families, prepared: PreparedEvent) -> None:
    reported, key = prepared.reported, prepared.key
    if isinstance(reported, event.NodeExecutionEvent) and isinstance(key, NodeKey):
        _apply_node(families, key, reported, prepared)
    elif isinstance(reported, event.TaskExecutionEvent) and isinstance(key, TaskKey):
        _apply_task(families, key, reported, prepared)
    elif isinstance(reported, event.WorkflowExecutionEvent) and isinstance(key, ExecutionKey):
        _apply_workflow(families.of(key), reported, prepared)


def _apply_workflow(family: ExecutionFamily, reported: event.WorkflowExecutionEvent, prepared: PreparedEvent) -> None:
    record = family.execution
    if prepared.replayable and execution_closure.is_replay(record, reported):
        raise AlreadyExists(f"this event was already recorded for workflow execution {record.key}")
    execution_closure.apply_workflow_event(record, reported, prepared.data)


def _apply_node(families: Families, key: NodeKey, reported: event.NodeExecutionEvent, prepared: PreparedEvent) -> None:
    family = families.of(key.execution)
    _check_producer(family, reported.producer_id)
    record = family.nodes.get(key.node_id)
    if record is None:
        parent = _parent_of(families, family, reported)
        family.nodes[key.node_id] = node_closure.first_node_event(key, reported, prepared.data)
        if parent is not None and parent.event_version == 0 and not parent.metadata.is_parent_node:
            parent.metadata.is_parent_node = True
            parent.changed = True
        return
    if prepared.replayable and node_closure.is_replay(record, reported):
        raise AlreadyExists(f"this event was already recorded for node execution {key}")
    node_closure.check_transition(record, reported)
    if reported.HasField("workflow_node_metadata"):
        child = ExecutionKey.of(reported.workflow_node_metadata.execution_id)
        if child not in families.references:
            raise missing_execution(child)
    node_closure.next_node_event(record, reported, prepared.data)


def _parent_of(families: Families, family: ExecutionFamily, reported: event.NodeExecutionEvent) -> NodeRecord | None:
    """The parent node, if the event names one; raises NotFound when it, or the parent task attempt, does not exist."""
    if reported.HasField("parent_task_metadata"):
        parent_task = node_closure.parent_task_key(reported)
        if parent_task not in families.of(parent_task.node.execution).tasks:
            raise NotFound(f"missing entity of type task execution with identifier {parent_task}")
    if not reported.HasField("parent_node_metadata"):
        return None
    node_id = reported.parent_node_metadata.node_id
    parent = family.nodes.get(node_id)
    if parent is None:
        key = NodeKey(family.execution.key, node_id)
        raise NotFound(f"missing entity of type node execution with identifier {key}")
    return parent


def _apply_task(families: Families, key: TaskKey, reported: event.TaskExecutionEvent, prepared: PreparedEvent) -> None:
    family = families.of(key.node.execution)
    _check_producer(family, reported.producer_id)
    record = family.tasks.get(key)
    if record is None:
        if key.node.node_id not in family.nodes:
            raise NotFound(f"missing entity of type node execution with identifier {key.node}")
        family.tasks[key] = task_closure.first_task_event(key, reported, prepared.data)
        return
    if prepared.replayable and task_closure.is_replay(record, reported):
        raise AlreadyExists(f"this event was already recorded for task execution {key}")
    task_closure.next_task_event(record, reported, prepared.data)


def _check_producer(family: ExecutionFamily, producer: str) -> None:
    if producer != family.execution.cluster:
        check_producer(f"workflow execution {family.execution.key}", family.execution.cluster, producer)


def _key_of(reported: AnyEvent) -> AnyKey:
    if isinstance(reported, event.NodeExecutionEvent):
        return NodeKey.of(reported.id)
    if isinstance(reported, event.TaskExecutionEvent):
        return TaskKey.of(reported.task_id, reported.parent_node_execution_id, reported.retry_attempt)
    return ExecutionKey.of(reported.execution_id)
