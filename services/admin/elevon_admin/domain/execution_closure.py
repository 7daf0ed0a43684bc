"""How workflow events change an execution."""

from __future__ import annotations

from collections.abc import Collection

from elevon_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event

from elevon_admin.domain.phases import (
    ANONYMOUS_PRODUCERS,
    TERMINAL_WORKFLOW_PHASES,
    already_terminal,
    check_producer,
    workflow_phase_name,
)
from elevon_admin.domain.records import NO_DATA, EventData, ExecutionRecord, StoredLiterals
from elevon_admin.domain.sayable import check_sayable
from elevon_admin.domain.times import check_timestamp, nanoseconds, set_elapsed

_QUEUED = core.WorkflowExecution.QUEUED
_RUNNING = core.WorkflowExecution.RUNNING
_ABORTING = core.WorkflowExecution.ABORTING
_ASSIGNING_PHASES = frozenset({_QUEUED, core.WorkflowExecution.UNDEFINED})
"""An event in one of these phases names the cluster that takes the execution over."""


def is_replay(record: ExecutionRecord, reported: event.WorkflowExecutionEvent) -> bool:
    """Whether a batch delivers an event once more: its phase is recorded, and it is no newer than the last change."""
    seen = bool(record.phases_seen >> reported.phase & 1)
    return seen and nanoseconds(reported.occurred_at) <= nanoseconds(record.closure.updated_at)


def check_transition(record: ExecutionRecord, reported: event.WorkflowExecutionEvent) -> None:
    """Apply the rules in their order.

    Raises AlreadyExists for a phase that is recorded, FailedPrecondition for one that cannot follow, InvalidArgument
    for a time that is none.
    """
    before, after = record.closure.phase, reported.phase
    what = f"workflow execution {record.key}"
    if after != _QUEUED:
        if after == before:
            name = workflow_phase_name(before)
            raise AlreadyExists(f"This phase {name} was already recorded for workflow execution {record.key}")
        if after != core.WorkflowExecution.UNDEFINED:
            check_producer(what, record.cluster, reported.producer_id)
    if before in TERMINAL_WORKFLOW_PHASES:
        raise already_terminal(what, workflow_phase_name(before))
    if before == _RUNNING and after == _QUEUED:
        raise FailedPrecondition(f"{what} is RUNNING; QUEUED cannot follow")
    if before == _ABORTING and after not in TERMINAL_WORKFLOW_PHASES:
        raise FailedPrecondition(f"{what} is ABORTING; {workflow_phase_name(after)} cannot follow")
    if not reported.HasField("occurred_at"):
        raise InvalidArgument.missing("occurred_at")
    check_timestamp(reported.occurred_at, "occurred_at")


def apply_workflow_event(
    record: ExecutionRecord, reported: event.WorkflowExecutionEvent, data: EventData = NO_DATA
) -> None:
    """Change the execution as the event says; raises what `check_transition` raises, and then nothing has changed."""
    check_transition(record, reported)
    closure = record.closure
    closure.phase = reported.phase
    closure.updated_at.CopyFrom(reported.occurred_at)
    if reported.phase == _RUNNING:
        closure.started_at.CopyFrom(reported.occurred_at)
    elif reported.phase in TERMINAL_WORKFLOW_PHASES:
        record.finished = True
        if closure.HasField("started_at"):
            set_elapsed(closure.duration, closure.started_at, reported.occurred_at)
    if reported.phase in _ASSIGNING_PHASES and reported.producer_id not in ANONYMOUS_PRODUCERS:
        record.cluster = reported.producer_id
    _take_result(record, reported, data)
    record.phases_seen |= 1 << reported.phase
    record.changed = True


def begin_abort(record: ExecutionRecord, cause: str, principal: str) -> None:
    """Have the execution ABORTING; the last cause counts. Raises FailedPrecondition for what is over."""
    phase = record.closure.phase
    if phase in TERMINAL_WORKFLOW_PHASES:
        raise already_terminal(f"workflow execution {record.key}", workflow_phase_name(phase))
    record.closure.phase = _ABORTING
    record.closure.abort_metadata.cause = cause
    record.closure.abort_metadata.principal = principal
    record.phases_seen |= 1 << _ABORTING


def _take_result(record: ExecutionRecord, reported: event.WorkflowExecutionEvent, data: EventData) -> None:
    """Outputs are named by URI only: existing clients cannot read literals inside the closure."""
    result = reported.WhichOneof("output_result")
    if result == "error":
        record.closure.error.CopyFrom(reported.error)
    elif result == "output_uri":
        record.outputs = StoredLiterals(uri=reported.output_uri)
        record.closure.outputs.uri = reported.output_uri
    elif result == "output_data" and data.outputs is not None:
        record.outputs = data.outputs
        record.closure.outputs.uri = data.outputs.uri


def validate_workflow_event(reported: event.WorkflowExecutionEvent) -> None:
    """Raise InvalidArgument unless the event names its execution and a phase that exists, and can be shown."""
    if not reported.HasField("execution_id"):
        raise InvalidArgument.missing("execution_id")
    validate_phase(reported.phase, core.WorkflowExecution.Phase.values())
    if reported.HasField("error"):
        check_sayable(reported.error, "error")


def validate_phase(phase: int, known: Collection[int]) -> None:
    """Raise InvalidArgument for a phase number that this version does not know."""
    if phase not in known:
        raise InvalidArgument.invalid("phase", phase, "it is not a phase of this kind of execution")
