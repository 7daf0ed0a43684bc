"""Phases of workflow, node and task executions: which are final, and what they are called in columns and messages."""

from __future__ import annotations

from elevon_core.errors import FailedPrecondition
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

WorkflowPhase = core.WorkflowExecution.Phase
NodePhase = core.NodeExecution.Phase
TaskPhase = core.TaskExecution.Phase

TERMINAL_WORKFLOW_PHASES: frozenset[int] = frozenset(
    {
        core.WorkflowExecution.SUCCEEDED,
        core.WorkflowExecution.FAILED,
        core.WorkflowExecution.ABORTED,
        core.WorkflowExecution.TIMED_OUT,
    }
)
TERMINAL_NODE_PHASES: frozenset[int] = frozenset(
    {
        core.NodeExecution.SUCCEEDED,
        core.NodeExecution.FAILED,
        core.NodeExecution.ABORTED,
        core.NodeExecution.SKIPPED,
        core.NodeExecution.TIMED_OUT,
        core.NodeExecution.RECOVERED,
    }
)
TERMINAL_TASK_PHASES: frozenset[int] = frozenset(
    {core.TaskExecution.SUCCEEDED, core.TaskExecution.FAILED, core.TaskExecution.ABORTED},
)
"""RETRYABLE_FAILED is not among them: another attempt may follow, and the same attempt may still be corrected."""

WORKFLOW_PHASE_NUMBERS: dict[str, int] = dict(WorkflowPhase.items())
NODE_PHASE_NUMBERS: dict[str, int] = dict(NodePhase.items())
TASK_PHASE_NUMBERS: dict[str, int] = dict(TaskPhase.items())

_WORKFLOW_NAMES = {number: name for name, number in WORKFLOW_PHASE_NUMBERS.items()}
_NODE_NAMES = {number: name for name, number in NODE_PHASE_NUMBERS.items()}
_TASK_NAMES = {number: name for name, number in TASK_PHASE_NUMBERS.items()}


def workflow_phase_name(phase: int) -> str:
    """The enum name, as columns and filters spell it; a number this version does not know is given in digits."""
    return _WORKFLOW_NAMES.get(phase) or str(phase)


def node_phase_name(phase: int) -> str:
    """As `workflow_phase_name`, for nodes."""
    return _NODE_NAMES.get(phase) or str(phase)


def task_phase_name(phase: int) -> str:
    """As `workflow_phase_name`, for task attempts."""
    return _TASK_NAMES.get(phase) or str(phase)


def already_terminal(what: str, phase_name: str) -> FailedPrecondition:
    """The error for a change to something finished; its detail carries the phase that is recorded."""
    reason = admin.EventFailureReason(
        already_in_terminal_state=admin.EventErrorAlreadyInTerminalState(current_phase=phase_name)
    )
    return FailedPrecondition(f"{what} is already in the terminal phase {phase_name}", details=[reason])


def incompatible_cluster(what: str, recorded: str, producer: str) -> FailedPrecondition:
    """The error for an event of an engine that does not run this execution."""
    reason = admin.EventFailureReason(incompatible_cluster=admin.EventErrorIncompatibleCluster(cluster=producer))
    message = f"{what} runs on cluster {recorded!r}; an event of {producer!r} is not accepted"
    return FailedPrecondition(message, details=[reason])


ANONYMOUS_PRODUCERS = frozenset({"", "propeller"})
"""Producer ids that name no particular cluster and are accepted for every execution."""


def check_producer(what: str, recorded_cluster: str, producer: str) -> None:
    """Raise FailedPrecondition with incompatible_cluster unless this engine may report about an execution."""
    if producer not in ANONYMOUS_PRODUCERS and producer != recorded_cluster:
        raise incompatible_cluster(what, recorded_cluster, producer)
