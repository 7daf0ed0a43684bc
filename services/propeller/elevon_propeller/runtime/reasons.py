"""Why a node is not running, or not finished, in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from elevon_propeller.engine import lifecycle
from elevon_propeller.engine.array_state import ArrayScope
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.state import UNDEFINED_TASK, ExecutionState, NodeState

_PHASES = {
    NodePhase.PREPARING: "waits for the outputs of upstream nodes to be read",
    NodePhase.LOOKING_UP: "looks its outputs up in the catalog",
    NodePhase.RESERVING: "asks for the reservation of its cache entry",
    NodePhase.QUEUED: "waits for a slot: max_parallelism is reached",
    NodePhase.STOPPING: "is being stopped",
    NodePhase.STORING: "stores its outputs in the catalog",
    NodePhase.PUBLISHING: "writes its outputs",
}


def of_phase(phase: NodePhase) -> str:
    """What the phase alone tells; empty when that is nothing."""
    return _PHASES.get(phase, "")


def of_node(state: ExecutionState, node: NodeState) -> str:
    """What the node waits for; empty when it simply runs, or has ended as it should."""
    if node.phase == NodePhase.WAITING:
        return _waits_for(state, node)
    if node.phase == NodePhase.SKIPPED:
        return node.reason or lifecycle.why_skipped(node)
    if node.phase == NodePhase.QUEUED:
        slots = f"{state.slots} of {state.options.max_parallelism} (max_parallelism) are taken"
        waits = f"waits for a slot: {slots}"
        return f"{waits}; {node.reason}" if node.reason else waits
    if node.phase == NodePhase.RUNNING and isinstance(node.children, ArrayScope):
        return _of_elements(node.children)
    if node.phase == NodePhase.RUNNING and not node.reason and _is_starting(node):
        return "waits for its plugin to start the attempt"
    return node.reason or of_phase(node.phase)


def _waits_for(state: ExecutionState, node: NodeState) -> str:
    if node.scope.stopping:
        return "never begins: what is around it is being stopped"
    waiting = [each.id for each in _upstream(node) if not each.phase.is_terminal]
    if waiting:
        return f"waits for {lifecycle.some_names(waiting)}"
    return "begins shortly: many nodes may begin at once" if state.is_due(node) else ""


def _upstream(node: NodeState) -> Iterator[NodeState]:
    """The nodes it depends on, as far as they are there: the graph of an execution that has ended is let go."""
    for name in node.plan.upstream:
        with contextlib.suppress(KeyError):
            yield node.scope.find(name)


def _is_starting(node: NodeState) -> bool:
    return node.plan.kind == "task" and not node.is_dynamic and node.task_phase == UNDEFINED_TASK


def _of_elements(scope: ArrayScope) -> str:
    ended = f"{scope.succeeded} have succeeded, {scope.failed} have failed"
    told = f"of {scope.size} elements {ended}, {len(scope.live)} are under way"
    waiting = scope.size - scope.begun
    return f"{told}, {waiting} wait" if waiting else told
