"""Attempts of nodes of any kind: deadlines that end them, failures, and trying again."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_propeller.engine import caching, deadlines, inputs, lifecycle, retries
from elevon_propeller.engine.nodes import registry
from elevon_propeller.engine.observations import TimerFired
from elevon_propeller.engine.phases import NodePhase, Outcome, TimerKind
from elevon_propeller.engine.state import CHECKPOINT, NodeState
from elevon_propeller.engine.turn import Turn

_ALIVE = frozenset({NodePhase.RUNNING, NodePhase.STOPPING})
_TOO_LATE = frozenset({NodePhase.STORING, NodePhase.PUBLISHING})


def begin(turn: Turn, node: NodeState) -> None:
    """Enter RUNNING with a new attempt; its number is set already."""
    node.attempt_at = turn.now
    node.outcome = Outcome.NONE
    turn.enter(node, NodePhase.RUNNING)
    set_deadlines(turn, node)


def set_deadlines(turn: Turn, node: NodeState) -> None:
    """Set the timers of the present attempt, and that of the node unless an earlier attempt has."""
    attempt, whole = deadlines.attempt_deadline(node), deadlines.node_deadline(node)
    if attempt:
        turn.timer(attempt, node, TimerKind.ATTEMPT_DEADLINE)
    if whole and (node.attempt == 0 or turn.resuming):
        turn.timer(whole, node, TimerKind.NODE_DEADLINE)


def failed(turn: Turn, node: NodeState, error: core.ExecutionError, *, retryable: bool) -> None:
    """The present attempt has failed and nothing of it runs: try again after a pause, or give up."""
    judged = retries.verdict(node, error, turn.policy)
    if error.kind == core.ExecutionError.SYSTEM:
        node.system_failures += 1
    if not retryable or not judged.eligible:
        caching.release(turn, node)
        lifecycle.fail(turn, node, retries.exhausted(error, judged) if retryable else error)
        return
    lifecycle.free_slot(turn, node)
    node.error = error
    node.continued = False
    if not node.detail.startswith(CHECKPOINT):
        node.detail = b""
    node.attempt += 1
    node.attempt_at = 0
    node.wake_at = turn.now + retries.backoff(node.attempt, turn.policy)
    at = deadlines.moment(node.wake_at)
    turn.enter(node, NodePhase.BACKING_OFF, f"attempt {node.attempt} starts at {at} after a backoff: {error.code}")
    turn.timer(node.wake_at, node, TimerKind.BACKOFF)


def interrupted(turn: Turn, node: NodeState, *, retryable: bool = True) -> None:
    """The present attempt was stopped: go on the way it was stopped for."""
    outcome, node.outcome = node.outcome, Outcome.NONE
    error = node.error or lifecycle.aborted("stopped")
    if outcome == Outcome.EXPIRED:
        failed(turn, node, error, retryable=retryable)
    elif outcome == Outcome.TIMED_OUT:
        caching.release(turn, node)
        lifecycle.time_out(turn, node, error)
    else:
        lifecycle.end(turn, node, NodePhase.ABORTED)


def stop(turn: Turn, node: NodeState, reason: str) -> None:
    """Stop a node of any kind: at once when no attempt is alive."""
    caching.release(turn, node)
    if node.phase in _ALIVE:
        node.error = lifecycle.aborted(reason)
        _interrupt(turn, node, Outcome.ABORTED, reason)
    else:
        lifecycle.abort(turn, node, reason)


def timer_fired(turn: Turn, node: NodeState, seen: TimerFired) -> None:
    """Act on a time that has come; what has been overtaken by events is ignored."""
    if seen.kind == TimerKind.BACKOFF:
        if node.phase == NodePhase.BACKING_OFF and seen.number == node.attempt and inputs.at_hand(turn, node):
            registry.handler(node).again(turn, node)
    elif seen.kind == TimerKind.CACHE_WAIT:
        caching.wake(turn, node)
    elif seen.kind == TimerKind.HEARTBEAT:
        caching.heartbeat(turn, node)
    elif seen.kind == TimerKind.ATTEMPT_DEADLINE:
        if node.phase == NodePhase.RUNNING and seen.number == node.attempt:
            node.error = deadlines.attempt_expired(node)
            _interrupt(turn, node, Outcome.EXPIRED, node.error.message)
    elif seen.kind == TimerKind.NODE_DEADLINE:
        _node_deadline(turn, node)
    elif node.phase == NodePhase.RUNNING and seen.number == node.attempt:
        registry.handler(node).woken(turn, node)


def expire(turn: Turn, node: NodeState, error: core.ExecutionError) -> None:
    """Stop the present attempt as failed with an error of the engine's own; retryable."""
    node.error = error
    _interrupt(turn, node, Outcome.EXPIRED, error.message)


def resume_backoff(turn: Turn, node: NodeState) -> None:
    """Set the timers of a node that waits for its next attempt."""
    turn.timer(node.wake_at, node, TimerKind.BACKOFF)
    set_deadlines(turn, node)


def _interrupt(turn: Turn, node: NodeState, outcome: Outcome, reason: str) -> None:
    node.outcome = outcome
    already = node.phase == NodePhase.STOPPING
    turn.enter(node, NodePhase.STOPPING, reason)
    if not already:
        registry.handler(node).interrupt(turn, node, reason)


def _node_deadline(turn: Turn, node: NodeState) -> None:
    if node.phase in _TOO_LATE or node.phase.is_terminal:
        return
    error = deadlines.node_timed_out(node)
    if node.phase in _ALIVE:
        if node.outcome != Outcome.ABORTED:
            node.error = error
            _interrupt(turn, node, Outcome.TIMED_OUT, error.message)
        return
    caching.release(turn, node)
    lifecycle.time_out(turn, node, error)
