"""The two ends of a graph: start-node hands out the inputs, end-node collects the outputs."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_propeller.engine import lifecycle
from elevon_propeller.engine.nodes.registry import NodeHandler
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.state import NodeState
from elevon_propeller.engine.turn import Turn

_NOTHING = core.LiteralMap()


class _Edge(NodeHandler):
    def stop(self, turn: Turn, node: NodeState, reason: str) -> None:
        lifecycle.abort(turn, node, reason)

    def resume(self, turn: Turn, node: NodeState) -> None:
        if node.phase == NodePhase.PUBLISHING:
            lifecycle.resume_publishing(turn, node)


class StartNode(_Edge):
    """Its outputs are the inputs of the graph; it is told as SUCCEEDED and nothing before."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Publish the inputs of the execution, or of the node that runs this graph."""
        parent = node.parent
        inputs = turn.state.inputs if parent is None else parent.inputs
        lifecycle.publish(turn, node, inputs or _NOTHING)


class EndNode(_Edge):
    """Its outputs are the outputs of the graph; at the top they are always written to a file, the one clients read."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Publish what the graph's output bindings came to."""
        lifecycle.announce_queued(turn, node)
        lifecycle.publish(turn, node, node.inputs or _NOTHING, always_file=node.parent is None)
