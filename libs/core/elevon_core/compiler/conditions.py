"""Conditions of branches: what is compared must be bound, and of one type on both sides."""

from __future__ import annotations

from collections.abc import Mapping

from elevon_idl.core import v1 as core

from elevon_core import types
from elevon_core.compiler.bindings import scalar_type
from elevon_core.compiler.findings import Code, Findings

Variables = Mapping[str, core.LiteralType | None]


def check_condition(expression: core.BooleanExpression, node_id: str, variables: Variables, findings: Findings) -> None:
    """Checks an expression; `variables` are the inputs of the branch node, None where the type is not known."""
    kind = expression.WhichOneof("expr")
    if kind == "comparison":
        _check_comparison(expression.comparison, node_id, variables, findings)
    elif kind == "conjunction":
        conjunction = expression.conjunction
        for side in ("left_expression", "right_expression"):
            if conjunction.HasField(side):
                check_condition(getattr(conjunction, side), node_id, variables, findings)
            else:
                findings.require(node_id, f"conjunction.{side}")
    else:
        findings.require(node_id, "condition")


def _check_comparison(
    comparison: core.ComparisonExpression, node_id: str, variables: Variables, findings: Findings
) -> None:
    left = _operand_type(comparison.left_value, "left_value", node_id, variables, findings)
    right = _operand_type(comparison.right_value, "right_value", node_id, variables, findings)
    if left is not None and right is not None and _plain(left) != _plain(right):
        text = f"a value of type [{types.describe(left)}] is compared with one of type [{types.describe(right)}]"
        findings.add(Code.MISMATCHING_TYPES, node_id, text)


def _operand_type(
    operand: core.Operand, side: str, node_id: str, variables: Variables, findings: Findings
) -> core.LiteralType | None:
    kind = operand.WhichOneof("val")
    if kind == "var" and operand.var:
        if operand.var not in variables:
            text = f"variable [{operand.var}] of the condition is not bound as an input of the node"
            findings.add(Code.VARIABLE_NAME_NOT_FOUND, node_id, text)
        return variables.get(operand.var)
    scalar = core.Scalar(primitive=operand.primitive) if kind == "primitive" else operand.scalar
    found = scalar_type(scalar) if kind in ("primitive", "scalar") else None
    if found is None:
        findings.require(node_id, f"comparison.{side}")
    return found


def _plain(literal_type: core.LiteralType) -> core.LiteralType:
    """The type without what does not bear on comparing: its metadata, structure and annotation."""
    plain = core.LiteralType()
    plain.CopyFrom(literal_type)
    plain.ClearField("metadata")
    plain.ClearField("structure")
    plain.ClearField("annotation")
    return plain
