"""The phases the engine distinguishes; finer than those on the wire, and what is stored."""

from __future__ import annotations

import enum

from elevon_idl.core import v1 as core


class NodePhase(enum.IntEnum):
    """Where a node is; the numbers are stored and never reused."""

    WAITING = 0
    """Some upstream node has not ended; such nodes have no row."""
    PREPARING = 1
    """Upstream outputs are fetched, or large inputs are written."""
    LOOKING_UP = 2
    """The catalog was asked for the outputs."""
    RESERVING = 3
    """The catalog was asked for the reservation of a serialized cache entry."""
    RESERVED_ELSEWHERE = 4
    """Another node computes the same entry; a timer wakes this one to look again."""
    QUEUED = 5
    """Ready; waits for a free slot of max_parallelism."""
    RUNNING = 6
    """An attempt is under way, or the node's own children are."""
    BACKING_OFF = 7
    """A timer starts the next attempt."""
    STOPPING = 8
    """The attempt is being stopped; `NodeState.outcome` says what follows."""
    STORING = 9
    """Succeeded; the outputs go to the catalog."""
    PUBLISHING = 10
    """Succeeded; the outputs go to a file."""
    SUCCEEDED = 11
    FAILED = 12
    TIMED_OUT = 13
    SKIPPED = 14
    ABORTED = 15
    RECOVERED = 16

    @property
    def is_terminal(self) -> bool:
        """True when nothing will happen to the node any more."""
        return self >= NodePhase.SUCCEEDED


SUCCESSFUL = frozenset({NodePhase.SUCCEEDED, NodePhase.RECOVERED})
"""The phases whose outputs downstream nodes may use."""


class Outcome(enum.IntEnum):
    """What becomes of a node once its attempt has stopped; stored."""

    NONE = 0
    EXPIRED = 1
    """The attempt's own deadline: retried when the budget allows."""
    TIMED_OUT = 2
    """The node's deadline over all attempts."""
    ABORTED = 3


class ExecutionPhase(enum.IntEnum):
    """Where an execution is; stored."""

    NEW = 0
    """Durable, not yet looked at by its owner."""
    RUNNING = 1
    FAILING = 2
    """What still runs is being stopped, or the failure node runs."""
    ABORTING = 3
    SUCCEEDED = 4
    FAILED = 5
    ABORTED = 6

    @property
    def is_terminal(self) -> bool:
        """True when nothing will happen to the execution any more."""
        return self >= ExecutionPhase.SUCCEEDED


class TimerKind(enum.IntEnum):
    """What a timer is for."""

    BACKOFF = 1
    ATTEMPT_DEADLINE = 2
    NODE_DEADLINE = 3
    CACHE_WAIT = 4
    HEARTBEAT = 5
    SLEEP = 6
    CHILD = 7
    ELEMENTS = 8
    DUE = 9


_WIRE_NODE = {
    NodePhase.WAITING: core.NodeExecution.UNDEFINED,
    NodePhase.PREPARING: core.NodeExecution.UNDEFINED,
    NodePhase.LOOKING_UP: core.NodeExecution.UNDEFINED,
    NodePhase.RESERVING: core.NodeExecution.QUEUED,
    NodePhase.RESERVED_ELSEWHERE: core.NodeExecution.QUEUED,
    NodePhase.QUEUED: core.NodeExecution.QUEUED,
    NodePhase.RUNNING: core.NodeExecution.RUNNING,
    NodePhase.BACKING_OFF: core.NodeExecution.RUNNING,
    NodePhase.STOPPING: core.NodeExecution.RUNNING,
    NodePhase.STORING: core.NodeExecution.RUNNING,
    NodePhase.PUBLISHING: core.NodeExecution.RUNNING,
    NodePhase.SUCCEEDED: core.NodeExecution.SUCCEEDED,
    NodePhase.FAILED: core.NodeExecution.FAILED,
    NodePhase.TIMED_OUT: core.NodeExecution.TIMED_OUT,
    NodePhase.SKIPPED: core.NodeExecution.SKIPPED,
    NodePhase.ABORTED: core.NodeExecution.ABORTED,
    NodePhase.RECOVERED: core.NodeExecution.RECOVERED,
}

_WIRE_EXECUTION = {
    ExecutionPhase.NEW: core.WorkflowExecution.QUEUED,
    ExecutionPhase.RUNNING: core.WorkflowExecution.RUNNING,
    ExecutionPhase.FAILING: core.WorkflowExecution.FAILING,
    ExecutionPhase.ABORTING: core.WorkflowExecution.ABORTING,
    ExecutionPhase.SUCCEEDED: core.WorkflowExecution.SUCCEEDED,
    ExecutionPhase.FAILED: core.WorkflowExecution.FAILED,
    ExecutionPhase.ABORTED: core.WorkflowExecution.ABORTED,
}


def wire_node_phase(phase: NodePhase) -> core.NodeExecution.Phase.ValueType:
    """The phase as clients know it."""
    return _WIRE_NODE[phase]


def wire_execution_phase(phase: ExecutionPhase) -> core.WorkflowExecution.Phase.ValueType:
    """The phase as clients know it."""
    return _WIRE_EXECUTION[phase]
