"""One turn of the engine: what a step reads, and the decision it builds."""

from __future__ import annotations

from collections import deque

from elevon_propeller.engine.array_state import CHUNK, ElementState
from elevon_propeller.engine.commands import Command
from elevon_propeller.engine.decision import Decision, Timer
from elevon_propeller.engine.phases import NodePhase, TimerKind
from elevon_propeller.engine.plan import Plan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.state import ExecutionState, NodeState, Scope


class Turn:
    """Passed to everything that takes part in a step.

    `due` holds nodes whose last upstream node has ended; `closing` graphs that may have come to their end. Both are
    worked off by the step's own loop, so that a chain of any length needs no recursion. `resuming` is true in the step
    that asks again for what a restart has cut off. `admitted` counts elements of arrays that this step has begun,
    `begun` other nodes.
    """

    __slots__ = ("admitted", "begun", "closing", "decision", "due", "now", "plan", "policy", "resuming", "state")

    def __init__(self, plan: Plan, state: ExecutionState, policy: EnginePolicy, now: int) -> None:
        self.plan = plan
        self.state = state
        self.policy = policy
        self.now = now
        self.resuming = False
        self.admitted = 0
        self.begun = 0
        self.decision = Decision()
        self.due: deque[NodeState] = deque()
        self.closing: deque[Scope] = deque()

    def enter(self, node: NodeState, phase: NodePhase, reason: str = "") -> None:
        """Move a node to a phase."""
        if node.phase == NodePhase.WAITING:
            node.scope.live[node.id] = node
        node.phase = phase
        node.since = self.now
        node.reason = reason
        self.touch(node)

    def touch(self, node: NodeState) -> None:
        """The node's row changed, or the part of its array's rows that it has."""
        if isinstance(node, ElementState):
            scope = node.array
            self.decision.chunks[scope.array_id, node.index // CHUNK] = scope
        else:
            self.decision.nodes[node.id] = node

    def command(self, command: Command) -> None:
        """Have something done once the decision is durable."""
        self.decision.commands.append(command)

    def soon(self, node: NodeState, kind: TimerKind) -> None:
        """Be told as soon as the decision is durable, whatever the clock says."""
        self.timer(0, node, kind)

    def timer(self, at: int, node: NodeState, kind: TimerKind) -> None:
        """Be told when a time has come."""
        self.decision.timers.append(Timer(at, node.id, kind, node.attempt))
