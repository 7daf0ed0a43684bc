"""How node events create and change a node execution."""

from __future__ import annotations

from elevon_core.errors import AlreadyExists, InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_admin.domain.event_data import take_inputs, take_result
from elevon_admin.domain.execution_closure import validate_phase
from elevon_admin.domain.phases import TERMINAL_NODE_PHASES, already_terminal, node_phase_name
from elevon_admin.domain.records import NO_DATA, EventData, NodeKey, NodeRecord, TaskKey
from elevon_admin.domain.sayable import check_sayable
from elevon_admin.domain.times import check_timestamp, nanoseconds, set_elapsed

_RUNNING = core.NodeExecution.RUNNING
_PHASES = frozenset(core.NodeExecution.Phase.values())


def validate_node_event(reported: event.NodeExecutionEvent) -> None:
    """Raise InvalidArgument unless the event names its node completely and carries a phase and times that exist."""
    if not reported.HasField("id"):
        raise InvalidArgument.missing("id")
    if not reported.id.HasField("execution_id"):
        raise InvalidArgument.missing("execution_id")
    if not reported.id.node_id:
        raise InvalidArgument.missing("node_id")
    validate_phase(reported.phase, _PHASES)
    if not reported.HasField("occurred_at"):
        raise InvalidArgument.missing("occurred_at")
    check_timestamp(reported.occurred_at, "occurred_at")
    if reported.HasField("error"):
        check_sayable(reported.error, "error")
    if reported.HasField("reported_at"):
        check_timestamp(reported.reported_at, "reported_at")


def moment_of_change(reported: event.NodeExecutionEvent | event.TaskExecutionEvent) -> Timestamp:
    """When the engine reported the change; when it happened, for engines that do not say."""
    moment = reported.reported_at
    return moment if moment.seconds or moment.nanos else reported.occurred_at


def is_replay(record: NodeRecord, reported: event.NodeExecutionEvent) -> bool:
    """Whether a batch delivers an event once more: its phase is recorded, and it is no newer than the last change."""
    seen = bool(record.phases_seen >> reported.phase & 1)
    return seen and nanoseconds(moment_of_change(reported)) <= nanoseconds(record.closure.updated_at)


def check_transition(record: NodeRecord, reported: event.NodeExecutionEvent) -> None:
    """Raise AlreadyExists for a phase that is recorded, FailedPrecondition for one after a terminal phase."""
    before = record.closure.phase
    if before == reported.phase:
        name = node_phase_name(before)
        raise AlreadyExists(f"This phase {name} was already recorded for node execution {record.key}")
    if before in TERMINAL_NODE_PHASES:
        raise already_terminal(f"node execution {record.key}", node_phase_name(before))


def first_node_event(key: NodeKey, reported: event.NodeExecutionEvent, data: EventData = NO_DATA) -> NodeRecord:
    """The node execution that its first event creates."""
    record = NodeRecord(key=key, closure=admin.NodeExecutionClosure(), metadata=admin.NodeExecutionMetaData())
    record.event_version = reported.event_version
    record.closure.created_at.CopyFrom(reported.occurred_at)
    record.metadata.retry_group = reported.retry_group
    record.metadata.spec_node_id = reported.spec_node_id
    if reported.HasField("parent_node_metadata"):
        record.parent_node_id = reported.parent_node_metadata.node_id
    if reported.HasField("parent_task_metadata"):
        record.parent_task = parent_task_key(reported).within_execution()
    _take(record, reported, data)
    return record


def next_node_event(record: NodeRecord, reported: event.NodeExecutionEvent, data: EventData = NO_DATA) -> None:
    """Change the node execution as a later event says; raises what `check_transition` raises, changing nothing."""
    check_transition(record, reported)
    _take(record, reported, data)


def parent_task_key(reported: event.NodeExecutionEvent) -> TaskKey:
    """The task execution that this node belongs to."""
    parent = reported.parent_task_metadata.id
    return TaskKey.of(parent.task_id, parent.node_execution_id, parent.retry_attempt)


def _take(record: NodeRecord, reported: event.NodeExecutionEvent, data: EventData) -> None:
    closure = record.closure
    closure.phase = reported.phase
    closure.updated_at.CopyFrom(moment_of_change(reported))
    if reported.phase == _RUNNING:
        closure.started_at.CopyFrom(reported.occurred_at)
    elif reported.phase in TERMINAL_NODE_PHASES:
        if closure.HasField("started_at"):
            set_elapsed(closure.duration, closure.started_at, reported.occurred_at)
        take_result(record, reported, data)
    if reported.deck_uri:
        closure.deck_uri = reported.deck_uri
    take_inputs(record, reported, data)
    _take_target(record, reported, data)
    _take_flags(record.metadata, reported)
    record.phases_seen |= 1 << reported.phase
    record.changed = True


def _take_target(record: NodeRecord, reported: event.NodeExecutionEvent, data: EventData) -> None:
    target = reported.WhichOneof("target_metadata")
    if target == "workflow_node_metadata":
        if not record.closure.workflow_node_metadata.HasField("executionId"):
            child = reported.workflow_node_metadata.execution_id
            record.closure.workflow_node_metadata.executionId.CopyFrom(child)
    elif target == "task_node_metadata":
        _take_task_metadata(record, reported.task_node_metadata, data)


def _take_task_metadata(record: NodeRecord, reported: event.TaskNodeMetadata, data: EventData) -> None:
    metadata = admin.TaskNodeMetadata(checkpoint_uri=reported.checkpoint_uri)
    if reported.HasField("catalog_key"):
        metadata.cache_status = reported.cache_status
        metadata.catalog_key.CopyFrom(reported.catalog_key)
    record.closure.task_node_metadata.CopyFrom(metadata)
    if not reported.HasField("dynamic_workflow"):
        return
    if reported.dynamic_workflow.dynamic_job_spec_uri:
        record.closure.dynamic_job_spec_uri = reported.dynamic_workflow.dynamic_job_spec_uri
    if data.dynamic_workflow is not None:
        record.dynamic_workflow = data.dynamic_workflow
        record.dynamic_workflow_id = reported.dynamic_workflow.id.SerializeToString()


def _take_flags(metadata: admin.NodeExecutionMetaData, reported: event.NodeExecutionEvent) -> None:
    """Flags stick: a later event can set one, never clear it."""
    metadata.is_parent_node |= reported.is_parent
    metadata.is_dynamic |= reported.is_dynamic
    metadata.is_array |= reported.is_array
    metadata.is_eager |= reported.is_eager
