"""Conditions of branches."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from elevon_core import rendering
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core

Comparison = core.ComparisonExpression

_LONGEST_SHOWN = 100
"""Characters of a value in an error."""

_OPERATORS: dict[int, Callable[[Any, Any], bool]] = {
    Comparison.EQ: operator.eq,
    Comparison.NEQ: operator.ne,
    Comparison.GT: operator.gt,
    Comparison.GTE: operator.ge,
    Comparison.LT: operator.lt,
    Comparison.LTE: operator.le,
}


def choose(if_else: core.IfElseBlock, inputs: core.LiteralMap) -> core.Node | core.Error | None:
    """The node of the first case that holds, else the else node or error, None when there is nothing.

    Raises InvalidArgument for a condition that cannot be evaluated.
    """
    for block in (if_else.case, *if_else.other):
        if holds(block.condition, inputs):
            return block.then_node
    default = if_else.WhichOneof("default")
    if default == "else_node":
        return if_else.else_node
    return if_else.error if default == "error" else None


def holds(expression: core.BooleanExpression, inputs: core.LiteralMap) -> bool:
    """Whether an expression is true; both sides of a conjunction are evaluated always."""
    if expression.WhichOneof("expr") == "conjunction":
        conjunction = expression.conjunction
        left = holds(conjunction.left_expression, inputs)
        right = holds(conjunction.right_expression, inputs)
        if conjunction.operator == core.ConjunctionExpression.OR:
            return left or right
        return left and right
    return _compare(expression.comparison, inputs)


def compared(if_else: core.IfElseBlock, inputs: core.LiteralMap) -> str:
    """The variables of all conditions with their values, for people: `n0.o0 is 5, flag is true`; empty without any."""
    names: dict[str, None] = {}
    for block in (if_else.case, *if_else.other):
        names |= dict.fromkeys(_variables(block.condition))
    return ", ".join(f"{name} is {_shown(inputs, name)}" for name in names)


def _variables(expression: core.BooleanExpression) -> list[str]:
    if expression.WhichOneof("expr") == "conjunction":
        conjunction = expression.conjunction
        return [*_variables(conjunction.left_expression), *_variables(conjunction.right_expression)]
    comparison = expression.comparison
    return [side.var for side in (comparison.left_value, comparison.right_value) if side.WhichOneof("val") == "var"]


def _shown(inputs: core.LiteralMap, name: str) -> str:
    if name not in inputs.literals:
        return "missing"
    try:
        text = rendering.render(inputs.literals[name])
    except InvalidArgument:
        return "not a primitive"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _compare(comparison: core.ComparisonExpression, inputs: core.LiteralMap) -> bool:
    left_kind, left = _operand(comparison.left_value, inputs)
    right_kind, right = _operand(comparison.right_value, inputs)
    if left_kind != right_kind:
        raise InvalidArgument(f"a {left_kind} cannot be compared with a {right_kind}")
    if left_kind == "boolean" and comparison.operator not in (Comparison.EQ, Comparison.NEQ):
        raise InvalidArgument("booleans can only be compared for equality")
    return _OPERATORS[comparison.operator](left, right)


def _operand(operand: core.Operand, inputs: core.LiteralMap) -> tuple[str, Any]:
    """The kind and the comparable value of an operand; times and lengths to the nanosecond, strings by their bytes."""
    kind = operand.WhichOneof("val")
    if kind == "var":
        if operand.var not in inputs.literals:
            raise InvalidArgument(f"the condition's variable {operand.var!r} is not among the inputs")
        primitive = _primitive(inputs.literals[operand.var], operand.var)
    else:
        primitive = operand.primitive if kind == "primitive" else operand.scalar.primitive
    found = primitive.WhichOneof("value")
    if found is None:
        raise InvalidArgument("only primitives can be compared")
    value = getattr(primitive, found)
    if found == "string_value":
        return found, value.encode()
    if found in ("datetime", "duration"):
        return found, (value.seconds, value.nanos)
    return found, value


def _primitive(literal: core.Literal, name: str) -> core.Primitive:
    while literal.scalar.HasField("union"):
        literal = literal.scalar.union.value
    if not literal.scalar.HasField("primitive"):
        raise InvalidArgument(f"only primitives can be compared, and {name!r} is none")
    return literal.scalar.primitive
