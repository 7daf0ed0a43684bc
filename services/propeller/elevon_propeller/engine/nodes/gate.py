"""Gate nodes: wait for a time, for a signal's value, or for an approval. Signals are pushed, times are timers.

A gate makes its signal known to admin, where users find and set it; a value that is there already lets it pass at once.
"""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_propeller.engine import deadlines, events, lifecycle, recovery, trying
from elevon_propeller.engine.commands import RegisterSignal
from elevon_propeller.engine.nodes.registry import NodeHandler
from elevon_propeller.engine.observations import SignalRegistered
from elevon_propeller.engine.phases import NodePhase, TimerKind
from elevon_propeller.engine.state import NodeState
from elevon_propeller.engine.turn import Turn

_NOTHING = core.LiteralMap()
_BOOLEAN = core.LiteralType(simple=core.SimpleType.BOOLEAN)


class GateNode(NodeHandler):
    """Holds no slot while it waits."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Begin to wait, or pass at once when the signal is set already."""
        lifecycle.announce_queued(turn, node)
        trying.begin(turn, node)
        events.node(turn, node, core.NodeExecution.RUNNING)
        if signal_id(node):
            recovery.inherit_signal(turn, node, signal_id(node))
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
        condition = gate.WhichOneof("condition")
        if condition == "sleep":
            duration = gate.sleep.duration
            length = duration.seconds * 1_000_000 + duration.nanos // 1_000
            node.reason = f"sleeps until {deadlines.moment(node.attempt_at + length)}"
            turn.timer(node.attempt_at + length, node, TimerKind.SLEEP)
            return
        name = signal_id(node)
        node.reason = f"waits for {'the approval' if condition == 'approve' else 'the signal'} {name}"
        turn.state.waiting_for_signal.setdefault(name, []).append(node)
        signal_type = _BOOLEAN if condition == "approve" else gate.signal.type
        turn.command(RegisterSignal(node.id, node.attempt, name, signal_type))
        if name in turn.state.signals:
            _let_pass(turn, name)


def signal_id(node: NodeState) -> str:
    """The signal a gate waits for; empty for one that sleeps."""
    gate = node.plan.template.gate_node
    return gate.approve.signal_id if gate.HasField("approve") else gate.signal.signal_id


def signal_set(turn: Turn, name: str, value: core.Literal) -> None:
    """Keep a signal's value, in place of an earlier one, and let the gates pass that wait for it."""
    if turn.state.signals.get(name) != value:
        turn.state.signals[name] = value
        turn.decision.execution = True
    _let_pass(turn, name)


def registered(turn: Turn, node: NodeState, seen: SignalRegistered) -> None:
    """Pass when admin has had a value for the signal; fail when it cannot be set by anybody."""
    if node.plan.kind != "gate" or node.phase != NodePhase.RUNNING or seen.number != node.attempt:
        return
    if seen.error is not None:
        trying.failed(turn, node, seen.error, retryable=False)
    elif seen.value is not None:
        signal_set(turn, signal_id(node), seen.value)


def _let_pass(turn: Turn, name: str) -> None:
    value = turn.state.signals[name]
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
