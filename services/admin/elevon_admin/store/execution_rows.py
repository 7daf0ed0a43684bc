"""Records as column values."""

from __future__ import annotations

from typing import Any

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_admin.domain.records import ExecutionRecord, NodeRecord, StoredLiterals, TaskRecord
from elevon_admin.domain.times import duration_nanoseconds, nanoseconds

_LARGEST = 2**63 - 1
_ERROR_KINDS: dict[int, str] = {number: name for name, number in core.ExecutionError.ErrorKind.items()}
_CACHE_STATUSES: dict[int, str] = {number: name for name, number in core.CatalogCacheStatus.items()}


def column_time(moment: Timestamp) -> int:
    """Nanoseconds since the epoch; years that 64 bits do not reach are clamped."""
    return _clamped(nanoseconds(moment))


def _clamped(number: int) -> int:
    return number if -_LARGEST <= number <= _LARGEST else max(-_LARGEST, min(_LARGEST, number))


def column_text(text: str) -> str:
    """The text without NUL characters, which PostgreSQL does not store."""
    return text.replace("\0", "") if text else ""


def _times(closure: admin.ExecutionClosure | admin.NodeExecutionClosure | admin.TaskExecutionClosure) -> dict[str, Any]:
    return {
        "started_at": column_time(closure.started_at) if closure.HasField("started_at") else None,
        "duration": _clamped(duration_nanoseconds(closure.duration)) if closure.HasField("duration") else None,
    }


def _error(closure: admin.ExecutionClosure | admin.NodeExecutionClosure) -> dict[str, Any]:
    if closure.WhichOneof("output_result") != "error":
        return {"error_kind": None, "error_code": None}
    kind = closure.error.kind
    return {"error_kind": _ERROR_KINDS.get(kind, str(kind)), "error_code": column_text(closure.error.code)}


def literal_columns(name: str, stored: StoredLiterals | None) -> dict[str, Any]:
    """The two columns that hold a literal map: inline, or where it is."""
    if stored is None:
        return {name: None, f"{name}_uri": None}
    return {name: stored.data, f"{name}_uri": column_text(stored.uri) or None}


def execution_values(record: ExecutionRecord, now: int) -> dict[str, Any]:
    """The columns that events change."""
    return {
        "updated_at": now,
        "phase": record.closure.phase,
        "phases_seen": record.phases_seen,
        "execution_updated_at": column_time(record.closure.updated_at),
        "cluster": column_text(record.cluster),
        "closure": record.closure.SerializeToString(),
        **_times(record.closure),
        **_error(record.closure),
        **literal_columns("outputs", record.outputs),
    }


def node_values(record: NodeRecord, execution_row: int, now: int) -> dict[str, Any]:
    """The columns of a node execution: all of a new one, of another those that events change, and its `row_id`."""
    closure = record.closure
    cached = closure.HasField("task_node_metadata") and closure.task_node_metadata.HasField("catalog_key")
    status = closure.task_node_metadata.cache_status
    values = {
        "updated_at": now,
        "phase": closure.phase,
        "phases_seen": record.phases_seen,
        "node_execution_updated_at": column_time(closure.updated_at),
        "cache_status": _CACHE_STATUSES.get(status, str(status)) if cached else None,
        "input_uri": column_text(record.input_uri),
        "inputs": record.inputs,
        "metadata": record.metadata.SerializeToString(),
        "closure": closure.SerializeToString(),
        "dynamic_workflow_id": record.dynamic_workflow_id,
        **_times(closure),
        **_error(closure),
        **literal_columns("outputs", record.outputs),
        **literal_columns("dynamic_workflow", record.dynamic_workflow),
    }
    if record.row_id is None:
        values |= {
            "execution_id": execution_row,
            "node_id": record.key.node_id,
            "parent_node_id": record.parent_node_id,
            "parent_task": record.parent_task,
            "event_version": record.event_version,
            "node_execution_created_at": column_time(closure.created_at),
            "created_at": now,
        }
    else:
        values["row_id"] = record.row_id
    return values


def task_values(record: TaskRecord, execution_row: int, now: int) -> dict[str, Any]:
    """The columns of a task execution, as `node_values` has those of a node execution."""
    closure = record.closure
    values = {
        "updated_at": now,
        "phase": closure.phase,
        "phases_seen": record.phases_seen,
        "phase_version": record.phase_version,
        "task_execution_updated_at": column_time(closure.updated_at),
        "input_uri": column_text(record.input_uri),
        "inputs": record.inputs,
        "closure": closure.SerializeToString(),
        **_times(closure),
        **literal_columns("outputs", record.outputs),
    }
    if record.row_id is None:
        values |= {
            "execution_id": execution_row,
            "node_id": record.key.node.node_id,
            "retry_attempt": record.key.attempt,
            "project": record.key.project,
            "domain": record.key.domain,
            "name": record.key.name,
            "version": record.key.version,
            "task_execution_created_at": column_time(closure.created_at),
            "created_at": now,
        }
    else:
        values["row_id"] = record.row_id
    return values
