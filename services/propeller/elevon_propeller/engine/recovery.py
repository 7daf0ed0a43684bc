"""Recovering another execution: what it has finished is taken over, what it has left undone goes on.

A node is looked up when it begins, and only for its first attempt. Nodes within others count as long as the node
around them goes on with what the original's had begun: the same sub-workflow, the chosen arm, the graph that a dynamic
task yielded. There attempts may differ, so ids are those that the nodes had in the original. Until the original has
been read nodes wait. Failure nodes always run.
"""

from __future__ import annotations

from elevon_core import naming
from elevon_idl.core import v1 as core

from elevon_propeller.engine import children, dynamic_graphs, events, lifecycle, trying
from elevon_propeller.engine.array_state import ArrayScope, ElementState
from elevon_propeller.engine.commands import BuildDynamic, ReadOriginal
from elevon_propeller.engine.observations import DynamicBuilt, OriginalRead
from elevon_propeller.engine.originals import OriginalNode
from elevon_propeller.engine.phases import SUCCESSFUL, NodePhase
from elevon_propeller.engine.state import ADOPTING, BUILT, CHECKPOINT, ExecutionState, NodeState
from elevon_propeller.engine.turn import Turn

_EDGES = frozenset({"start", "end"})
_PARENTS = frozenset({"workflow", "branch"})


def waits(turn: Turn, node: NodeState) -> bool:
    """Whether a node has to wait until the original has been read; sees to it that it is read."""
    state = turn.state
    if state.original is not None or not _applies(state, node):
        return False
    state.held[node.id] = node
    if not state.reading_original:
        state.reading_original = True
        turn.command(ReadOriginal())
    return True


def waits_within(turn: Turn, scope: ArrayScope) -> bool:
    """Whether elements of an array have to wait for the original, after a restart in the middle of the array."""
    return scope.node.continued and waits(turn, scope.node)


def hold(turn: Turn, node: NodeState) -> bool:
    """As `waits`, for a node that is about to begin."""
    if not waits(turn, node):
        return False
    turn.enter(node, NodePhase.PREPARING, f"waits for what is known of {_original_name(turn.state)}")
    return True


def read(turn: Turn, seen: OriginalRead) -> None:
    """Let those go on that have waited for the original."""
    state = turn.state
    if state.original is not None:
        return
    state.original = seen.original
    held, state.held = state.held, {}
    for node in held.values():
        if node.phase == NodePhase.PREPARING:
            turn.due.append(node)
        elif node.children is not None:
            turn.closing.append(node.children)


def take(turn: Turn, node: NodeState) -> bool:
    """Take over what the original has of a node whose inputs are resolved; True when the node need not begin itself."""
    found = _find(turn.state, node) if _applies(turn.state, node) else None
    if found is None:
        return False
    if found.phase not in SUCCESSFUL:
        return _go_on(turn, node, found)
    if node.plan.task is not None and found.graph_uri:
        turn.enter(node, NodePhase.PREPARING, "reads the graph that its task has yielded")
        turn.command(BuildDynamic(node.id, node.attempt, source=found.graph_uri))
    else:
        _recover(turn, node, found)
    return True


def graph_read(turn: Turn, node: NodeState, seen: DynamicBuilt) -> None:
    """Take over a dynamic task that has succeeded, with its graph if it could be read."""
    found = _find(turn.state, node) if _applies(turn.state, node) else None
    if found is None or found.phase not in SUCCESSFUL:
        return
    if seen.closure is not None:
        node.detail = BUILT + seen.uri.encode()
    _recover(turn, node, found)
    if seen.closure is not None:
        events.add_graph(turn, seen.closure, dynamic_graphs.futures_uri(turn.state, node))


def elements(turn: Turn, scope: ArrayScope) -> dict[int, OriginalNode]:
    """What the original has of an array's elements; nothing when it had other inputs."""
    node = scope.node
    found = _find(turn.state, node) if node.continued and turn.state.original is not None else None
    return found.elements if found is not None and found.size == scope.size else {}


def prepare(element: ElementState, found: OriginalNode) -> None:
    """Let an element that has not succeeded go on where it can."""
    _continue(element, found)


def inherit_signal(turn: Turn, node: NodeState, name: str) -> None:
    """Take over a signal's value, but not one that the same gate has refused."""
    state = turn.state
    if state.original is None or name in state.signals or not _applies(state, node):
        return
    found = _find(state, node)
    value = state.original.signals.get(name)
    if value is not None and (found is None or found.phase != NodePhase.FAILED):
        state.signals[name] = value
        turn.decision.execution = True


def _applies(state: ExecutionState, node: NodeState) -> bool:
    if not state.options.HasField("recovered_from") or node.plan.kind in _EDGES or node.attempt:
        return False
    if node is node.scope.failure or isinstance(node, ElementState):
        return False
    return node.parent is None or node.parent.continued


def _find(state: ExecutionState, node: NodeState) -> OriginalNode | None:
    return state.original.nodes.get(_original_id(state, node)) if state.original is not None else None


def _original_id(state: ExecutionState, node: NodeState) -> str:
    """The id that the node had in the original, where the attempt of the node around it may have been another."""
    parent = node.parent
    if parent is None:
        return node.plan.id
    before = _find(state, parent)
    return naming.unique_node_id(_original_id(state, parent), before.attempt if before else 0, node.plan.id)


def _recover(turn: Turn, node: NodeState, found: OriginalNode) -> None:
    node.outputs, node.outputs_uri = found.literals(), found.outputs_uri
    node.deck_uri = found.deck_uri
    node.cache_status, node.catalog = found.cache_status, found.catalog
    node.reason = f"taken over from {_original_name(turn.state)}"
    if node.plan.kind == "launch_plan" and found.child:
        node.detail = children.TAKEN_OVER + found.child.encode()
    lifecycle.end(turn, node, NodePhase.RECOVERED)


def _go_on(turn: Turn, node: NodeState, found: OriginalNode) -> bool:
    if node.plan.task is None or not found.graph_uri:
        _continue(node, found)
        return False
    node.continued = True
    node.deck_uri = found.deck_uri
    lifecycle.announce_queued(turn, node)
    trying.begin(turn, node)
    events.node(turn, node, core.NodeExecution.RUNNING)
    node.detail = ADOPTING + found.graph_uri.encode()
    node.reason = "reads the graph that its task has yielded"
    turn.command(BuildDynamic(node.id, node.attempt, source=found.graph_uri))
    return True


def _continue(node: NodeState, found: OriginalNode) -> None:
    kind = node.plan.kind
    if kind in _PARENTS or (kind == "array" and found.elements):
        node.continued = True
    elif kind == "launch_plan" and found.child:
        node.detail = children.RECOVERS + found.child.encode()
    elif kind == "task" and found.checkpoints:
        node.detail = CHECKPOINT + "\n".join(found.checkpoints).encode()


def _original_name(state: ExecutionState) -> str:
    return state.options.recovered_from.name
