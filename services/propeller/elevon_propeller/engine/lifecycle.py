"""What nodes of every kind have in common: waiting for a slot, publishing outputs, coming to an end."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from elevon_idl.core import v1 as core

from elevon_propeller.engine import events, paths
from elevon_propeller.engine.array_state import ElementState
from elevon_propeller.engine.commands import DataKind, WriteData
from elevon_propeller.engine.nodes import registry
from elevon_propeller.engine.phases import SUCCESSFUL, NodePhase, wire_node_phase
from elevon_propeller.engine.state import UNDEFINED_NODE, NodeState
from elevon_propeller.engine.turn import Turn

NAMES_SHOWN = 5

_ASKING = frozenset({NodePhase.LOOKING_UP, NodePhase.RESERVING})


def announce_queued(turn: Turn, node: NodeState) -> None:
    """Tell that the node is queued, unless something was told of it before."""
    if not node.queued_at:
        node.queued_at = turn.now
    if node.announced == UNDEFINED_NODE:
        events.node(turn, node, core.NodeExecution.QUEUED)


def enqueue(turn: Turn, node: NodeState) -> None:
    """Let the node wait for a slot behind those that wait already; what the catalog has answered stays its reason."""
    turn.enter(node, NodePhase.QUEUED, node.reason if node.phase in _ASKING else "")
    announce_queued(turn, node)
    if node.scope.slotless:
        registry.handler(node).start(turn, node)
    else:
        turn.state.ready.append(node)


def take_slot(turn: Turn, node: NodeState) -> None:
    """Count the node against max_parallelism."""
    if not node.holds_slot and not node.scope.slotless:
        node.holds_slot = True
        turn.state.slots += 1


def free_slot(turn: Turn, node: NodeState) -> None:
    """Stop counting the node against max_parallelism."""
    if node.holds_slot:
        node.holds_slot = False
        turn.state.slots -= 1


def publish(turn: Turn, node: NodeState, outputs: core.LiteralMap, always_file: bool = False) -> None:
    """Make outputs known and succeed: at once when they fit into the row or are in a file, else after writing one."""
    node.outputs = outputs
    large = outputs.ByteSize() > _inline_limit(turn, node)
    if node.outputs_uri or not (always_file or large):
        end(turn, node, NodePhase.SUCCEEDED)
        return
    turn.enter(node, NodePhase.PUBLISHING)
    turn.command(write_outputs(turn, node, outputs))


def write_outputs(turn: Turn, node: NodeState, outputs: core.LiteralMap) -> WriteData:
    """The command that writes the node's outputs file."""
    offload_from = turn.policy.offload_from if node.plan.kind == "array" else None
    return WriteData(node.id, DataKind.OUTPUTS, outputs_uri(turn, node), outputs, offload_from)


def resume_publishing(turn: Turn, node: NodeState) -> None:
    """Write the outputs file again after a restart."""
    if node.outputs is not None:
        turn.command(write_outputs(turn, node, node.outputs))


def outputs_uri(turn: Turn, node: NodeState) -> str:
    """Where the outputs of the present attempt belong."""
    return f"{paths.output_prefix(turn.state, node, node.attempt)}/outputs.pb"


def published(turn: Turn, node: NodeState, failure: str) -> None:
    """Succeed after the outputs file was written, or fail."""
    if node.phase != NodePhase.PUBLISHING:
        return
    if failure:
        fail(turn, node, system_error("WriteOutputsFailed", failure))
        return
    node.outputs_uri = outputs_uri(turn, node)
    end(turn, node, NodePhase.SUCCEEDED)


def fail(turn: Turn, node: NodeState, error: core.ExecutionError) -> None:
    """End the node with an error."""
    node.error = error
    end(turn, node, NodePhase.FAILED)


def time_out(turn: Turn, node: NodeState, error: core.ExecutionError) -> None:
    """End the node because it took too long."""
    node.error = error
    end(turn, node, NodePhase.TIMED_OUT)


def abort(turn: Turn, node: NodeState, reason: str) -> None:
    """End a node of which nothing runs, because its execution or graph is stopped."""
    node.error = aborted(reason)
    end(turn, node, NodePhase.ABORTED)


def aborted(reason: str) -> core.ExecutionError:
    """The error of a node that was stopped for a reason outside itself."""
    return core.ExecutionError(code="NodeAborted", message=reason, kind=core.ExecutionError.USER)


def system_error(code: str, message: str) -> core.ExecutionError:
    """A failure that is not the user's."""
    return core.ExecutionError(code=code, message=message, kind=core.ExecutionError.SYSTEM)


def end(turn: Turn, node: NodeState, phase: NodePhase) -> None:
    """Bring the node to a terminal phase and tell those who waited for it; costs its out-degree."""
    reason = node.reason if phase in SUCCESSFUL else ""
    turn.enter(node, phase, reason)
    free_slot(turn, node)
    if phase in SUCCESSFUL:
        node.error = None
    registry.handler(node).ending(turn, node)
    if phase != NodePhase.ABORTED or node.announced != UNDEFINED_NODE:
        events.node(turn, node, wire_node_phase(phase))
    node.inputs = None
    node.last_report = None
    if node.outputs is not None and node.outputs_uri and node.outputs.ByteSize() > _inline_limit(turn, node):
        node.outputs = None
    scope = node.scope
    scope.leave(turn.state, node)
    turn.closing.append(scope)
    if phase in (NodePhase.FAILED, NodePhase.TIMED_OUT):
        _note_failure(turn, node)
    if node is scope.failure:
        return
    scope.unfinished -= 1
    _tell_downstream(turn, node, skip=phase not in SUCCESSFUL)


def skip(turn: Turn, node: NodeState) -> None:
    """Leave the node out because of what became of others; its reason stays when their graph is let go."""
    end(turn, node, NodePhase.SKIPPED)
    node.reason = why_skipped(node)


def why_skipped(node: NodeState) -> str:
    """Which upstream nodes did not succeed, as far as they are there."""
    lost: list[str] = []
    for name in node.plan.upstream:
        with contextlib.suppress(KeyError):
            each = node.scope.find(name)
            if each.phase.is_terminal and each.phase not in SUCCESSFUL:
                lost.append(each.id)
    return f"was skipped: {some_names(lost)} did not succeed" if lost else ""


def some_names(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _inline_limit(turn: Turn, node: NodeState) -> int:
    limit = turn.policy.inline_limit
    return min(limit, turn.policy.element_inline_limit) if isinstance(node, ElementState) else limit


def _note_failure(turn: Turn, node: NodeState) -> None:
    scope = node.scope
    assert node.error is not None
    error = node.error
    if node.phase == NodePhase.TIMED_OUT:
        message = f"Timeout in node {node.id}: {error.message}"
        error = core.ExecutionError(code="Timeout", message=message, kind=core.ExecutionError.USER)
    if scope.error is None or node is scope.failure:
        scope.error = error
        scope.error_node = node.id


def _tell_downstream(turn: Turn, node: NodeState, *, skip: bool) -> None:
    nodes = node.scope.nodes
    targets = [nodes[node_id] for node_id in node.plan.downstream]
    for target in targets + node.followers if node.followers else targets:
        target.waiting -= 1
        target.skip = target.skip or skip
        if target.waiting == 0:
            turn.due.append(target)
