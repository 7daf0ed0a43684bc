"""Sub-workflow nodes: a graph within the graph, with a failure policy and a failure node of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod

from elevon_idl.core import v1 as core

from elevon_propeller.engine import events, lifecycle, policies, trying
from elevon_propeller.engine.nodes.registry import NodeHandler
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.plan import END_NODE, START_NODE
from elevon_propeller.engine.state import NodeState, Scope
from elevon_propeller.engine.turn import Turn


class ParentNode(NodeHandler, ABC):
    """What all nodes that run a graph of their own have in common."""

    def stop(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Stop the children; the node follows when they have ended."""
        trying.stop(turn, node, reason)

    def interrupt(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Stop the children."""
        if node.children is not None:
            policies.stop(turn, node.children, reason)
            turn.closing.append(node.children)

    def resume(self, turn: Turn, node: NodeState) -> None:
        """Set the timers again; the children look after themselves."""
        if node.phase == NodePhase.BACKING_OFF:
            trying.resume_backoff(turn, node)
        elif node.phase == NodePhase.PUBLISHING:
            lifecycle.resume_publishing(turn, node)
        else:
            trying.set_deadlines(turn, node)

    def children_ended(self, turn: Turn, node: NodeState, scope: Scope) -> None:
        """Take over how the children ended."""
        turn.state.close_scope(node)
        if node.phase == NodePhase.STOPPING:
            trying.interrupted(turn, node)
        elif scope.error is not None:
            trying.failed(turn, node, scope.error, retryable=False)
        else:
            self.succeeded(turn, node, scope)

    @abstractmethod
    def succeeded(self, turn: Turn, node: NodeState, scope: Scope) -> None:
        """The children ended without an error."""

    @staticmethod
    def hand_over(turn: Turn, node: NodeState, child: NodeState) -> None:
        """Succeed with the outputs of a child; those that are only in its file stay there."""
        node.outputs_uri = child.outputs_uri
        if child.outputs is None and child.outputs_uri:
            lifecycle.end(turn, node, NodePhase.SUCCEEDED)
        else:
            lifecycle.publish(turn, node, child.outputs if child.outputs is not None else core.LiteralMap())


class SubWorkflowNode(ParentNode):
    """Runs a sub-workflow of the closure."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Begin the graph with the node's inputs."""
        lifecycle.announce_queued(turn, node)
        trying.begin(turn, node)
        events.node(turn, node, core.NodeExecution.RUNNING)
        assert node.plan.graph is not None
        scope = turn.state.open_scope(node.plan.graph, node)
        turn.due.append(scope.nodes[START_NODE])

    def succeeded(self, turn: Turn, node: NodeState, scope: Scope) -> None:
        """Take the outputs of the end node."""
        self.hand_over(turn, node, scope.nodes[END_NODE])
