"""What admin is told of an array's elements: events of one task execution, whose external resources they are.

The first event, QUEUED, and the last one list all elements, those between only the attempts that have changed. Changes
are gathered for a while, the longer the larger the array, because admin looks at the whole list for each event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from elevon_core import naming, places
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event

from elevon_propeller.engine import events, paths
from elevon_propeller.engine.array_state import ArrayScope, Change
from elevon_propeller.engine.phases import NodePhase, TimerKind
from elevon_propeller.engine.state import UNDEFINED_TASK
from elevon_propeller.engine.turn import Turn

TASK_TYPE, PLUGIN = "container_array", "k8s-array"
"""What clients know arrays by, wherever the elements run."""

RESOURCES_PER_EVENT = 5_000
_PAUSE_PER_ELEMENT = 50
"""Microseconds by which an element lengthens the pause between events."""

Task = core.TaskExecution
Place = tuple[int, int]

_PHASES = {
    NodePhase.QUEUED: Task.QUEUED,
    NodePhase.RESERVING: Task.QUEUED,
    NodePhase.RESERVED_ELSEWHERE: Task.QUEUED,
    NodePhase.RUNNING: Task.RUNNING,
    NodePhase.STOPPING: Task.RUNNING,
    NodePhase.BACKING_OFF: Task.QUEUED,
    NodePhase.STORING: Task.RUNNING,
    NodePhase.PUBLISHING: Task.RUNNING,
    NodePhase.SUCCEEDED: Task.SUCCEEDED,
    NodePhase.RECOVERED: Task.SUCCEEDED,
    NodePhase.SKIPPED: Task.SUCCEEDED,
    NodePhase.FAILED: Task.FAILED,
    NodePhase.TIMED_OUT: Task.FAILED,
    NodePhase.ABORTED: Task.ABORTED,
}


def queued(turn: Turn, scope: ArrayScope) -> None:
    """Tell that the array begins, with all its elements."""
    scope.node.task_phase, scope.node.task_version = UNDEFINED_TASK, 0
    nothing = Change(UNDEFINED_TASK, core.CACHE_DISABLED)
    for part in _parts({(index, 0): nothing for index in range(scope.size)}):
        _tell(turn, scope, Task.QUEUED, part)


def tell_soon(turn: Turn, scope: ArrayScope) -> None:
    """See to it that changes are told: the first ones at once, later ones after a pause."""
    if scope.node.task_phase == Task.QUEUED and scope.begun:
        _tell_changes(turn, scope)
    elif scope.changes and not scope.tell_at:
        scope.tell_at = turn.now + turn.policy.array_event_pause + _PAUSE_PER_ELEMENT * scope.size
        turn.timer(scope.tell_at, scope.node, TimerKind.ELEMENTS)


def tell_if_due(turn: Turn, scope: ArrayScope) -> None:
    """Tell the changes when they have been gathered for long enough."""
    if scope.tell_at and scope.tell_at <= turn.now:
        _tell_changes(turn, scope)


def note_all(turn: Turn, scope: ArrayScope) -> None:
    """Take all attempts there were for changed: after a restart nobody knows which of them were told."""
    for place, change in _all(scope).items():
        if place not in scope.changes and change.phase != UNDEFINED_TASK:
            scope.changes[place] = change


def ended(turn: Turn, scope: ArrayScope, phase: Task.Phase.ValueType, error: core.ExecutionError | None) -> None:
    """Tell how the array has ended, with all its elements."""
    everything = _all(scope)
    for place, change in scope.changes.items():
        everything[place] = change._replace(phase=everything[place].phase)
    *parts, last = _parts(everything)
    for part in parts:
        _tell(turn, scope, Task.RUNNING, part)
    _tell(turn, scope, phase, last, error)
    if phase != Task.SUCCEEDED:
        turn.decision.events[-1].places.extend(_elsewhere(turn, scope))


def _elsewhere(turn: Turn, scope: ArrayScope) -> list[str]:
    """Whose data the outputs of elements point at: an array that has failed may be recovered."""
    execution, found = turn.state.identifier, set[str]()
    for data in (*scope.outputs.values(), *(uri.encode() for uri in scope.uris.values())):
        found |= places.elsewhere(data, execution.project, execution.domain, execution.name)
    return sorted(found)


def _all(scope: ArrayScope) -> dict[Place, Change]:
    """The present state of all elements, and of their earlier attempts, which have failed."""
    found: dict[Place, Change] = {}
    for index in range(scope.size):
        last = scope.attempt_of(index)
        for number in range(last):
            found[index, number] = Change(Task.FAILED, core.CACHE_DISABLED)
        status = core.CatalogCacheStatus.ValueType(scope.cache_status_of(index))
        phase = _PHASES.get(scope.phase_of(index), UNDEFINED_TASK)
        found[index, last] = Change(phase, status)
    return found


def _tell_changes(turn: Turn, scope: ArrayScope) -> None:
    changes, scope.changes, scope.tell_at = scope.changes, {}, 0
    for part in _parts(changes):
        _tell(turn, scope, Task.RUNNING, part)


def _parts(changes: Mapping[Place, Change]) -> list[list[tuple[Place, Change]]]:
    ordered = sorted(changes.items(), key=lambda item: item[0])
    starts = range(0, max(len(ordered), 1), RESOURCES_PER_EVENT)
    return [ordered[start : start + RESOURCES_PER_EVENT] for start in starts]


def _tell(
    turn: Turn,
    scope: ArrayScope,
    phase: Task.Phase.ValueType,
    changes: Iterable[tuple[Place, Change]],
    error: core.ExecutionError | None = None,
) -> None:
    node = scope.node
    node.task_version = node.task_version + 1 if node.task_phase == phase else 0
    node.task_phase = phase
    told = _event(turn, scope)
    prefix = naming.fit(f"{turn.state.identifier.name}-{node.id}-{node.attempt}", naming.GENERATED_NAME_LIMIT)
    for (index, number), change in changes:
        told.metadata.external_resources.append(_resource(f"{prefix}-n{index}-{number}", index, number, change))
    if phase == Task.QUEUED:
        _add_inputs(turn, told, scope)
    elif phase == Task.SUCCEEDED:
        _add_outputs(told, scope)
    elif error is not None:
        told.error.CopyFrom(events.shortened(error))
    turn.decision.events.append(admin.ExecutionEvent(task=told))
    turn.touch(node)


def _event(turn: Turn, scope: ArrayScope) -> event.TaskExecutionEvent:
    node = scope.node
    now = events.timestamp(turn.now)
    return event.TaskExecutionEvent(
        task_id=_task_id(scope),
        parent_node_execution_id=core.NodeExecutionIdentifier(node_id=node.id, execution_id=turn.state.identifier),
        retry_attempt=node.attempt,
        phase=node.task_phase,
        phase_version=node.task_version,
        producer_id=turn.policy.producer_id,
        occurred_at=now,
        reported_at=now,
        task_type=TASK_TYPE,
        event_version=events.EVENT_VERSION,
        metadata=event.TaskExecutionMetadata(plugin_identifier=PLUGIN),
    )


def _task_id(scope: ArrayScope) -> core.Identifier:
    """What the elements run; a launch plan stands in its place as a task of the same name."""
    element = scope.plan.element
    if element.task is not None:
        return element.task.template.id
    reference = core.Identifier()
    reference.CopyFrom(element.template.workflow_node.launchplan_ref)
    reference.resource_type = core.TASK
    return reference


def _resource(external_id: str, index: int, number: int, change: Change) -> event.ExternalResourceInfo:
    resource = event.ExternalResourceInfo(
        external_id=external_id,
        index=index,
        retry_attempt=number,
        phase=change.phase,
        cache_status=change.cache_status,
    )
    for log in change.logs:
        added = resource.logs.add()
        added.CopyFrom(log)
        added.name = f"{log.name}-{index}"
    if change.custom_info is not None:
        resource.custom_info.CopyFrom(change.custom_info)
    if change.child is not None:
        resource.workflow_node_metadata.execution_id.CopyFrom(change.child)
    return resource


def _add_inputs(turn: Turn, told: event.TaskExecutionEvent, scope: ArrayScope) -> None:
    node = scope.node
    if node.inputs_written:
        told.input_uri = f"{paths.data_prefix(turn.state, node)}/inputs.pb"
    elif node.inputs is not None:
        told.input_data.CopyFrom(node.inputs)


def _add_outputs(told: event.TaskExecutionEvent, scope: ArrayScope) -> None:
    node = scope.node
    if node.outputs_uri:
        told.output_uri = node.outputs_uri
    elif node.outputs is not None:
        told.output_data.CopyFrom(node.outputs)
