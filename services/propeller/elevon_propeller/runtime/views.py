"""Executions as PropellerService shows them."""

from __future__ import annotations

from collections.abc import Iterable

from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller

from elevon_propeller.engine.array_state import ElementState
from elevon_propeller.engine.events import timestamp
from elevon_propeller.engine.phases import ExecutionPhase, NodePhase, wire_execution_phase, wire_node_phase
from elevon_propeller.engine.records import NodeRow
from elevon_propeller.engine.state import ExecutionState, NodeState
from elevon_propeller.ports import ExecutionRow
from elevon_propeller.runtime import reasons


def of_state(state: ExecutionState, owner: str, node_ids: Iterable[str] | None = None) -> propeller.ExecutionView:
    """The view of an execution in memory, with some of its nodes or all."""
    view = propeller.ExecutionView(
        execution_id=state.identifier, phase=wire_execution_phase(state.phase), error=state.error, owner=owner
    )
    nodes = state.nodes.values() if node_ids is None else _found(state, node_ids)
    view.nodes.extend(_node(state, node) for node in nodes if not isinstance(node, ElementState))
    return view


def of_rows(row: ExecutionRow, nodes: Iterable[NodeRow], owner: str) -> propeller.ExecutionView:
    """The view of an execution that is only in the store."""
    view = propeller.ExecutionView(
        execution_id=core.WorkflowExecutionIdentifier(project=row.project, domain=row.domain, name=row.name),
        phase=wire_execution_phase(ExecutionPhase(row.phase)),
        error=core.ExecutionError.FromString(row.error) if row.error is not None else None,
        owner=owner,
    )
    for node in nodes:
        view.nodes.add(
            node_id=node["node_id"],
            phase=wire_node_phase(NodePhase(node["phase"])),
            attempt=node["attempt"],
            reason=node["reason"] or reasons.of_phase(NodePhase(node["phase"])),
            since=timestamp(node["since"]),
        )
    return view


def _found(state: ExecutionState, node_ids: Iterable[str]) -> list[NodeState]:
    return [state.nodes[node_id] for node_id in node_ids if node_id in state.nodes]


def _node(state: ExecutionState, node: NodeState) -> propeller.NodeView:
    return propeller.NodeView(
        node_id=node.id,
        phase=wire_node_phase(node.phase),
        attempt=node.attempt,
        reason=reasons.of_node(state, node),
        since=timestamp(node.since or state.started_at),
    )
