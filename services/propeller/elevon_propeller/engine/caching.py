"""Memoization of task nodes: look-up, serialized reservations, storing.

A node that may be cached goes PREPARING → LOOKING_UP → (serialized: RESERVING → LOOKING_UP again, or
RESERVED_ELSEWHERE until a timer wakes it) → QUEUED → … → STORING. The second look-up, with the reservation in hand,
closes the gap in which the former holder has stored and released. A catalog out of reach never fails a node.
"""

from __future__ import annotations

from elevon_core import hashing
from elevon_idl.core import v1 as core

from elevon_propeller.engine import lifecycle, paths
from elevon_propeller.engine.commands import CacheEntry, LookUpCache, ReleaseCache, ReserveCache, StoreCache
from elevon_propeller.engine.observations import CacheLookedUp, CacheReserved, CacheStored
from elevon_propeller.engine.phases import NodePhase, TimerKind
from elevon_propeller.engine.state import ExecutionState, NodeState
from elevon_propeller.engine.turn import Turn


def is_cached(node: NodeState) -> bool:
    """Whether the node's outputs are looked up and kept."""
    return node.plan.task is not None and node.plan.task.dataset is not None


def entry(state: ExecutionState, node: NodeState) -> CacheEntry:
    """The node's entry in the catalog; its inputs must be resolved."""
    task, inputs = node.plan.task, node.inputs
    assert task is not None
    assert task.dataset is not None
    assert inputs is not None
    task_id = task.template.id
    source = core.TaskExecutionIdentifier(
        task_id=task_id,
        node_execution_id=core.NodeExecutionIdentifier(node_id=node.id, execution_id=state.identifier),
        retry_attempt=node.attempt,
    )
    return CacheEntry(
        dataset=task.dataset,
        tag=hashing.cache_tag(inputs, task.ignored_inputs),
        owner=paths.attempt_name(state, node, 0),
        interface=task.template.interface,
        task_id=task_id,
        source=source,
    )


def begin(turn: Turn, node: NodeState) -> bool:
    """Start the look-up of a node whose inputs are resolved; False when it is not to be looked up."""
    if not is_cached(node) or not turn.policy.caches:
        return False
    if turn.state.options.overwrite_cache:
        node.cache_status = core.CACHE_SKIPPED
        return False
    turn.enter(node, NodePhase.LOOKING_UP)
    look_up(turn, node)
    return True


def look_up(turn: Turn, node: NodeState) -> None:
    """Ask the catalog for the outputs."""
    turn.command(LookUpCache(node.id, entry(turn.state, node)))


def reserve(turn: Turn, node: NodeState) -> None:
    """Ask the catalog for the reservation, or extend it."""
    turn.command(ReserveCache(node.id, entry(turn.state, node)))


def looked_up(turn: Turn, node: NodeState, seen: CacheLookedUp) -> None:
    """Go on after the catalog has answered a look-up."""
    if node.phase != NodePhase.LOOKING_UP:
        return
    if seen.outputs is not None:
        node.cache_status, node.catalog = core.CACHE_HIT, seen.catalog
        release(turn, node)
        lifecycle.publish(turn, node, seen.outputs)
    elif seen.failure:
        node.cache_status, node.reason = core.CACHE_LOOKUP_FAILURE, seen.failure
        lifecycle.enqueue(turn, node)
    elif node.plan.task is not None and node.plan.task.serializable and not node.reserved:
        turn.enter(node, NodePhase.RESERVING)
        reserve(turn, node)
    else:
        node.cache_status = core.CACHE_MISS
        lifecycle.enqueue(turn, node)


def reserved(turn: Turn, node: NodeState, seen: CacheReserved) -> None:
    """Go on after the catalog has said who holds the reservation; losing it later stops nothing."""
    if node.phase != NodePhase.RESERVING:
        return
    if seen.failure:
        node.cache_status, node.reason = core.CACHE_LOOKUP_FAILURE, seen.failure
        lifecycle.enqueue(turn, node)
    elif seen.acquired:
        node.reserved = True
        _heartbeat_later(turn, node)
        turn.enter(node, NodePhase.LOOKING_UP)
        look_up(turn, node)
    else:
        node.wake_at = turn.now + turn.policy.cache_wait
        reason = f"waiting on serialized cache: {seen.owner or 'another node'} has the reservation"
        turn.enter(node, NodePhase.RESERVED_ELSEWHERE, reason)
        lifecycle.announce_queued(turn, node)
        turn.timer(node.wake_at, node, TimerKind.CACHE_WAIT)


def wake(turn: Turn, node: NodeState) -> None:
    """Look again whether the other holder has finished."""
    if node.phase == NodePhase.RESERVED_ELSEWHERE:
        turn.enter(node, NodePhase.LOOKING_UP)
        look_up(turn, node)


def heartbeat(turn: Turn, node: NodeState) -> None:
    """Extend the reservation of a node that is still at work."""
    if node.reserved and not node.phase.is_terminal and node.inputs is not None:
        reserve(turn, node)
        _heartbeat_later(turn, node)


def store(turn: Turn, node: NodeState, outputs: core.LiteralMap) -> bool:
    """Give the outputs of a finished attempt to the catalog; False when they are not kept."""
    if not is_cached(node) or not turn.policy.caches:
        return False
    node.outputs = outputs
    turn.enter(node, NodePhase.STORING)
    turn.command(StoreCache(node.id, entry(turn.state, node), outputs, turn.state.options.overwrite_cache))
    return True


def stored(turn: Turn, node: NodeState, seen: CacheStored) -> None:
    """Succeed, whatever the catalog said."""
    if node.phase != NodePhase.STORING or node.outputs is None:
        return
    if seen.failure:
        node.cache_status, node.reason = core.CACHE_PUT_FAILURE, seen.failure
        assert node.plan.task is not None
        node.catalog = core.CatalogMetadata(dataset_id=node.plan.task.dataset)
    else:
        node.cache_status, node.catalog = core.CACHE_POPULATED, seen.catalog
    release(turn, node)
    lifecycle.publish(turn, node, node.outputs, always_file=node.is_dynamic)


def release(turn: Turn, node: NodeState) -> None:
    """Give the reservation up, if the node has it."""
    if node.reserved:
        node.reserved = False
        if node.inputs is not None:
            turn.command(ReleaseCache(node.id, entry(turn.state, node)))


def _heartbeat_later(turn: Turn, node: NodeState) -> None:
    turn.timer(turn.now + turn.policy.reservation_heartbeat, node, TimerKind.HEARTBEAT)
