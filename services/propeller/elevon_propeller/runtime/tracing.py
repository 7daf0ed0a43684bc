"""Spans of executions, nodes and attempts, with ids derived from names, so that a restart continues the same trace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from elevon_core import naming
from elevon_kit import telemetry
from opentelemetry.context import Context
from opentelemetry.trace import Status, StatusCode

from elevon_propeller.engine.phases import SUCCESSFUL, ExecutionPhase, NodePhase
from elevon_propeller.engine.state import ExecutionState, NodeState


def attempt_traceparent(state: ExecutionState, node: NodeState) -> str:
    """The W3C traceparent a task gets: a child of its attempt's span; empty when tracing is off."""
    if not telemetry.tracing_enabled():
        return ""
    trace_id, _ = telemetry.execution_trace_ids(state.identifier)
    return f"00-{trace_id:032x}-{_attempt_span(state, node):016x}-01"


def enabled() -> bool:
    """Whether spans are recorded at all."""
    return telemetry.tracing_enabled()


def nodes_ended(state: ExecutionState, nodes: Iterable[NodeState]) -> None:
    """Record the spans of those nodes that have ended."""
    for node in nodes:
        if node.phase.is_terminal:
            node_ended(state, node)


def node_ended(state: ExecutionState, node: NodeState) -> None:
    """Record the span of a node, and of its last attempt, once it has ended."""
    if not node.queued_at:
        return
    context = telemetry.execution_trace_context(state.identifier)
    attributes: dict[str, str | int] = {
        "elevon.execution": state.identifier.name,
        "elevon.project": state.identifier.project,
        "elevon.domain": state.identifier.domain,
        "elevon.node": node.id,
        "elevon.phase": node.phase.name,
        "elevon.attempt": node.attempt,
    }
    _record(f"node {node.id}", _span_id(state, node.id), context, attributes, node.queued_at, node)
    if node.attempt_at:
        within = telemetry.span_context(state.identifier, _span_id(state, node.id))
        _record(f"attempt {node.id}", _attempt_span(state, node), within, attributes, node.attempt_at, node)


def execution_ended(state: ExecutionState) -> None:
    """Record the root span of an execution once it has ended."""
    failure = "" if state.phase == ExecutionPhase.SUCCEEDED else state.phase.name
    telemetry.record_execution_span(
        state.identifier,
        started_nanoseconds=state.accepted_at * 1_000,
        ended_nanoseconds=state.ended_at * 1_000,
        failure=failure,
        attributes={"elevon.execution": state.identifier.name, "elevon.phase": state.phase.name},
        parent=telemetry.extract([("traceparent", state.options.traceparent)]) if state.options.traceparent else None,
    )


def _record(
    name: str, span_id: int, context: Context, attributes: dict[str, str | int], started_at: int, node: NodeState
) -> None:
    span = telemetry.start_span_with_id(
        name,
        span_id,
        context,
        start_time=started_at * 1_000,
        attributes=attributes,
    )
    if node.phase not in SUCCESSFUL and node.phase != NodePhase.SKIPPED:
        span.set_status(Status(StatusCode.ERROR, node.error.code if node.error is not None else node.phase.name))
    span.end(node.since * 1_000)


def _attempt_span(state: ExecutionState, node: NodeState) -> int:
    return _span_id(state, naming.generated_name(state.identifier.name, node.id, node.attempt))


def _span_id(state: ExecutionState, name: str) -> int:
    identifier = state.identifier
    text = "\x00".join((identifier.project, identifier.domain, identifier.name, name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) or 1
