"""Dynamic tasks: an attempt that succeeded with a job instead of outputs; the job's graph runs within the task node.

The node stays RUNNING. `NodeState.detail` is BUILDING while the job is compiled, then BUILT and the address of the
compiled workflow, from which a later process builds the graph again. A retry runs the task again and forgets the graph.
"""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_propeller.engine import caching, dynamic_graphs, events, inputs, lifecycle, policies, recovery, trying
from elevon_propeller.engine.commands import BuildDynamic, LoadData
from elevon_propeller.engine.observations import DynamicBuilt
from elevon_propeller.engine.phases import NodePhase
from elevon_propeller.engine.plan import END_NODE, START_NODE
from elevon_propeller.engine.state import ADOPTING, BUILDING, BUILT, CHECKPOINT, NodeState, Scope
from elevon_propeller.engine.turn import Turn

_UNDER_WAY = frozenset({NodePhase.RUNNING, NodePhase.STOPPING})


def is_under_way(node: NodeState) -> bool:
    """Whether the node's attempt is over and what it yielded is built or runs."""
    return node.is_dynamic and node.phase in _UNDER_WAY


def begin(turn: Turn, node: NodeState, job: core.DynamicJobSpec) -> None:
    """Have the job compiled; the slot of the attempt is free for its children."""
    lifecycle.free_slot(turn, node)
    node.detail = BUILDING
    node.reason = "compiles what its task has yielded"
    turn.touch(node)
    turn.command(BuildDynamic(node.id, node.attempt, job))


def forget(node: NodeState) -> None:
    """A new attempt begins: it may turn out to be dynamic, or not."""
    if not node.detail.startswith(CHECKPOINT):
        node.detail = b""


def built(turn: Turn, node: NodeState, seen: DynamicBuilt) -> None:
    """Tell the graph and begin it, or fail; a graph that could not be taken over is made again by the task."""
    if seen.number != node.attempt:
        return
    if node.phase == NodePhase.PREPARING:
        recovery.graph_read(turn, node, seen)
        return
    if node.phase != NodePhase.RUNNING or not _is_building(node):
        return
    if seen.graph is None and node.continued:
        node.continued, node.detail, node.attempt_at = False, b"", 0
        lifecycle.enqueue(turn, node)
        return
    if seen.graph is None or seen.closure is None:
        trying.failed(turn, node, seen.error or _build_failed("no reason given"), retryable=seen.retryable)
        return
    node.detail = BUILT + seen.uri.encode()
    node.reason = ""
    turn.touch(node)
    events.dynamic(turn, node, seen.closure, dynamic_graphs.futures_uri(turn.state, node))
    scope = turn.state.open_scope(seen.graph, node)
    turn.due.append(scope.nodes[START_NODE])


def interrupt(turn: Turn, node: NodeState, reason: str) -> None:
    """Stop the children; while the job is compiled nothing runs."""
    if node.children is None:
        trying.interrupted(turn, node)
    else:
        policies.stop(turn, node.children, reason)
        turn.closing.append(node.children)


def resume(turn: Turn, node: NodeState) -> None:
    """Have the job compiled again, or go on with outputs that had to be fetched; children look after themselves."""
    trying.set_deadlines(turn, node)
    if _is_building(node):
        source = node.detail[len(ADOPTING) :].decode() if node.detail.startswith(ADOPTING) else ""
        turn.command(BuildDynamic(node.id, node.attempt, source=source))
    elif node.children is not None and node.children.nodes[END_NODE].phase.is_terminal:
        turn.closing.append(node.children)


def _is_building(node: NodeState) -> bool:
    return node.is_dynamic and not node.detail.startswith(BUILT)


def children_ended(turn: Turn, node: NodeState, scope: Scope) -> None:
    """Take over how the graph has ended."""
    if node.phase == NodePhase.STOPPING:
        turn.state.close_scope(node)
        trying.interrupted(turn, node)
    elif node.phase != NodePhase.RUNNING:
        return
    elif scope.error is not None:
        timed_out = turn.state.nodes[scope.error_node].phase == NodePhase.TIMED_OUT
        error = _children_timed_out(scope.error) if timed_out else scope.error
        turn.state.close_scope(node)
        trying.failed(turn, node, error, retryable=timed_out)
    elif inputs.at_hand(turn, node):
        _succeed(turn, node, scope.nodes[END_NODE])


def _succeed(turn: Turn, node: NodeState, last: NodeState) -> None:
    """Check and keep the outputs; large ones are fetched first, for they are to be copied."""
    if last.outputs is None and last.outputs_uri:
        if last.id not in turn.state.loading:
            turn.state.loading[last.id] = [node]
            turn.command(LoadData(last.id, last.outputs_uri))
        return
    outputs = last.outputs if last.outputs is not None else core.LiteralMap()
    assert node.plan.task is not None
    absent = sorted(set(node.plan.task.template.interface.outputs.variables) - set(outputs.literals))
    turn.state.close_scope(node)
    if absent:
        message = f"the dynamic workflow of {node.id} has no output {', '.join(absent)}"
        error = lifecycle.system_error("DynamicWorkflowOutputsNotFound", message)
        trying.failed(turn, node, error, retryable=True)
    elif not caching.store(turn, node, outputs):
        lifecycle.publish(turn, node, outputs, always_file=True)


def _build_failed(message: str) -> core.ExecutionError:
    return core.ExecutionError(code="DynamicWorkflowBuildFailed", message=message, kind=core.ExecutionError.SYSTEM)


def _children_timed_out(error: core.ExecutionError) -> core.ExecutionError:
    return core.ExecutionError(
        code="DynamicNodeFailing", message=f"Dynamic workflow failed: {error.message}", kind=core.ExecutionError.UNKNOWN
    )
