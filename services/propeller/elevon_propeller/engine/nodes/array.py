"""Array nodes: one task, or launch plan, run for every item of lists.

Elements are nodes in everything but their rows and events: they look up the catalog, are retried and time out by
themselves. The array lets them begin in order, as many at a time as it may, and ends once too many have failed or all
have ended.
"""

from __future__ import annotations

from elevon_core import arrays
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core

from elevon_propeller.engine import (
    array_errors,
    array_events,
    array_state,
    array_values,
    events,
    lifecycle,
    paths,
    policies,
    recovery,
    trying,
)
from elevon_propeller.engine.array_state import ArrayScope, ElementState
from elevon_propeller.engine.commands import DataKind, LoadMany, WriteData
from elevon_propeller.engine.nodes import registry
from elevon_propeller.engine.nodes.registry import NodeHandler
from elevon_propeller.engine.observations import ManyLoaded
from elevon_propeller.engine.phases import SUCCESSFUL, NodePhase, Outcome, TimerKind
from elevon_propeller.engine.plan import ArrayPlan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.state import NodeState
from elevon_propeller.engine.turn import Turn

TOO_MANY_FAILURES = "too many elements of the array have failed"


class ArrayNode(NodeHandler):
    """`detail` of the state is the number of elements and whether they count against max_parallelism."""

    def enter(self, turn: Turn, node: NodeState) -> None:
        """Begin, once the inputs are in memory and in the file from which tasks read their items."""
        lifecycle.announce_queued(turn, node)
        if _load_offloaded(turn, node) or _write_inputs(turn, node):
            return
        try:
            size = array_values.size_of(node.inputs or core.LiteralMap(), _plan(node).bound)
        except InvalidArgument as error:
            lifecycle.fail(turn, node, _user_error("InvalidArrayLength", error.message))
            return
        trying.begin(turn, node)
        events.node(turn, node, core.NodeExecution.RUNNING)
        node.detail = array_state.describe(size, slotless=_slotless(_plan(node), turn.policy))
        if node.attempt:
            turn.decision.dropped.append(node.id)  # what is stored of the attempt before
        scope = array_state.open_array(turn.state, node)
        array_events.queued(turn, scope)
        turn.closing.append(scope)

    def woken(self, turn: Turn, node: NodeState) -> None:
        """Let more elements begin, and tell what has become of others."""
        scope = _scope(node)
        if scope is not None:
            scope.waking = False
            array_events.tell_if_due(turn, scope)
            turn.closing.append(scope)

    def stop(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Stop the elements; the array follows when they have ended."""
        trying.stop(turn, node, reason)

    def interrupt(self, turn: Turn, node: NodeState, reason: str) -> None:
        """Stop the elements."""
        scope = _scope(node)
        if scope is not None:
            policies.stop(turn, scope, reason)
            turn.closing.append(scope)

    def resume(self, turn: Turn, node: NodeState) -> None:
        """Have every element go on; admin may not have been told of all that were stored."""
        if node.phase == NodePhase.BACKING_OFF:
            trying.resume_backoff(turn, node)
        elif node.phase == NodePhase.PUBLISHING:
            lifecycle.resume_publishing(turn, node)
        elif node.phase == NodePhase.STOPPING or not _load_offloaded(turn, node):
            self._resume_elements(turn, node)

    def children_changed(self, turn: Turn, node: NodeState) -> None:
        """Fail early, let more elements begin, or end."""
        scope = _scope(node)
        if scope is None:
            return
        scope.noticed = False
        if node.phase == NodePhase.STOPPING:
            if not scope.live:
                _interrupted(turn, scope)
        elif node.phase == NodePhase.RUNNING and not scope.gathering:
            _go_on(turn, scope)

    def ending(self, turn: Turn, node: NodeState) -> None:
        """Tell how all elements ended, before it is told of the node."""
        scope = _scope(node)
        if scope is not None:
            _close(turn, scope, _TASK_PHASES[node.phase], node.error)

    def _resume_elements(self, turn: Turn, node: NodeState) -> None:
        scope = _scope(node)
        if scope is None:
            return
        if node.phase == NodePhase.RUNNING:
            trying.set_deadlines(turn, node)
            array_events.note_all(turn, scope)
        for element in list(scope.live.values()):
            assert isinstance(element, ElementState)
            element.inputs = _items(scope).of(element.index)
            if element.phase != NodePhase.QUEUED:
                registry.handler(element).resume(turn, element)
            elif scope.slotless:
                registry.handler(element).start(turn, element)
            else:
                turn.state.ready.append(element)
        turn.closing.append(scope)


def loaded(turn: Turn, node: NodeState, seen: ManyLoaded) -> None:
    """Go on with what was read: offloaded inputs, or the outputs of elements."""
    if node.plan.kind != "array" or seen.number != node.attempt or node.phase.is_terminal:
        return
    if seen.literals:
        _take_inputs(turn, node, seen)
        return
    scope = _scope(node)
    if scope is None or node.phase != NodePhase.RUNNING:
        if seen.failure and node.phase == NodePhase.PREPARING:
            lifecycle.fail(turn, node, lifecycle.system_error("RuntimeExecutionError", seen.failure))
        return
    if seen.failure:
        _fail(turn, scope, lifecycle.system_error("RuntimeExecutionError", seen.failure))
    elif scope.gathering:
        _publish(turn, scope, dict(seen.outputs))


def _plan(node: NodeState) -> ArrayPlan:
    assert node.plan.array is not None
    return node.plan.array


def _scope(node: NodeState) -> ArrayScope | None:
    return node.children if isinstance(node.children, ArrayScope) else None


def _slotless(plan: ArrayPlan, policy: EnginePolicy) -> bool:
    """Whether elements run without counting against max_parallelism."""
    if plan.parallelism:
        return True
    if policy.array_parallelism == "hybrid":
        return plan.parallelism == 0
    return policy.array_parallelism == "unlimited"


def _load_offloaded(turn: Turn, node: NodeState) -> bool:
    """Have inputs read that are in files of their own; False when there are none."""
    uris = arrays.offloaded(node.inputs) if node.inputs is not None else {}
    if not uris:
        return False
    if node.phase != NodePhase.RUNNING:
        turn.enter(node, NodePhase.PREPARING, "reads offloaded inputs")
    turn.command(LoadMany(node.id, node.attempt, uris, literals=True))
    return True


def _take_inputs(turn: Turn, node: NodeState, seen: ManyLoaded) -> None:
    if node.inputs is None:
        return
    for name, literal in seen.literals.items():
        node.inputs.literals[name].CopyFrom(literal)
    if node.phase == NodePhase.RUNNING:
        turn.resuming = True
        registry.handler(node).resume(turn, node)
    elif node.phase == NodePhase.PREPARING:
        registry.handler(node).enter(turn, node)


def _write_inputs(turn: Turn, node: NodeState) -> bool:
    """Have the file written that all elements read; False when it is there or not needed."""
    plan = _plan(node)
    if node.inputs_written or plan.own_files or plan.element.kind != "task":
        return False
    uri = f"{paths.data_prefix(turn.state, node)}/inputs.pb"
    turn.enter(node, NodePhase.PREPARING, "writes its inputs")
    turn.command(WriteData(node.id, DataKind.INPUTS, uri, node.inputs or core.LiteralMap()))
    return True


def _items(scope: ArrayScope) -> arrays.Items:
    if scope.items is None:
        scope.items = arrays.Items(scope.node.inputs or core.LiteralMap(), scope.plan.bound)
    return scope.items


def _go_on(turn: Turn, scope: ArrayScope) -> None:
    hopeless = scope.size - scope.failed < scope.minimum
    if hopeless and not scope.stopping and not scope.plan.runs_all:
        policies.stop(turn, scope, TOO_MANY_FAILURES)
    _admit(turn, scope)
    if scope.live or (scope.begun < scope.size and not scope.stopping):
        array_events.tell_soon(turn, scope)
    elif scope.succeeded < scope.minimum:
        _fail(turn, scope, array_errors.combined(scope))
    else:
        _gather(turn, scope)


def _admit(turn: Turn, scope: ArrayScope) -> None:
    """Let elements begin, in order; the rest of what may begin follows in the next step."""
    if scope.stopping or scope.node.inputs is None:
        return
    if scope.begun == scope.size or recovery.waits_within(turn, scope):
        return
    known = recovery.elements(turn, scope)
    limits = [limit for limit in (scope.plan.parallelism, turn.policy.array_live_elements) if limit]
    room = min(limits, default=scope.size)
    while scope.begun < scope.size and len(scope.live) < room:
        if turn.admitted >= turn.policy.begins_per_step:
            if not scope.waking:
                scope.waking = True
                turn.soon(scope.node, TimerKind.ELEMENTS)
            return
        turn.admitted += 1
        index = scope.begun
        scope.begun += 1
        found = known.pop(index, None)
        if found is not None and found.phase in SUCCESSFUL:
            scope.recover(index, found)
            turn.decision.chunks[scope.array_id, index // array_state.CHUNK] = scope
            continue
        element = scope.element(turn.state, index)
        element.inputs = _items(scope).of(index)
        if found is not None:
            recovery.prepare(element, found)
        registry.handler(element).enter(turn, element)


def _gather(turn: Turn, scope: ArrayScope) -> None:
    """Collect the outputs; those that are only in files are read first."""
    if not scope.uris:
        _publish(turn, scope, {})
        return
    scope.gathering = True
    turn.command(LoadMany(scope.array_id, scope.node.attempt, dict(scope.uris)))


def _publish(turn: Turn, scope: ArrayScope, outputs: dict[int, core.LiteralMap]) -> None:
    for index, data in scope.outputs.items():
        outputs[index] = core.LiteralMap.FromString(data)
    names = set(scope.plan.outputs)
    if scope.plan.element.kind != "task":
        names.update(name for found in outputs.values() for name in found.literals)
    lifecycle.publish(turn, scope.node, array_values.collected(sorted(names), scope.size, outputs))


def _interrupted(turn: Turn, scope: ArrayScope) -> None:
    node = scope.node
    ended = core.TaskExecution.ABORTED if node.outcome == Outcome.ABORTED else core.TaskExecution.FAILED
    _close(turn, scope, ended, node.error)
    trying.interrupted(turn, node)


def _fail(turn: Turn, scope: ArrayScope, error: core.ExecutionError) -> None:
    _close(turn, scope, core.TaskExecution.FAILED, error)
    trying.failed(turn, scope.node, error, retryable=False)


def _close(
    turn: Turn,
    scope: ArrayScope,
    phase: core.TaskExecution.Phase.ValueType,
    error: core.ExecutionError | None,
) -> None:
    array_events.ended(turn, scope, phase, error)
    array_state.close_array(turn.state, scope)
    if phase == core.TaskExecution.SUCCEEDED:
        scope.succeeded_whole = True
        turn.decision.dropped.append(scope.array_id)


def _user_error(code: str, message: str) -> core.ExecutionError:
    return core.ExecutionError(code=code, message=message, kind=core.ExecutionError.USER)


_TASK_PHASES = {
    NodePhase.SUCCEEDED: core.TaskExecution.SUCCEEDED,
    NodePhase.RECOVERED: core.TaskExecution.SUCCEEDED,
    NodePhase.FAILED: core.TaskExecution.FAILED,
    NodePhase.TIMED_OUT: core.TaskExecution.FAILED,
    NodePhase.SKIPPED: core.TaskExecution.ABORTED,
    NodePhase.ABORTED: core.TaskExecution.ABORTED,
}
