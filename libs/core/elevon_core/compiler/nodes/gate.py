"""Gate nodes: approvals pass their inputs on, signals yield a value from outside, sleeps yield nothing."""

from __future__ import annotations

from elevon_idl.core import v1 as core

from elevon_core.compiler.bindings import Scope, infer_inputs
from elevon_core.compiler.findings import Code
from elevon_core.compiler.library import NodeInterface


def interface(node: core.Node, scope: Scope) -> NodeInterface | None:
    """The interface of the gate; None if it is not known what an approval passes on."""
    condition = node.gate_node.WhichOneof("condition")
    if condition == "approve":
        return _approval(node, scope)
    if condition == "signal":
        return _signal(node, scope)
    if condition == "sleep":
        return NodeInterface({}, {})
    scope.findings.add(Code.NO_CONDITION_FOUND, node.id, "a gate node has one of approve, signal, sleep")
    return None


def _approval(node: core.Node, scope: Scope) -> NodeInterface | None:
    inputs: dict[str, core.LiteralType] = {}
    for name, found in infer_inputs(node, scope).items():
        if found is None:
            return None
        inputs[name] = found
    return NodeInterface(inputs, inputs, inferred=True)


def _signal(node: core.Node, scope: Scope) -> NodeInterface | None:
    signal = node.gate_node.signal
    if not signal.output_variable_name:
        scope.findings.require(node.id, "OutputVariableName")
    if signal.type.WhichOneof("type") is None:
        scope.findings.require(node.id, "Type")
        return None
    return NodeInterface({}, {signal.output_variable_name: signal.type})
