"""Deadlines of nodes and attempts, as points in time."""

from __future__ import annotations

from datetime import UTC, datetime

from elevon_idl.core import v1 as core

from elevon_propeller.engine.state import NodeState


def attempt_deadline(node: NodeState) -> int:
    """When the present attempt has run too long; 0 when there is no limit. Counts from the attempt's own start."""
    return node.attempt_at + node.plan.timeout if node.plan.timeout and node.attempt_at else 0


def node_deadline(node: NodeState) -> int:
    """When the node has taken too long over all attempts: twice its timeout after it was queued; 0 without a limit."""
    return node.queued_at + 2 * node.plan.timeout if node.plan.timeout and node.queued_at else 0


def attempt_expired(node: NodeState) -> core.ExecutionError:
    """The error of an attempt that has run too long; retryable."""
    return core.ExecutionError(
        code="TimeoutExpired",
        message=f"task execution timeout [{length(node.plan.timeout)}] expired",
        kind=core.ExecutionError.USER,
    )


def node_timed_out(node: NodeState) -> core.ExecutionError:
    """The error of a node that has taken too long; final."""
    return core.ExecutionError(
        code="Timeout",
        message=f"task active timeout [{length(2 * node.plan.timeout)}] expired",
        kind=core.ExecutionError.USER,
    )


def moment(microseconds: int) -> str:
    """A point in time for people, in UTC to the second."""
    seconds = -(-microseconds // 1_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, ValueError, OSError):
        return "the end of time"


def length(microseconds: int) -> str:
    """A length of time for people: `1h2m3s`, `1.5s`, `250ms`."""
    if microseconds < 1_000_000:
        return f"{microseconds / 1_000:g}ms"
    minutes, rest = divmod(microseconds, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if minutes or hours else ""
    return text + f"{rest / 1_000_000:g}s"
