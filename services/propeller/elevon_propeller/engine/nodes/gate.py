"""Gate nodes: wait for a time, for a signal's value, or for an approval. Signals are pushed, times are timers."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_propeller.engine import events, lifecycle, trying
from elevon_propeller.engine.nodes.registry import NodeHandler
from elevon_propeller.engine.phases import NodePhase, TimerKind
from elevon_propeller.engine.state import NodeState
from elevon_propeller.engine.turn import Turn

_NOTHING = core.LiteralMap()


class GateNode(NodeHandler):
    """Holds no slot while it waits."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Begin to wait, or pass at once when the signal is set already."""
        lifecycle.announce_queued(turn, node)
        trying.begin(turn, node)
        events.node(turn, node, core.NodeExecution.RUNNING)
        self._wait(turn, node)

    def woken(self, turn: Turn, node: NodeState) -> None:
        """The sleep is over."""
        if node.plan.template.gate_node.WhichOneof("condition") == "sleep":
            lifecycle.publish(turn, node, _NOTHING)

    def stop(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Nothing runs: it ends at once."""
        lifecycle.abort(turn, node, reason)

    def interrupt(self, turn: Turn, node: NodeState, reason: str) -> None:
        """A deadline: nothing runs, so what follows comes at once."""
        trying.interrupted(turn, node)

    def resume(self, turn: Turn, node: NodeState) -> None:
        """Wait again for what is left."""
        if node.phase == NodePhase.BACKING_OFF:
            trying.resume_backoff(turn, node)
        elif node.phase == NodePhase.PUBLISHING:
            lifecycle.resume_publishing(turn, node)
        elif node.phase == NodePhase.RUNNING:
            trying.set_deadlines(turn, node)
            self._wait(turn, node)

    def _wait(self, turn: Turn, node: NodeState) -> None:
        gate = node.plan.template.gate_node
        if gate.WhichOneof("condition") == "sleep":
            duration = gate.sleep.duration
            length = duration.seconds * 1_000_000 + duration.nanos // 1_000
            node.reason = "sleeps"
            turn.timer(node.attempt_at + length, node, TimerKind.SLEEP)
            return
        node.reason = f"waits for the signal {signal_id(node)}"
        turn.state.waiting_for_signal.setdefault(signal_id(node), []).append(node)
        signal_set(turn, signal_id(node))


def signal_id(node: NodeState) -> str:
    """The signal a gate waits for; empty for one that sleeps."""
    gate = node.plan.template.gate_node
    return gate.approve.signal_id if gate.HasField("approve") else gate.signal.signal_id


def signal_set(turn: Turn, name: str) -> None:
    """Let the gates pass that wait for a signal which has a value."""
    value = turn.state.signals.get(name)
    if value is None:
        return
    for node in turn.state.waiting_for_signal.pop(name, []):
        if node.phase == NodePhase.RUNNING:
            _pass(turn, node, value)


def _pass(turn: Turn, node: NodeState, value: core.Literal) -> None:
    gate = node.plan.template.gate_node
    if gate.HasField("signal"):
        outputs = core.LiteralMap(literals={gate.signal.output_variable_name: value})
        lifecycle.publish(turn, node, outputs)
    elif value.scalar.primitive.WhichOneof("value") != "boolean":
        message = f"the signal {gate.approve.signal_id} of an approval must be a boolean"
        lifecycle.fail(turn, node, core.ExecutionError(code="RuntimeExecutionError", message=message))
    elif value.scalar.primitive.boolean:
        lifecycle.publish(turn, node, node.inputs or _NOTHING)
    else:
        message = "received a reject signal to disapprove the node input values"
        error = core.ExecutionError(code="ReceivedRejectSignal", message=message, kind=core.ExecutionError.USER)
        lifecycle.fail(turn, node, error)
