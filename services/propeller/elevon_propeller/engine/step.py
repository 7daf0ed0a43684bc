"""One step of an execution: an observation in, a decision out.

`step` changes the state it is given and costs what changed, not what exists. It reads no clock and draws no lots: the
same state and observation always come to the same decision. Stale and repeated observations come to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from elevon_idl.core import v1 as core

from elevon_propeller.engine import (
    caching,
    events,
    inputs,
    kinds,  # noqa: F401  registers every kind of node
    lifecycle,
    policies,
    recovery,
    trying,
)
from elevon_propeller.engine.array_state import ArrayScope
from elevon_propeller.engine.commands import DataKind
from elevon_propeller.engine.decision import Decision
from elevon_propeller.engine.nodes import array, dynamic, gate, launch_plan, registry, task
from elevon_propeller.engine.observations import (
    AbortRequested,
    AttemptReported,
    AttemptStopped,
    CacheLookedUp,
    CacheReserved,
    CacheStored,
    ChildEnded,
    ChildLaunched,
    ChildStopped,
    DataLoaded,
    DataWritten,
    DynamicBuilt,
    ExecutionStarted,
    ManyLoaded,
    Observation,
    OriginalRead,
    Resumed,
    SignalRegistered,
    SignalSet,
    TimerFired,
)
from elevon_propeller.engine.phases import ExecutionPhase, NodePhase, TimerKind
from elevon_propeller.engine.plan import START_NODE, Plan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.state import ExecutionState, NodeState
from elevon_propeller.engine.turn import Turn


def step(plan: Plan, state: ExecutionState, observation: Observation, policy: EnginePolicy) -> Decision:
    """Advance the execution by one observation, through every transition that follows from it.

    Time never goes back, whatever clocks say: admin tells repeated events from new ones by their times.
    """
    state.latest = max(state.latest, observation.at)
    turn = Turn(plan, state, policy, state.latest)
    if not state.phase.is_terminal:
        _OBSERVERS[type(observation)](turn, observation)
        _advance(turn)
    return turn.decision


def _advance(turn: Turn) -> None:
    while True:
        if turn.closing:
            policies.settle(turn, turn.closing.popleft())
        elif turn.due:
            _take(turn, turn.due.popleft())
        elif not _dispatch(turn):
            break
    if turn.state.due and not turn.state.goes_on:
        turn.state.goes_on = True
        turn.soon(turn.state.scope.nodes[START_NODE], TimerKind.DUE)


def _take(turn: Turn, node: NodeState) -> None:
    """Begin a node, unless this step has begun its share.

    What had begun before a restart goes on at once, and so does a failure node: an abort waits for its end.
    """
    if node.phase != NodePhase.WAITING or node is node.scope.failure:
        _begin(turn, node)
    elif turn.begun < turn.policy.begins_per_step:
        turn.begun += 1
        _begin(turn, node)
    else:
        turn.state.due.append(node)


def _begin(turn: Turn, node: NodeState) -> None:
    """Begin a node whose upstream nodes have all ended, or skip it."""
    scope = node.scope
    if (scope.stopping and node is not scope.failure) or turn.state.phase == ExecutionPhase.ABORTING:
        return
    if node.skip:
        lifecycle.skip(turn, node)
    elif not recovery.hold(turn, node) and inputs.gather(turn, node):
        _enter(turn, node)


def _enter(turn: Turn, node: NodeState) -> None:
    """Begin a node whose inputs are resolved, unless an execution that is recovered has done what it would do."""
    if not recovery.take(turn, node):
        registry.handler(node).enter(turn, node)


def _dispatch(turn: Turn) -> bool:
    """Give free slots to the nodes that have waited longest; False when nothing came of it."""
    state = turn.state
    limit = state.options.max_parallelism
    started = False
    while state.ready and (not limit or state.slots < limit):
        node = state.ready.popleft()
        if node.phase == NodePhase.QUEUED:
            registry.handler(node).start(turn, node)
            started = True
    return started


def _start(turn: Turn, _: ExecutionStarted) -> None:
    state = turn.state
    if state.phase != ExecutionPhase.NEW:
        return
    state.phase = ExecutionPhase.RUNNING
    state.started_at = turn.now
    turn.decision.execution = True
    events.workflow(turn, core.WorkflowExecution.RUNNING)
    turn.due.append(state.scope.nodes[START_NODE])


def _resume(turn: Turn, _: Resumed) -> None:
    turn.resuming = True
    for scope in list(turn.state.scopes()):
        if isinstance(scope, ArrayScope):
            continue  # the array looks after its elements once it has its own inputs again
        for node in list(scope.live.values()):
            _resume_node(turn, node)
        turn.due.extend(node for node in scope.nodes.values() if turn.state.is_due(node))
        turn.closing.append(scope)


def _resume_node(turn: Turn, node: NodeState) -> None:
    if node.phase == NodePhase.PREPARING:
        turn.due.append(node)
    elif node.phase == NodePhase.QUEUED and inputs.again(turn, node):
        turn.state.ready.append(node)
    elif inputs.again(turn, node):
        registry.handler(node).resume(turn, node)


def _timer(turn: Turn, seen: TimerFired) -> None:
    state = turn.state
    if seen.kind == TimerKind.DUE:
        state.goes_on = False
        share = [state.due.popleft() for _ in range(min(len(state.due), turn.policy.begins_per_step))]
        turn.due.extend(node for node in share if state.is_due(node))
    elif (node := state.nodes.get(seen.node_id)) is not None:
        trying.timer_fired(turn, node, seen)


def _abort(turn: Turn, seen: AbortRequested) -> None:
    policies.abort(turn, seen.cause)


def _signal(turn: Turn, seen: SignalSet) -> None:
    gate.signal_set(turn, seen.signal_id, seen.value)


def _original(turn: Turn, seen: OriginalRead) -> None:
    recovery.read(turn, seen)


def _loaded(turn: Turn, seen: DataLoaded) -> None:
    source = turn.state.nodes.get(seen.node_id)
    if source is None:
        return
    waiting = inputs.loaded(turn, source, seen)
    turn.resuming = True
    for node in waiting:
        if node.phase == NodePhase.PREPARING:
            _begin(turn, node)
        elif not node.phase.is_terminal:
            _resume_node(turn, node)
    inputs.drop_loaded(turn, waiting)


def _many_loaded(turn: Turn, node: NodeState, seen: ManyLoaded) -> None:
    if node.inputs is not None:
        array.loaded(turn, node, seen)
    elif inputs.unpacked(turn, node, seen):
        turn.resuming = True
        if node.phase == NodePhase.PREPARING:
            _begin(turn, node)
        else:
            _resume_node(turn, node)


def _written(turn: Turn, seen: DataWritten) -> None:
    node = turn.state.nodes.get(seen.node_id)
    if node is None:
        return
    if seen.kind == DataKind.OUTPUTS:
        lifecycle.published(turn, node, seen.failure)
    elif node.phase == NodePhase.PREPARING and node.inputs is not None:
        if seen.failure:
            lifecycle.fail(turn, node, lifecycle.system_error("StorageError", seen.failure))
        else:
            node.inputs_written = True
            _enter(turn, node)


def _for_node(act: Callable[[Turn, NodeState, Any], None]) -> Callable[[Turn, Any], None]:
    def observe(turn: Turn, seen: Any) -> None:
        node = turn.state.nodes.get(seen.node_id)
        if node is not None:
            act(turn, node, seen)

    return observe


_OBSERVERS: dict[type, Callable[[Turn, Any], None]] = {
    ExecutionStarted: _start,
    Resumed: _resume,
    AbortRequested: _abort,
    SignalSet: _signal,
    OriginalRead: _original,
    AttemptReported: _for_node(task.reported),
    AttemptStopped: _for_node(task.stopped),
    TimerFired: _timer,
    DataLoaded: _loaded,
    DataWritten: _written,
    CacheLookedUp: _for_node(caching.looked_up),
    CacheReserved: _for_node(caching.reserved),
    CacheStored: _for_node(caching.stored),
    ManyLoaded: _for_node(_many_loaded),
    ChildLaunched: _for_node(launch_plan.launched),
    ChildEnded: _for_node(launch_plan.ended),
    ChildStopped: _for_node(launch_plan.stopped),
    DynamicBuilt: _for_node(dynamic.built),
    SignalRegistered: _for_node(gate.registered),
}
