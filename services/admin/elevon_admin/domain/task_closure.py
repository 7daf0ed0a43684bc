"""How task events create and change a task execution."""

from __future__ import annotations

from collections.abc import Iterable

from elevon_core.errors import AlreadyExists, InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from google.protobuf.struct_pb2 import Struct

from elevon_admin.domain.event_data import take_inputs, take_result
from elevon_admin.domain.execution_closure import validate_phase
from elevon_admin.domain.node_closure import moment_of_change
from elevon_admin.domain.phases import TERMINAL_TASK_PHASES, already_terminal, task_phase_name
from elevon_admin.domain.records import NO_DATA, EventData, TaskKey, TaskRecord
from elevon_admin.domain.sayable import check_sayable
from elevon_admin.domain.times import check_timestamp, nanoseconds, set_elapsed

_RUNNING = core.TaskExecution.RUNNING
_WAITING_PHASES = frozenset({core.TaskExecution.QUEUED, core.TaskExecution.INITIALIZING})
_PHASES = frozenset(core.TaskExecution.Phase.values())


def validate_task_event(reported: event.TaskExecutionEvent) -> None:
    """Raise InvalidArgument unless the event has a time, a phase, and names its task and node completely."""
    if not reported.HasField("occurred_at"):
        raise InvalidArgument.missing("occurred_at")
    check_timestamp(reported.occurred_at, "occurred_at")
    if reported.HasField("reported_at"):
        check_timestamp(reported.reported_at, "reported_at")
    validate_phase(reported.phase, _PHASES)
    if not reported.HasField("task_id"):
        raise InvalidArgument.missing("task_id")
    if not reported.HasField("parent_node_execution_id"):
        raise InvalidArgument.missing("node_execution_id")
    _check_shown(reported)


def _check_shown(reported: event.TaskExecutionEvent) -> None:
    for name in ("error", "custom_info", "metadata", "log_context"):
        if reported.HasField(name):
            check_sayable(getattr(reported, name), name)
    for index, reason in enumerate(reported.reasons):
        check_sayable(reason, f"reasons[{index}]")
    for index, log in enumerate(reported.logs):
        check_sayable(log, f"logs[{index}]")


def is_replay(record: TaskRecord, reported: event.TaskExecutionEvent) -> bool:
    """Whether a batch delivers an event once more: an earlier phase, reported no later than the last change."""
    moment, last = nanoseconds(moment_of_change(reported)), nanoseconds(record.closure.updated_at)
    if reported.phase == record.closure.phase:
        return record.phase_version >= reported.phase_version or moment < last
    return bool(record.phases_seen >> reported.phase & 1) and moment <= last


def check_transition(record: TaskRecord, reported: event.TaskExecutionEvent) -> None:
    """Raise AlreadyExists for a phase and version that are recorded, FailedPrecondition after a terminal phase."""
    before = record.closure.phase
    name = task_phase_name(before)
    if before == reported.phase and record.phase_version >= reported.phase_version:
        raise AlreadyExists(
            f"phase {name}, version {reported.phase_version} was already recorded for task execution {record.key}"
        )
    if before in TERMINAL_TASK_PHASES:
        raise already_terminal(f"task execution {record.key}", name)


def first_task_event(key: TaskKey, reported: event.TaskExecutionEvent, data: EventData = NO_DATA) -> TaskRecord:
    """The task execution that its first event creates; its logs are taken as they are."""
    record = TaskRecord(key=key, closure=admin.TaskExecutionClosure())
    record.closure.created_at.CopyFrom(reported.occurred_at)
    record.closure.task_type = reported.task_type
    record.closure.logs.extend(reported.logs)
    if reported.HasField("metadata"):
        _merge_metadata(record.closure.metadata, reported.metadata, filter_for=None)
    _take(record, reported, data)
    return record


def next_task_event(record: TaskRecord, reported: event.TaskExecutionEvent, data: EventData = NO_DATA) -> None:
    """Change the task execution as a later event says; raises what `check_transition` raises, changing nothing."""
    check_transition(record, reported)
    closure = record.closure
    logs = shown_logs(merged_logs(closure.logs, reported.logs), reported.phase)
    del closure.logs[:]
    closure.logs.extend(logs)
    phase_changed = closure.phase != reported.phase
    if reported.HasField("metadata"):
        filter_for = reported.phase if phase_changed else None
        _merge_metadata(closure.metadata, reported.metadata, filter_for=filter_for)
    elif phase_changed:
        _filter_resource_logs(closure.metadata, reported.phase)
    _take(record, reported, data)


def _take(record: TaskRecord, reported: event.TaskExecutionEvent, data: EventData) -> None:
    closure = record.closure
    closure.phase = reported.phase
    record.phase_version = reported.phase_version
    closure.updated_at.CopyFrom(moment_of_change(reported))
    closure.event_version = max(closure.event_version, reported.event_version)
    if reported.phase == _RUNNING and not closure.HasField("started_at"):
        closure.started_at.CopyFrom(reported.occurred_at)
    if reported.phase in TERMINAL_TASK_PHASES:
        if closure.HasField("started_at"):
            set_elapsed(closure.duration, closure.started_at, reported.occurred_at)
        take_result(record, reported, data)
    if reported.HasField("custom_info"):
        merge_struct(closure.custom_info, reported.custom_info)
    if reported.HasField("log_context"):
        closure.log_context.CopyFrom(reported.log_context)
    _take_reasons(closure, reported)
    take_inputs(record, reported, data)
    record.phases_seen |= 1 << reported.phase
    record.changed = True


def _take_reasons(closure: admin.TaskExecutionClosure, reported: event.TaskExecutionEvent) -> None:
    if reported.reasons:
        for reason in reported.reasons:
            closure.reasons.add(occurred_at=reason.occurred_at, message=reason.reason)
        closure.reason = reported.reasons[-1].reason
    elif reported.reason and reported.reason != closure.reason:
        closure.reasons.add(occurred_at=reported.occurred_at, message=reported.reason)
        closure.reason = reported.reason


def merged_logs(recorded: Iterable[core.TaskLog], reported: Iterable[core.TaskLog]) -> list[core.TaskLog]:
    """The reported logs, then those recorded ones whose URI and name are not among them."""
    logs = list(reported)
    uris = {log.uri for log in logs}
    names = {log.name for log in logs if log.name}
    logs.extend(log for log in recorded if log.uri not in uris and log.name not in names)
    return logs


def shown_logs(logs: list[core.TaskLog], phase: int) -> list[core.TaskLog]:
    """The logs worth a link in a phase: some only matter while a task waits, some only until it has ended."""
    if phase in TERMINAL_TASK_PHASES:
        return [log for log in logs if not log.HideOnceFinished]
    if phase in _WAITING_PHASES:
        return [log for log in logs if log.ShowWhilePending]
    return logs


def merge_struct(recorded: Struct, reported: Struct) -> None:
    """Lay one JSON object over another, recursively; what the new one does not name stays."""
    for name, value in reported.fields.items():
        before = recorded.fields[name]
        if value.HasField("struct_value") and before.HasField("struct_value"):
            merge_struct(before.struct_value, value.struct_value)
        else:
            before.CopyFrom(value)


def _merge_metadata(
    recorded: event.TaskExecutionMetadata, reported: event.TaskExecutionMetadata, *, filter_for: int | None
) -> None:
    """Overwrite what is set; `filter_for` is the phase whose log filter the external resources have to pass."""
    if reported.generated_name:
        recorded.generated_name = reported.generated_name
    if reported.plugin_identifier:
        recorded.plugin_identifier = reported.plugin_identifier
    if reported.instance_class:
        recorded.instance_class = reported.instance_class
    if reported.resource_pool_info:
        del recorded.resource_pool_info[:]
        recorded.resource_pool_info.extend(reported.resource_pool_info)
    if reported.external_resources:
        _merge_resources(recorded, reported)
    if filter_for is not None:
        _filter_resource_logs(recorded, filter_for)


def _merge_resources(recorded: event.TaskExecutionMetadata, reported: event.TaskExecutionMetadata) -> None:
    known = {(item.index, item.retry_attempt): item for item in recorded.external_resources}
    added = False
    for item in reported.external_resources:
        place = (item.index, item.retry_attempt)
        if place in known:
            _merge_resource(known[place], item)
        else:
            known[place] = item
            added = True
    if added:
        ordered = [known[place] for place in sorted(known)]
        merged = event.TaskExecutionMetadata(external_resources=ordered)
        del recorded.external_resources[:]
        recorded.external_resources.extend(merged.external_resources)


def _merge_resource(recorded: event.ExternalResourceInfo, reported: event.ExternalResourceInfo) -> None:
    if reported.external_id:
        recorded.external_id = reported.external_id
    recorded.phase = reported.phase
    if reported.cache_status != core.CACHE_DISABLED:
        recorded.cache_status = reported.cache_status
    if reported.logs:
        logs = merged_logs(list(recorded.logs), reported.logs)
        merged = event.ExternalResourceInfo(logs=logs)
        del recorded.logs[:]
        recorded.logs.extend(merged.logs)
    if reported.HasField("custom_info"):
        recorded.custom_info.CopyFrom(reported.custom_info)
    if reported.HasField("workflow_node_metadata"):
        recorded.workflow_node_metadata.CopyFrom(reported.workflow_node_metadata)
    if reported.HasField("log_context"):
        recorded.log_context.CopyFrom(reported.log_context)


def _filter_resource_logs(metadata: event.TaskExecutionMetadata, phase: int) -> None:
    for item in metadata.external_resources:
        shown = shown_logs(list(item.logs), phase)
        if len(shown) != len(item.logs):
            kept = event.ExternalResourceInfo(logs=shown)
            del item.logs[:]
            item.logs.extend(kept.logs)
