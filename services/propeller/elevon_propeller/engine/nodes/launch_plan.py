"""Launch-plan nodes: an execution of its own, created through admin, whose end is pushed back.

QUEUED → RUNNING → SUCCEEDED or FAILED. RUNNING is told once admin has the execution, so that whoever reads of it finds
it. A timer asks how the execution stands, for what was lost on the way; the longer it runs, the less often.
"""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_propeller.engine import children, events, lifecycle, trying
from elevon_propeller.engine.children import LAUNCHED, RECOVERS
from elevon_propeller.engine.commands import AskChild, LaunchChild, StopChild
from elevon_propeller.engine.nodes.registry import NodeHandler
from elevon_propeller.engine.observations import ChildEnded, ChildLaunched, ChildStopped
from elevon_propeller.engine.phases import NodePhase, TimerKind
from elevon_propeller.engine.state import NodeState
from elevon_propeller.engine.turn import Turn

Workflow = core.WorkflowExecution


class LaunchPlanNode(NodeHandler):
    """Holds a slot while its execution runs."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Wait for a slot."""
        lifecycle.enqueue(turn, node)

    def start(self, turn: Turn, node: NodeState) -> None:
        """Have the execution of this attempt created."""
        lifecycle.take_slot(turn, node)
        if not node.detail.startswith(RECOVERS):
            node.detail = b""
        trying.begin(turn, node)
        node.reason = "waits for admin to create its execution"
        turn.command(LaunchChild(node.id, node.attempt))

    def woken(self, turn: Turn, node: NodeState) -> None:
        """Look how the execution stands."""
        if node.detail == LAUNCHED:
            turn.command(AskChild(node.id, node.attempt))
            _ask_later(turn, node)

    def stop(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Have the execution terminated if there may be one; ends at once otherwise."""
        trying.stop(turn, node, reason)

    def interrupt(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Have the execution terminated."""
        cause = children.termination_cause(turn.state, reason)
        turn.command(StopChild(node.id, node.attempt, children.identifier(turn.state, node), cause))

    def resume(self, turn: Turn, node: NodeState) -> None:
        """Ask again for whatever the phase waits for."""
        if node.phase == NodePhase.BACKING_OFF:
            trying.resume_backoff(turn, node)
        elif node.phase == NodePhase.PUBLISHING:
            lifecycle.resume_publishing(turn, node)
        elif node.phase == NodePhase.STOPPING:
            self.interrupt(turn, node, node.reason)
        elif node.phase == NodePhase.RUNNING:
            trying.set_deadlines(turn, node)
            if node.detail == LAUNCHED:
                turn.command(AskChild(node.id, node.attempt))
                _ask_later(turn, node)
            else:
                turn.command(LaunchChild(node.id, node.attempt))


def launched(turn: Turn, node: NodeState, seen: ChildLaunched) -> None:
    """Tell that the node runs, or fail for good."""
    if node.phase != NodePhase.RUNNING or seen.number != node.attempt:
        return
    if seen.error is not None:
        trying.failed(turn, node, seen.error, retryable=False)
    else:
        _note_launched(turn, node)


def ended(turn: Turn, node: NodeState, seen: ChildEnded) -> None:
    """Take over how the execution has ended."""
    if node.phase != NodePhase.RUNNING or seen.number != node.attempt:
        return
    _note_launched(turn, node)
    if seen.phase == Workflow.SUCCEEDED and seen.outputs is not None:
        lifecycle.free_slot(turn, node)
        lifecycle.publish(turn, node, seen.outputs)
        return
    trying.failed(turn, node, _error(turn, node, seen), retryable=False)


def stopped(turn: Turn, node: NodeState, seen: ChildStopped) -> None:
    """Go on the way the node was stopped for."""
    if node.phase == NodePhase.STOPPING and seen.number == node.attempt:
        trying.interrupted(turn, node)


def _note_launched(turn: Turn, node: NodeState) -> None:
    if node.detail == LAUNCHED:
        return
    node.detail = LAUNCHED
    node.reason = f"runs as execution {children.identifier(turn.state, node).name}"
    turn.touch(node)
    events.node(turn, node, core.NodeExecution.RUNNING)
    _ask_later(turn, node)


def _ask_later(turn: Turn, node: NodeState) -> None:
    elapsed = max(turn.now - node.attempt_at, 0)
    pause = min(max(elapsed // 4, turn.policy.child_first_look), turn.policy.child_longest_pause)
    turn.timer(turn.now + pause, node, TimerKind.CHILD)


def _error(turn: Turn, node: NodeState, seen: ChildEnded) -> core.ExecutionError:
    """The node's error; what the execution failed with keeps its code, kind and text."""
    error = core.ExecutionError()
    if seen.error is not None:
        error.CopyFrom(seen.error)
    if seen.phase == Workflow.ABORTED:
        return _remote(turn, node, "aborted")
    if seen.phase == Workflow.TIMED_OUT:
        return _remote(turn, node, f"timed out: {error.message}" if error.message else "timed out")
    error.code = error.code or "LaunchPlanExecutionFailed"
    error.message = error.message or f"launchplan [{children.identifier(turn.state, node).name}] failed"
    return error


def _remote(turn: Turn, node: NodeState, what: str) -> core.ExecutionError:
    return core.ExecutionError(
        code="RemoteChildWorkflowExecutionFailed",
        message=f"launchplan [{children.identifier(turn.state, node).name}] {what}",
        kind=core.ExecutionError.USER,
    )
