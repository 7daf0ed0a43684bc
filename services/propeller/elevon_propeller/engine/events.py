"""The events admin is told, built as messages.

Where the original loses an error (TIMED_OUT, tasks with a deck, aborted attempts), it is here. Literal maps that live
in rows travel inside the events, those in files as URIs.
"""

from __future__ import annotations

from datetime import UTC, datetime

from elevon_core import places
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_propeller.engine import children, paths, retries
from elevon_propeller.engine.array_state import ElementState
from elevon_propeller.engine.state import UNDEFINED_NODE, NodeState
from elevon_propeller.engine.turn import Turn
from elevon_propeller.plugins.contract import AttemptPhase, Report

EVENT_VERSION = 1
MESSAGE_LIMIT = 102_400
_TRUNCATED = "\n... <Message Truncated> ...\n"

TASK_PHASES = {
    AttemptPhase.WAITING_FOR_RESOURCES: core.TaskExecution.WAITING_FOR_RESOURCES,
    AttemptPhase.QUEUED: core.TaskExecution.QUEUED,
    AttemptPhase.INITIALIZING: core.TaskExecution.INITIALIZING,
    AttemptPhase.RUNNING: core.TaskExecution.RUNNING,
    AttemptPhase.SUCCEEDED: core.TaskExecution.SUCCEEDED,
    AttemptPhase.RETRYABLE_FAILURE: core.TaskExecution.FAILED,
    AttemptPhase.PERMANENT_FAILURE: core.TaskExecution.FAILED,
}

_ELEMENT_PHASES = {
    core.NodeExecution.QUEUED: core.TaskExecution.QUEUED,
    core.NodeExecution.RUNNING: core.TaskExecution.RUNNING,
    core.NodeExecution.SUCCEEDED: core.TaskExecution.SUCCEEDED,
    core.NodeExecution.SKIPPED: core.TaskExecution.SUCCEEDED,
    core.NodeExecution.FAILED: core.TaskExecution.FAILED,
    core.NodeExecution.TIMED_OUT: core.TaskExecution.FAILED,
    core.NodeExecution.ABORTED: core.TaskExecution.ABORTED,
}


def workflow(
    turn: Turn,
    phase: core.WorkflowExecution.Phase.ValueType,
    error: core.ExecutionError | None = None,
    output_uri: str = "",
) -> None:
    """Tell a phase of the execution."""
    told = event.WorkflowExecutionEvent(
        execution_id=turn.state.identifier,
        producer_id=turn.policy.producer_id,
        phase=phase,
        occurred_at=timestamp(turn.now),
    )
    if error is not None:
        told.error.CopyFrom(shortened(error))
    elif output_uri:
        told.output_uri = output_uri
    turn.decision.events.append(admin.ExecutionEvent(workflow=told))


def node(turn: Turn, state: NodeState, phase: core.NodeExecution.Phase.ValueType) -> None:
    """Tell a phase of a node, once: the same phase again is left out."""
    if state.announced == phase:
        return
    if isinstance(state, ElementState):
        state.announced = phase
        _note(turn, state, _ELEMENT_PHASES.get(phase))
        return
    first = state.announced == UNDEFINED_NODE
    state.announced = phase
    now = timestamp(turn.now)
    wrapped = admin.ExecutionEvent()
    told = wrapped.node  # filled in place: events are many, and messages given to others are copied
    _name_node(turn, told.id, state)
    told.producer_id = turn.policy.producer_id
    told.phase = phase
    told.occurred_at.CopyFrom(now)
    told.reported_at.CopyFrom(now)
    told.event_version = EVENT_VERSION
    told.spec_node_id = state.plan.id
    told.node_name = state.plan.name
    told.deck_uri = state.deck_uri
    _add_lineage(told, state)
    _add_inputs(turn, told, state, first)
    _add_outputs(turn, told, state, phase)
    if state.plan.task is not None:
        _add_task(turn, told, state, phase)
    elif state.plan.kind == "launch_plan":
        _add_child(turn, told, state)
    if told.HasField("output_uri"):
        wrapped.places.extend(_elsewhere(turn, state))
    turn.decision.events.append(wrapped)


def _name_node(turn: Turn, name: core.NodeExecutionIdentifier, state: NodeState) -> None:
    name.node_id = state.id
    name.execution_id.CopyFrom(turn.state.identifier)


def dynamic(turn: Turn, state: NodeState, closure: core.CompiledWorkflowClosure, spec_uri: str) -> None:
    """Tell the graph that a dynamic task has yielded; a later attempt's graph is told again."""
    node(turn, state, core.NodeExecution.DYNAMIC_RUNNING)
    add_graph(turn, closure, spec_uri)


def add_graph(turn: Turn, closure: core.CompiledWorkflowClosure, spec_uri: str) -> None:
    """Add the graph of a dynamic task to the event told last, which is its node's."""
    told = turn.decision.events[-1].node.task_node_metadata.dynamic_workflow
    told.id.CopyFrom(closure.primary.template.id)
    told.compiled_workflow.CopyFrom(closure)
    told.dynamic_job_spec_uri = spec_uri


def task(turn: Turn, state: NodeState, report: Report) -> None:
    """Tell what a plugin reported of the present attempt."""
    if isinstance(state, ElementState):
        _note(turn, state, TASK_PHASES[report.phase], report)
        return
    wrapped = _task_event(turn, state, TASK_PHASES[report.phase], timestamp_of(report.occurred_at))
    told = wrapped.task
    if report.reason:
        told.reason = report.reason
        told.reasons.add(reason=report.reason).occurred_at.CopyFrom(told.occurred_at)
    if report.logs:
        told.logs.extend(report.logs)
    if report.custom_info is not None:
        told.custom_info.CopyFrom(report.custom_info)
    if report.phase == AttemptPhase.SUCCEEDED:
        _add_task_outputs(turn, told, state, report)
    elif report.error is not None:
        told.error.CopyFrom(shortened(report.error))
    turn.decision.events.append(wrapped)


def task_ended(
    turn: Turn, state: NodeState, phase: core.TaskExecution.Phase.ValueType, error: core.ExecutionError
) -> None:
    """Tell that the engine itself ended the present attempt, and why."""
    state.task_phase, state.task_version = phase, 0
    if isinstance(state, ElementState):
        _note(turn, state, phase)
        return
    wrapped = _task_event(turn, state, phase, timestamp(turn.now))
    told = wrapped.task
    told.reasons.add(reason=error.message).occurred_at.CopyFrom(told.occurred_at)
    told.error.CopyFrom(shortened(error))
    turn.decision.events.append(wrapped)


def shortened(error: core.ExecutionError) -> core.ExecutionError:
    """The error with a message of at most 102,400 bytes: the first and the last half stay."""
    data = error.message.encode()
    if len(data) <= MESSAGE_LIMIT:
        return error
    half = MESSAGE_LIMIT // 2
    short = core.ExecutionError()
    short.CopyFrom(error)
    short.message = data[:half].decode(errors="ignore") + _TRUNCATED + data[-half:].decode(errors="ignore")
    return short


def timestamp(microseconds: int) -> Timestamp:
    """A point in time as a message."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000)


def timestamp_of(moment: datetime) -> Timestamp:
    """A datetime as a message; a naive one counts as UTC."""
    return timestamp(microseconds_of(moment))


def microseconds_of(moment: datetime) -> int:
    """Microseconds since 1970; a naive datetime counts as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    difference = aware - _EPOCH
    return (difference.days * 86_400 + difference.seconds) * 1_000_000 + difference.microseconds


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _note(
    turn: Turn,
    element: ElementState,
    phase: core.TaskExecution.Phase.ValueType | None,
    report: Report | None = None,
) -> None:
    """Elements of an array are told of by the events of the array, several at once."""
    if phase is not None:
        child = children.identifier(turn.state, element) if element.plan.kind == "launch_plan" else None
        scope = element.array
        scope.note(element, phase, report, child)
        if not scope.noticed:
            scope.noticed = True
            turn.closing.append(scope)


def _add_lineage(told: event.NodeExecutionEvent, state: NodeState) -> None:
    parent = state.parent
    if parent is not None:
        told.parent_node_metadata.node_id = parent.id
        told.retry_group = str(state.scope.parent_attempt)
    told.is_dynamic = state.is_dynamic
    told.is_parent = told.is_dynamic or state.plan.kind == "workflow"
    told.is_in_dynamic_chain = state.scope.in_dynamic
    told.is_array = state.plan.kind == "array"


def _add_inputs(turn: Turn, told: event.NodeExecutionEvent, state: NodeState, first: bool) -> None:
    if state.plan.kind == "start" or told.phase == core.NodeExecution.ABORTED:
        return
    if state.inputs_written:
        told.input_uri = f"{paths.data_prefix(turn.state, state)}/inputs.pb"
    elif first and state.inputs is not None:
        told.input_data.CopyFrom(state.inputs)


def _elsewhere(turn: Turn, state: NodeState) -> list[str]:
    """Whose data the outputs of a node point at, which admin does not see when they are in a file."""
    if state.outputs is None:
        return []
    execution = turn.state.identifier
    data = state.outputs.SerializeToString()
    return sorted(places.elsewhere(data, execution.project, execution.domain, execution.name))


def _add_outputs(
    turn: Turn, told: event.NodeExecutionEvent, state: NodeState, phase: core.NodeExecution.Phase.ValueType
) -> None:
    if phase in (core.NodeExecution.SUCCEEDED, core.NodeExecution.RECOVERED):
        if state.outputs_uri:
            told.output_uri = state.outputs_uri
        elif state.outputs is not None:
            told.output_data.CopyFrom(state.outputs)
    elif state.error is not None and phase in (
        core.NodeExecution.FAILED,
        core.NodeExecution.ABORTED,
        core.NodeExecution.TIMED_OUT,
    ):
        told.error.CopyFrom(shortened(state.error))


def _add_task(
    turn: Turn, told: event.NodeExecutionEvent, state: NodeState, phase: core.NodeExecution.Phase.ValueType
) -> None:
    assert state.plan.task is not None
    told.target_entity.CopyFrom(state.plan.task.template.id)
    if state.plan.task.dataset is not None:
        metadata = told.task_node_metadata
        metadata.cache_status = state.cache_status
        metadata.catalog_key.CopyFrom(state.catalog or core.CatalogMetadata(dataset_id=state.plan.task.dataset))
        if state.plan.task.serializable and phase != core.NodeExecution.QUEUED:
            metadata.reservation_status = (
                core.CatalogReservation.RESERVATION_ACQUIRED
                if state.reserved
                else core.CatalogReservation.RESERVATION_RELEASED
            )
    if state.attempt_at and phase in (core.NodeExecution.SUCCEEDED, core.NodeExecution.FAILED):
        attempt = paths.attempt_paths(turn.state, state, state.attempt)
        told.task_node_metadata.checkpoint_uri = attempt.checkpoint


def _add_child(turn: Turn, told: event.NodeExecutionEvent, state: NodeState) -> None:
    told.target_entity.CopyFrom(state.plan.template.workflow_node.launchplan_ref)
    if children.is_launched(state):
        told.workflow_node_metadata.execution_id.CopyFrom(children.identifier(turn.state, state))


def _task_event(
    turn: Turn, state: NodeState, phase: core.TaskExecution.Phase.ValueType, occurred_at: Timestamp
) -> admin.ExecutionEvent:
    assert state.plan.task is not None
    template = state.plan.task.template
    wrapped = admin.ExecutionEvent()
    told = wrapped.task
    told.task_id.CopyFrom(template.id)
    _name_node(turn, told.parent_node_execution_id, state)
    told.retry_attempt = state.attempt
    told.phase = phase
    told.phase_version = state.task_version
    told.producer_id = turn.policy.producer_id
    told.occurred_at.CopyFrom(occurred_at)
    told.reported_at.CopyFrom(timestamp(turn.now))
    told.task_type = template.type
    told.event_version = EVENT_VERSION
    told.metadata.generated_name = paths.generated_name(turn.state, state, state.attempt)
    told.metadata.plugin_identifier = state.plugin_id
    told.metadata.instance_class = (
        event.TaskExecutionMetadata.INTERRUPTIBLE
        if retries.interruptible(state, override(turn), turn.policy)
        else event.TaskExecutionMetadata.DEFAULT
    )
    if state.inputs_written:
        told.input_uri = f"{paths.data_prefix(turn.state, state)}/inputs.pb"
    elif state.inputs is not None and state.last_report is None:
        told.input_data.CopyFrom(state.inputs)
    return wrapped


def override(turn: Turn) -> bool | None:
    """The execution's own say on interruptible attempts."""
    options = turn.state.options
    return options.interruptible.value if options.HasField("interruptible") else None


def _add_task_outputs(turn: Turn, told: event.TaskExecutionEvent, state: NodeState, report: Report) -> None:
    outputs = report.outputs
    if report.has_outputs_file or outputs is None or outputs.ByteSize() > turn.policy.inline_limit:
        told.output_uri = paths.attempt_paths(turn.state, state, state.attempt).outputs
    else:
        told.output_data.CopyFrom(outputs)
