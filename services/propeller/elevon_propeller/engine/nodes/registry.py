"""Which kind of node is run by what."""

from __future__ import annotations

from elevon_propeller.engine.state import NodeState, Scope
from elevon_propeller.engine.turn import Turn


class NodeHandler:
    """The behaviour of one kind of node; what a kind never meets it need not say."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Begin; the inputs are resolved."""

    def start(self, turn: Turn, node: NodeState) -> None:
        """Go on with a slot of max_parallelism in hand; only for nodes that were enqueued."""

    def again(self, turn: Turn, node: NodeState) -> None:
        """Begin the next attempt; its number is set already."""
        self.enter(turn, node)

    def woken(self, turn: Turn, node: NodeState) -> None:
        """A timer that the kind has set itself has fired."""

    def stop(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Stop a node that has begun; it ends as ABORTED, at once or later."""

    def interrupt(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Stop what runs of the present attempt; `trying.interrupted` follows when nothing does."""

    def resume(self, turn: Turn, node: NodeState) -> None:
        """Ask again for what was under way when the process ended; inputs are resolved again."""

    def ending(self, turn: Turn, node: NodeState) -> None:
        """The node has come to a terminal phase of which nothing is told yet."""

    def children_changed(self, turn: Turn, node: NodeState) -> None:
        """Something happened to the elements of an array."""

    def children_ended(self, turn: Turn, node: NodeState, scope: Scope) -> None:
        """The graph that the node runs has come to its end."""


_handlers: dict[str, NodeHandler] = {}


def register(kind: str, handler: NodeHandler) -> None:
    """Make a kind of node known."""
    _handlers[kind] = handler


def handler(node: NodeState) -> NodeHandler:
    """The behaviour of a node's kind."""
    return _handlers[node.plan.kind]
