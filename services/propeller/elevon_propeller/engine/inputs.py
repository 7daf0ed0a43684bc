"""From bindings to inputs: in memory when upstream outputs are there, after fetching them when they are in files."""

from __future__ import annotations

from elevon_core import promises
from elevon_core.errors import ElevonError, NotFound, OffloadedLiteral
from elevon_idl.core import v1 as core

from elevon_propeller.engine import failure_node, lifecycle, paths
from elevon_propeller.engine.array_state import ElementState
from elevon_propeller.engine.commands import DataKind, LoadData, LoadMany, WriteData
from elevon_propeller.engine.observations import DataLoaded, ManyLoaded
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.state import NodeState
from elevon_propeller.engine.turn import Turn

_NO_BINDINGS = core.LiteralMap()


def gather(turn: Turn, node: NodeState) -> bool:
    """Resolve the node's inputs; False when it waits for data or has failed.

    Inputs too large for a row are written to the node's inputs.pb first.
    """
    if node.inputs is None and not _resolve(turn, node):
        return False
    assert node.inputs is not None
    if node.inputs_written or node.plan.kind == "start" or node.inputs.ByteSize() <= turn.policy.inline_limit:
        return True
    turn.enter(node, NodePhase.PREPARING, "writes its inputs")
    turn.command(WriteData(node.id, DataKind.INPUTS, f"{paths.data_prefix(turn.state, node)}/inputs.pb", node.inputs))
    return False


def again(turn: Turn, node: NodeState) -> bool:
    """Resolve the inputs of a node that was under way before a restart; False when it waits for data."""
    if node.inputs is None:
        if not _fetch(turn, node):
            return False
        try:
            node.inputs = _bind(turn, node)
        except OffloadedLiteral as literal:
            _unpack(turn, node, literal.uri)
            return False
    return True


def at_hand(turn: Turn, node: NodeState) -> bool:
    """Whether the node can go on now; after a restart it may be asked to before its inputs are there again.

    If not, they are on their way, and the node is resumed once they are; elements of an array are by the array.
    """
    return node.inputs is not None if isinstance(node, ElementState) else again(turn, node)


def loaded(turn: Turn, source: NodeState, seen: DataLoaded) -> list[NodeState]:
    """Take fetched outputs; returns the nodes that waited for them, to be tried again."""
    waiting = turn.state.loading.pop(source.id, [])
    if seen.failure:
        error = lifecycle.system_error("BindingResolutionFailure", f"outputs of {source.id}: {seen.failure}")
        for node in waiting:
            if not node.phase.is_terminal:
                lifecycle.fail(turn, node, error)
        return []
    source.outputs = seen.outputs
    return waiting


def unpacked(turn: Turn, node: NodeState, seen: ManyLoaded) -> bool:
    """Take a literal out of its file, for a node that needs a part of it; False when it does not need it any more."""
    if node.inputs is not None or node.phase.is_terminal or seen.number != node.attempt:
        return False
    if seen.failure:
        turn.state.unpacked.pop(node.id, None)
        lifecycle.fail(turn, node, lifecycle.system_error("BindingResolutionFailure", seen.failure))
        return False
    turn.state.unpacked.setdefault(node.id, {}).update(seen.literals)
    return True


def drop_loaded(turn: Turn, nodes: list[NodeState]) -> None:
    """Forget fetched outputs that no waiting node needs any more."""
    still_waiting = [node for waiting in turn.state.loading.values() for node in waiting]
    needed = {node.scope.find(name).id for node in still_waiting for name in node.plan.sources}
    for node in nodes:
        for name in node.plan.sources:
            source = node.scope.find(name)
            if source.outputs is None or not source.outputs_uri or source.id in needed:
                continue
            if source.outputs.ByteSize() > turn.policy.inline_limit:
                source.outputs = None


def _resolve(turn: Turn, node: NodeState) -> bool:
    if not _fetch(turn, node):
        turn.enter(node, NodePhase.PREPARING, "fetches its inputs")
        return False
    try:
        node.inputs = _bind(turn, node)
    except OffloadedLiteral as literal:
        turn.enter(node, NodePhase.PREPARING, "reads an offloaded literal")
        _unpack(turn, node, literal.uri)
        return False
    except ElevonError as error:
        turn.state.unpacked.pop(node.id, None)
        lifecycle.fail(turn, node, lifecycle.system_error("BindingResolutionFailure", error.message))
        return False
    return True


def _fetch(turn: Turn, node: NodeState) -> bool:
    complete = True
    for name in node.plan.sources:
        source = node.scope.find(name)
        if source.outputs is None and source.outputs_uri:
            complete = False
            waiting = turn.state.loading.get(source.id)
            if waiting is None:
                turn.state.loading[source.id] = [node]
                turn.command(LoadData(source.id, source.outputs_uri))
            elif node not in waiting:
                waiting.append(node)
    return complete


def _unpack(turn: Turn, node: NodeState, uri: str) -> None:
    turn.command(LoadMany(node.id, node.attempt, {uri: uri}, literals=True))


def _bind(turn: Turn, node: NodeState) -> core.LiteralMap:
    if node is node.scope.failure:
        return failure_node.with_error(node, _literals(turn, node))
    return _literals(turn, node) if node.plan.bindings else _NO_BINDINGS


def _literals(turn: Turn, node: NodeState) -> core.LiteralMap:
    scope, unpacked_literals = node.scope, turn.state.unpacked.get(node.id, {})

    def output_of(node_id: str, name: str) -> core.Literal:
        outputs = scope.find(node_id).outputs
        if outputs is None or name not in outputs.literals:
            raise NotFound(f"node {node_id} has no output {name}")
        return outputs.literals[name]

    literals = {}
    for binding in node.plan.bindings:
        literals[binding.var] = promises.resolve_binding(binding.binding, output_of, unpacked_literals)
    turn.state.unpacked.pop(node.id, None)
    return core.LiteralMap(literals=literals)
