"""Rows and states: what of a node is stored, and how a running state is built again from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from elevon_idl.core import v1 as core

from elevon_propeller.engine.array_state import ArrayScope, open_array
from elevon_propeller.engine.phases import ExecutionPhase, NodePhase, Outcome
from elevon_propeller.engine.plan import Graph, Plan
from elevon_propeller.engine.state import BUILT, ExecutionState, NodeState, Scope

_FLAG_INPUTS_WRITTEN = 1
_FLAG_RESERVED = 2
_FLAG_CONTINUED = 4
_SLOT_PHASES = frozenset({NodePhase.RUNNING, NodePhase.STOPPING})
_ARRAY_PHASES = _SLOT_PHASES | {NodePhase.PUBLISHING}
_SLOT_KINDS = frozenset({"task", "launch_plan"})


class ChunkRow(TypedDict):
    """What is stored of some elements of an array, see `array_chunks`."""

    node_id: str
    number: int
    data: bytes


class NodeRow(TypedDict):
    """What is stored of a node; messages as bytes, empty or None when absent."""

    node_id: str
    parent_id: str
    spec_id: str
    phase: int
    attempt: int
    system_failures: int
    announced: int
    task_phase: int
    task_version: int
    since: int
    queued_at: int
    attempt_at: int
    wake_at: int
    outcome: int
    flags: int
    cache_status: int
    reason: str
    error: bytes | None
    outputs: bytes | None
    outputs_uri: str
    deck_uri: str
    catalog: bytes | None
    detail: bytes


def node_row(node: NodeState) -> NodeRow:
    """What is to be stored of a node now."""
    parent = node.scope.parent
    return {
        "node_id": node.id,
        "parent_id": parent.id if parent is not None else "",
        "spec_id": node.plan.id,
        "phase": int(node.phase),
        "attempt": node.attempt,
        "system_failures": node.system_failures,
        "announced": node.announced,
        "task_phase": node.task_phase,
        "task_version": node.task_version,
        "since": node.since,
        "queued_at": node.queued_at,
        "attempt_at": node.attempt_at,
        "wake_at": node.wake_at,
        "outcome": int(node.outcome),
        "flags": _flags(node),
        "cache_status": node.cache_status,
        "reason": node.reason,
        "error": node.error.SerializeToString() if node.error is not None else None,
        "outputs": node.outputs.SerializeToString() if node.outputs is not None else None,
        "outputs_uri": node.outputs_uri,
        "deck_uri": node.deck_uri,
        "catalog": node.catalog.SerializeToString() if node.catalog is not None else None,
        "detail": node.detail,
    }


def _flags(node: NodeState) -> int:
    flags = _FLAG_INPUTS_WRITTEN if node.inputs_written else 0
    flags |= _FLAG_RESERVED if node.reserved else 0
    return flags | (_FLAG_CONTINUED if node.continued else 0)


def chunk_rows(scopes: Mapping[tuple[str, int], ArrayScope]) -> list[ChunkRow]:
    """What is to be stored of the elements of arrays now; nothing of arrays that have succeeded."""
    return [
        ChunkRow(node_id=node_id, number=number, data=scope.chunk(number))
        for (node_id, number), scope in scopes.items()
        if not scope.succeeded_whole
    ]


def dynamic_uris(rows: Iterable[NodeRow]) -> set[str]:
    """Where the graphs are kept that dynamic tasks among the live nodes have yielded."""
    live = (row["detail"] for row in rows if NodePhase(row["phase"]) in _SLOT_PHASES)
    return {detail[len(BUILT) :].decode() for detail in live if detail.startswith(BUILT)}


def restore(
    plan: Plan,
    state: ExecutionState,
    rows: Iterable[NodeRow],
    graphs: Mapping[str, Graph] | None = None,
    chunks: Iterable[ChunkRow] = (),
) -> None:
    """Fill a fresh state from its rows; raises KeyError when a row names a node that the plan does not have.

    `graphs` holds what `dynamic_uris` named. Readiness, slots and failures are worked out again from the phases. Follow
    it with the observation `Resumed`.
    """
    by_parent: dict[str, list[NodeRow]] = {}
    state.latest = state.started_at
    for row in rows:
        by_parent.setdefault(row["parent_id"], []).append(row)
        state.latest = max(state.latest, row["since"])
    by_array: dict[str, list[ChunkRow]] = {}
    for chunk in chunks:
        by_array.setdefault(chunk["node_id"], []).append(chunk)
    _Restorer(state, by_parent, graphs or {}, by_array).scope(state.scope)
    for scope in state.scopes():
        _restore_waits(state, scope)
    if state.phase in (ExecutionPhase.FAILING, ExecutionPhase.ABORTING):
        state.scope.stopping = state.scope.stopping or state.phase == ExecutionPhase.ABORTING
        state.scope.error = state.scope.error or state.error


@dataclass(slots=True)
class _Restorer:
    state: ExecutionState
    by_parent: dict[str, list[NodeRow]]
    graphs: Mapping[str, Graph]
    by_array: dict[str, list[ChunkRow]]

    def scope(self, scope: Scope) -> None:
        """Fill a graph; rows of the parent's earlier attempts are passed over."""
        parent_id = scope.parent.id if scope.parent is not None else ""
        rows = self.by_parent.get(parent_id, [])
        rows.sort(key=lambda row: row["since"])
        for row in rows:
            if scope.parent_attempt and row["node_id"] != scope.unique_id(row["spec_id"]):
                continue
            node = _node_of(self.state, scope, row["spec_id"])
            _fill(node, row)
            if not node.phase.is_terminal:
                scope.live[node.id] = node
                self._children(node)
                self._slot(node)
            elif node is not scope.failure:
                _count_end(scope, node)
            _restore_failure(scope, node)

    def _children(self, node: NodeState) -> None:
        if node.plan.kind == "array" and node.phase in _ARRAY_PHASES and node.detail:
            array = open_array(self.state, node)
            for chunk in self.by_array.get(node.id, []):
                array.fill(self.state, chunk["number"], chunk["data"])
        graph = self._graph(node) if node.phase in _SLOT_PHASES else None
        if graph is not None:
            self.scope(self.state.open_scope(graph, node))

    def _graph(self, node: NodeState) -> Graph | None:
        kind = node.plan.kind
        if kind == "workflow":
            return node.plan.graph
        if kind == "branch" and node.detail:
            return node.plan.arms[node.detail.decode()]
        if kind == "task" and node.detail.startswith(BUILT):
            return self.graphs[node.detail[len(BUILT) :].decode()]
        return None

    def _slot(self, node: NodeState) -> None:
        if node.plan.kind in _SLOT_KINDS and node.phase in _SLOT_PHASES and not node.is_dynamic:
            node.holds_slot = True
            self.state.slots += 1


def _restore_waits(state: ExecutionState, scope: Scope) -> None:
    """What follows from other graphs: an arm's upstream nodes, a parent that is being stopped."""
    parent = scope.parent
    if parent is None:
        return
    scope.stopping = scope.stopping or parent.phase == NodePhase.STOPPING
    if parent.plan.kind == "branch":
        for arm in scope.nodes.values():
            if arm.phase == NodePhase.WAITING:
                state.follow(arm)


def _node_of(state: ExecutionState, scope: Scope, spec_id: str) -> NodeState:
    failure = scope.graph.failure_node
    if failure is not None and spec_id == failure.id and spec_id not in scope.nodes:
        scope.failure = NodeState(scope.unique_id(spec_id), failure, scope)
        state.nodes[scope.failure.id] = scope.failure
        return scope.failure
    return scope.nodes[spec_id]


def _count_end(scope: Scope, node: NodeState) -> None:
    scope.unfinished -= 1
    skip = node.phase not in (NodePhase.SUCCEEDED, NodePhase.RECOVERED)
    for node_id in node.plan.downstream:
        target = scope.nodes[node_id]
        target.waiting -= 1
        target.skip = target.skip or skip


def _restore_failure(scope: Scope, node: NodeState) -> None:
    if node.phase not in (NodePhase.FAILED, NodePhase.TIMED_OUT):
        return
    if scope.error is None or node is scope.failure:
        scope.error, scope.error_node = node.error, node.id
    scope.stopping = scope.stopping or scope.graph.fails_immediately


def _fill(node: NodeState, row: NodeRow) -> None:
    node.phase = NodePhase(row["phase"])
    node.attempt = row["attempt"]
    node.system_failures = row["system_failures"]
    node.announced = core.NodeExecution.Phase.ValueType(row["announced"])
    node.task_phase = core.TaskExecution.Phase.ValueType(row["task_phase"])
    node.task_version = row["task_version"]
    node.since = row["since"]
    node.queued_at = row["queued_at"]
    node.attempt_at = row["attempt_at"]
    node.wake_at = row["wake_at"]
    node.outcome = Outcome(row["outcome"])
    node.inputs_written = bool(row["flags"] & _FLAG_INPUTS_WRITTEN)
    node.reserved = bool(row["flags"] & _FLAG_RESERVED)
    node.continued = bool(row["flags"] & _FLAG_CONTINUED)
    node.cache_status = core.CatalogCacheStatus.ValueType(row["cache_status"])
    node.reason = row["reason"]
    node.error = core.ExecutionError.FromString(row["error"]) if row["error"] is not None else None
    node.outputs = core.LiteralMap.FromString(row["outputs"]) if row["outputs"] is not None else None
    node.outputs_uri = row["outputs_uri"]
    node.deck_uri = row["deck_uri"]
    node.catalog = core.CatalogMetadata.FromString(row["catalog"]) if row["catalog"] is not None else None
    node.detail = row["detail"]
