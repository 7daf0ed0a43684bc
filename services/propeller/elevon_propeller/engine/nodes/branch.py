"""Branch nodes: the first case whose condition holds is run, as the only child; the other arms are not told of."""

from __future__ import annotations

from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core

from elevon_propeller.engine import conditions, events, lifecycle, trying
from elevon_propeller.engine.nodes.workflow import ParentNode
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.state import NodeState, Scope
from elevon_propeller.engine.turn import Turn


class BranchNode(ParentNode):
    """Chooses once; `detail` of the state is the id of the chosen arm."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Evaluate the conditions and begin the chosen arm, when its own upstream nodes have ended."""
        lifecycle.announce_queued(turn, node)
        trying.begin(turn, node)
        events.node(turn, node, core.NodeExecution.RUNNING)
        chosen = self._choose(turn, node)
        if chosen is None:
            return
        node.detail = chosen.encode()
        scope = turn.state.open_scope(node.plan.arms[chosen], node)
        arm = scope.nodes[chosen]
        turn.state.follow(arm)
        if arm.waiting == 0:
            turn.due.append(arm)

    def _choose(self, turn: Turn, node: NodeState) -> str | None:
        if_else, inputs = node.plan.template.branch_node.if_else, node.inputs or core.LiteralMap()
        code, message = "MalformedBranchUserError", "[MalformedBranchUserError] No branch satisfied"
        try:
            chosen = conditions.choose(if_else, inputs)
        except InvalidArgument as error:
            message = error.message
        else:
            if isinstance(chosen, core.Node):
                return chosen.id
            if chosen is not None:
                code, message = "UserProvidedError", f"[UserProvidedError] {chosen.message}"
        values = conditions.compared(if_else, inputs)
        lifecycle.fail(turn, node, _user_error(code, f"{message} ({values})" if values else message))
        return None

    def succeeded(self, turn: Turn, node: NodeState, scope: Scope) -> None:
        """Take the outputs of the arm; an arm that was skipped makes the branch skipped."""
        arm = scope.nodes[node.detail.decode()]
        if arm.phase == NodePhase.SKIPPED:
            lifecycle.end(turn, node, NodePhase.SKIPPED)
        else:
            self.hand_over(turn, node, arm)


def _user_error(code: str, message: str) -> core.ExecutionError:
    return core.ExecutionError(code=code, message=message, kind=core.ExecutionError.USER)
