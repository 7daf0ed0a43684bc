"""Executions as the store takes and gives them outside of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.concurrency import ConcurrencyLimit
from elevon_admin.domain.records import ExecutionKey, NodeKey, StoredLiterals, TaskKey


@dataclass(frozen=True, slots=True)
class LaunchSituation:
    """What a child execution takes from the execution of its parent node."""

    node_row: int
    execution_row: int
    user: str
    nesting: int
    cluster_label: str


@dataclass(frozen=True, slots=True)
class NewExecution:
    """All that is written when an execution is created; times are nanoseconds since the epoch.

    `places` say whose data its inputs point at, `recovers_row` which execution it recovers.
    """

    key: ExecutionKey
    created_at: int
    spec: admin.ExecutionSpec
    closure: admin.ExecutionClosure
    launch_entity: str
    workflow_row: int
    launch_plan_row: int | None
    task_row: int | None
    source_row: int | None
    parent_node_row: int | None
    user: str
    inputs: StoredLiterals
    user_inputs: StoredLiterals | None
    tags: Sequence[tuple[str, str]]
    dispatch_payload: bytes
    limit: ConcurrencyLimit | None = None
    places: frozenset[str] = frozenset()
    recovers_row: int | None = None


class StoredExecution(NamedTuple):
    """A workflow execution as it is read; `message` is its own, with what is stored of identifier, spec and closure."""

    row_id: int
    key: ExecutionKey
    message: admin.Execution
    cluster: str
    user: str
    abort_cause: str

    @property
    def spec(self) -> admin.ExecutionSpec:
        """What was asked for."""
        return self.message.spec

    @property
    def closure(self) -> admin.ExecutionClosure:
        """What has become of it."""
        return self.message.closure


@dataclass(frozen=True, slots=True)
class ExecutionLiterals:
    """Where the literals of an execution are; `user_inputs` is None where they equal the inputs.

    They are being deleted since `doomed_at`, and gone since `data_deleted_at`.
    """

    row_id: int
    inputs: StoredLiterals
    user_inputs: StoredLiterals | None
    outputs: StoredLiterals | None
    doomed_at: int | None = None
    data_deleted_at: int | None = None


class StoredNode(NamedTuple):
    """A node execution as it is read; `message` is its own, as clients read it."""

    row_id: int
    key: NodeKey
    message: admin.NodeExecution
    inputs: StoredLiterals | None = None
    outputs: StoredLiterals | None = None
    dynamic_workflow: StoredLiterals | None = None
    dynamic_workflow_id: core.Identifier | None = None

    @property
    def input_uri(self) -> str:
        """Where its inputs are."""
        return self.message.input_uri

    @property
    def closure(self) -> admin.NodeExecutionClosure:
        """What has become of it."""
        return self.message.closure

    @property
    def metadata(self) -> admin.NodeExecutionMetaData:
        """What kind of node it is."""
        return self.message.metadata


@dataclass(frozen=True, slots=True)
class StoredTaskExecution:
    """A task execution as it is read; `is_parent` when nodes were reported below it."""

    row_id: int
    key: TaskKey
    input_uri: str
    closure: admin.TaskExecutionClosure
    is_parent: bool
    inputs: StoredLiterals | None = None
    outputs: StoredLiterals | None = None

    def message(self) -> admin.TaskExecution:
        """The task execution as clients read it."""
        return admin.TaskExecution(
            id=self.key.identifier(), input_uri=self.input_uri, closure=self.closure, is_parent=self.is_parent
        )


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """A signal; `value` is None until it is set."""

    key: ExecutionKey
    signal_id: str
    type: core.LiteralType
    value: core.Literal | None = field(default=None)

    def message(self) -> admin.Signal:
        """The signal as clients read it."""
        identifier = core.SignalIdentifier(signal_id=self.signal_id, execution_id=self.key.identifier())
        return admin.Signal(id=identifier, type=self.type, value=self.value)
