"""How a graph comes to its end: failure policies, the failure node, aborts."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_propeller.engine import events
from elevon_propeller.engine.array_state import ArrayScope
from elevon_propeller.engine.nodes import registry
from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.engine.plan import END_NODE
from elevon_propeller.engine.state import NodeState, Scope
from elevon_propeller.engine.turn import Turn

AUTO_ABORT = "Some node execution failed, auto-abort."


def abort(turn: Turn, cause: str) -> None:
    """Stop the whole execution; repeated requests change nothing."""
    state = turn.state
    if state.phase == ExecutionPhase.ABORTING or state.phase.is_terminal:
        return
    state.phase = ExecutionPhase.ABORTING
    state.abort_cause = cause
    turn.decision.execution = True
    stop(turn, state.scope, cause or "Workflow aborted.")
    turn.closing.append(state.scope)


def stop(turn: Turn, scope: Scope, reason: str) -> None:
    """Let nothing new begin in a graph, and stop what runs."""
    scope.stopping = True
    for node in list(scope.live.values()):
        registry.handler(node).stop(turn, node, reason)


def settle(turn: Turn, scope: Scope) -> None:
    """Look whether a graph has failed or ended, after one of its nodes has ended."""
    if turn.state.phase.is_terminal:
        return
    if isinstance(scope, ArrayScope):
        registry.handler(scope.node).children_changed(turn, scope.node)
        return
    if scope.error is not None and scope.graph.fails_immediately and not scope.stopping:
        _fail_immediately(turn, scope)
    if scope.live or (scope.unfinished and not scope.stopping):
        return
    if scope.failure is not None and not scope.failure.phase.is_terminal:
        return
    if _run_failure_node(turn, scope):
        return
    if scope.parent is None:
        _finish(turn)
    elif not scope.parent.phase.is_terminal:
        registry.handler(scope.parent).children_ended(turn, scope.parent, scope)


def _fail_immediately(turn: Turn, scope: Scope) -> None:
    if scope.parent is None:
        _announce_failing(turn)
    stop(turn, scope, AUTO_ABORT)


def _announce_failing(turn: Turn) -> None:
    state = turn.state
    if state.phase != ExecutionPhase.RUNNING:
        return
    state.phase = ExecutionPhase.FAILING
    state.error = state.scope.error
    turn.decision.execution = True
    events.workflow(turn, core.WorkflowExecution.FAILING, error=state.error)


def _run_failure_node(turn: Turn, scope: Scope) -> bool:
    plan = scope.graph.failure_node
    if plan is None or scope.error is None or scope.failure is not None or turn.state.phase == ExecutionPhase.ABORTING:
        return False
    if scope.parent is not None and scope.parent.scope.stopping:
        return False
    if scope.parent is None:
        _announce_failing(turn)
    scope.failure = NodeState(scope.unique_id(plan.id), plan, scope)
    scope.failure.waiting = 0
    turn.state.nodes[scope.failure.id] = scope.failure
    turn.due.append(scope.failure)
    return True


def _finish(turn: Turn) -> None:
    state = turn.state
    error = state.scope.error
    if state.phase == ExecutionPhase.ABORTING:
        state.phase = ExecutionPhase.ABORTED
        events.workflow(turn, core.WorkflowExecution.ABORTED)
    elif error is not None:
        _announce_failing(turn)
        state.phase = ExecutionPhase.FAILED
        state.error = error
        events.workflow(turn, core.WorkflowExecution.FAILED, error=error)
    else:
        state.phase = ExecutionPhase.SUCCEEDED
        events.workflow(turn, core.WorkflowExecution.SUCCEEDING)
        uri = state.scope.nodes[END_NODE].outputs_uri
        events.workflow(turn, core.WorkflowExecution.SUCCEEDED, output_uri=uri)
    state.ended_at = turn.now
    turn.decision.execution = True
