"""What a simulated admin believes of an execution, by the rules of the real one: it judges what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_propeller.simulation.ledger import TERMINAL_NODE, TERMINAL_TASK, TERMINAL_WORKFLOW

Workflow = core.WorkflowExecution
EventKey = tuple[object, ...]


class Verdict(Enum):
    """What admin says of an event."""

    NEW = "recorded"
    AGAIN = "recorded before"
    TOO_LATE = "the execution is being aborted"
    REFUSED = "refused"


def key_of(told: admin.ExecutionEvent) -> EventKey:
    """What tells an event from every other one of its execution."""
    kind = told.WhichOneof("event")
    if kind == "workflow":
        return ("workflow", told.workflow.phase, _moment(told.workflow.occurred_at))
    if kind == "node":
        node = told.node
        return ("node", node.id.node_id, node.phase, _moment(node.reported_at))
    task = told.task
    place = (task.parent_node_execution_id.node_id, task.task_id.name, task.retry_attempt)
    return ("task", *place, task.phase, task.phase_version, _moment(task.reported_at))


def execution_of(told: admin.ExecutionEvent) -> str:
    """The name of the execution that an event is about."""
    kind = told.WhichOneof("event")
    if kind == "workflow":
        return told.workflow.execution_id.name
    if kind == "node":
        return told.node.id.execution_id.name
    return told.task.parent_node_execution_id.execution_id.name


@dataclass(slots=True)
class _Record:
    phase: int = 0
    version: int = 0
    updated_at: int = 0
    seen: set[int] = field(default_factory=set)

    def take(self, phase: int, moment: int, version: int = 0) -> Verdict:
        self.phase, self.version, self.updated_at = phase, version, moment
        self.seen.add(phase)
        return Verdict.NEW


@dataclass(slots=True)
class View:
    """One execution; `accepted` are the events that changed it, in order; `too_late` those refused during an abort."""

    workflow: _Record = field(default_factory=_Record)
    nodes: dict[str, _Record] = field(default_factory=dict)
    tasks: dict[tuple[str, str, int], _Record] = field(default_factory=dict)
    accepted: list[EventKey] = field(default_factory=list)
    too_late: set[EventKey] = field(default_factory=set)
    outputs_uri: str = ""
    error: core.ExecutionError | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it is in a terminal phase."""
        return self.workflow.phase in TERMINAL_WORKFLOW

    def apply(self, told: admin.ExecutionEvent) -> Verdict:
        """Take an event, or say why not."""
        if key_of(told) in self.too_late:
            return Verdict.TOO_LATE
        kind = told.WhichOneof("event")
        if kind == "workflow":
            verdict = self._workflow(told.workflow)
        elif kind == "node":
            verdict = self._node(told.node)
        else:
            verdict = self._task(told.task)
        if verdict is Verdict.NEW:
            self.accepted.append(key_of(told))
        elif verdict is Verdict.TOO_LATE:
            self.too_late.add(key_of(told))
        return verdict

    def _workflow(self, told: event.WorkflowExecutionEvent) -> Verdict:
        record, moment = self.workflow, _moment(told.occurred_at)
        if (told.phase in record.seen and moment <= record.updated_at) or told.phase == record.phase:
            return Verdict.AGAIN
        if record.phase in TERMINAL_WORKFLOW:
            return Verdict.REFUSED
        if record.phase == Workflow.ABORTING and told.phase not in TERMINAL_WORKFLOW:
            return Verdict.TOO_LATE
        self.outputs_uri = told.output_uri
        if told.HasField("error"):
            self.error = told.error
        return record.take(told.phase, moment)

    def _node(self, told: event.NodeExecutionEvent) -> Verdict:
        record, moment = self.nodes.get(told.id.node_id), _moment(told.reported_at)
        if record is None:
            if told.HasField("parent_node_metadata") and told.parent_node_metadata.node_id not in self.nodes:
                return Verdict.REFUSED
            record = self.nodes[told.id.node_id] = _Record()
        elif (told.phase in record.seen and moment <= record.updated_at) or told.phase == record.phase:
            return Verdict.AGAIN
        elif record.phase in TERMINAL_NODE:
            return Verdict.REFUSED
        return record.take(told.phase, moment)

    def _task(self, told: event.TaskExecutionEvent) -> Verdict:
        node_id = told.parent_node_execution_id.node_id
        place = (node_id, told.task_id.name, told.retry_attempt)
        record, moment = self.tasks.get(place), _moment(told.reported_at)
        if record is None:
            if node_id not in self.nodes:
                return Verdict.REFUSED
            record = self.tasks[place] = _Record()
        elif _is_known(record, told.phase, told.phase_version, moment):
            return Verdict.AGAIN
        elif record.phase in TERMINAL_TASK:
            return Verdict.REFUSED
        return record.take(told.phase, moment, told.phase_version)


def _is_known(record: _Record, phase: int, version: int, moment: int) -> bool:
    if phase == record.phase:
        return record.version >= version or moment < record.updated_at
    return phase in record.seen and moment <= record.updated_at


def _moment(timestamp: Timestamp) -> int:
    return timestamp.seconds * 1_000_000_000 + timestamp.nanos
