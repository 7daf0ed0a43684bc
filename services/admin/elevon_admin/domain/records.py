"""Executions as the store keeps them: identity, closure, the columns beside it, and what changed since it was read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core


class ExecutionKey(NamedTuple):
    """The name of a workflow execution."""

    project: str
    domain: str
    name: str

    @classmethod
    def of(cls, identifier: core.WorkflowExecutionIdentifier) -> ExecutionKey:
        """The key of an identifier."""
        return cls(identifier.project, identifier.domain, identifier.name)

    def identifier(self) -> core.WorkflowExecutionIdentifier:
        """The identifier of this key."""
        return core.WorkflowExecutionIdentifier(project=self.project, domain=self.domain, name=self.name)

    def __str__(self) -> str:
        return f"{self.project}:{self.domain}:{self.name}"


class NodeKey(NamedTuple):
    """The name of a node execution."""

    execution: ExecutionKey
    node_id: str

    @classmethod
    def of(cls, identifier: core.NodeExecutionIdentifier) -> NodeKey:
        """The key of an identifier."""
        return cls(ExecutionKey.of(identifier.execution_id), identifier.node_id)

    def identifier(self) -> core.NodeExecutionIdentifier:
        """The identifier of this key."""
        return core.NodeExecutionIdentifier(node_id=self.node_id, execution_id=self.execution.identifier())

    def __str__(self) -> str:
        return f"{self.execution}:{self.node_id}"


class TaskKey(NamedTuple):
    """The name of a task execution: a node, a task, and the number of the attempt, which begins at 0."""

    node: NodeKey
    project: str
    domain: str
    name: str
    version: str
    attempt: int

    @classmethod
    def of(
        cls, task_id: core.Identifier, node_execution_id: core.NodeExecutionIdentifier, retry_attempt: int
    ) -> TaskKey:
        """The key of the three parts of an identifier."""
        node = NodeKey.of(node_execution_id)
        return cls(node, task_id.project, task_id.domain, task_id.name, task_id.version, retry_attempt)

    def identifier(self) -> core.TaskExecutionIdentifier:
        """The identifier of this key."""
        task_id = core.Identifier(
            resource_type=core.TASK, project=self.project, domain=self.domain, name=self.name, version=self.version
        )
        return core.TaskExecutionIdentifier(
            task_id=task_id, node_execution_id=self.node.identifier(), retry_attempt=self.attempt
        )

    def within_execution(self) -> str:
        """One text for this attempt, unique within its execution; nodes refer to a parent task by it."""
        return "\n".join((self.node.node_id, str(self.attempt), self.project, self.domain, self.name, self.version))

    def __str__(self) -> str:
        return f"{self.node}:{self.project}:{self.domain}:{self.name}:{self.version}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class StoredLiterals:
    """Where a literal map is: inline as serialized bytes, or at a URI; never both empty."""

    uri: str = ""
    data: bytes | None = None


@dataclass(slots=True)
class ExecutionRecord:
    """One workflow execution while events are applied to it.

    `phases_seen` has bit n set when phase n was recorded; it tells a replayed event from a new one.
    """

    key: ExecutionKey
    row_id: int
    closure: admin.ExecutionClosure
    cluster: str = ""
    outputs: StoredLiterals | None = None
    phases_seen: int = 0
    changed: bool = False
    finished: bool = False


@dataclass(slots=True)
class NodeRecord:
    """One node execution while events are applied to it; `row_id` is None until it is inserted.

    `inputs`, `outputs` and `dynamic_workflow` are None when they are stored already and were not read.
    """

    key: NodeKey
    closure: admin.NodeExecutionClosure
    metadata: admin.NodeExecutionMetaData
    row_id: int | None = None
    parent_node_id: str | None = None
    parent_task: str | None = None
    input_uri: str = ""
    inputs: bytes | None = None
    has_inputs: bool = False
    outputs: StoredLiterals | None = None
    dynamic_workflow: StoredLiterals | None = None
    dynamic_workflow_id: bytes | None = None
    event_version: int = 0
    phases_seen: int = 0
    changed: bool = False


@dataclass(slots=True)
class TaskRecord:
    """One task execution while events are applied to it; `row_id` is None until it is inserted."""

    key: TaskKey
    closure: admin.TaskExecutionClosure
    row_id: int | None = None
    phase_version: int = 0
    input_uri: str = ""
    inputs: bytes | None = None
    has_inputs: bool = False
    outputs: StoredLiterals | None = None
    phases_seen: int = 0
    changed: bool = False


@dataclass(slots=True)
class EventData:
    """The literals that came with an event, after large ones were moved to the object store."""

    inputs: StoredLiterals | None = None
    outputs: StoredLiterals | None = None
    dynamic_workflow: StoredLiterals | None = None


NO_DATA = EventData()


@dataclass(slots=True)
class ExecutionFamily:
    """What a batch of events touches of one execution: the execution, its nodes, its task attempts."""

    execution: ExecutionRecord
    nodes: dict[str, NodeRecord] = field(default_factory=dict)
    tasks: dict[TaskKey, TaskRecord] = field(default_factory=dict)
