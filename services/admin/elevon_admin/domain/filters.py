"""The filter expressions of the list calls: `func(field,value;value)+func(...)`, joined by AND."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from elevon_core.errors import InvalidArgument

ENTITY_CODES = {
    "admin_tag": "at",
    "entities": "nen",
    "execution": "e",
    "execution_admin_tag": "eat",
    "execution_tag": "et",
    "launch_plan": "l",
    "named_entity_metadata": "nem",
    "node_execution": "ne",
    "project": "p",
    "signal": "s",
    "task": "t",
    "task_execution": "te",
    "workflow": "w",
}
"""The prefixes a field may carry, and the short codes that error texts use for them."""

MAXIMUM_VALUES = 1_000
"""How many values one expression may list; more than a database driver binds comfortably is a mistake."""
MAXIMUM_EXPRESSIONS = 100
MAXIMUM_VALUES_IN_ALL = 5_000
"""How many values all expressions may list together: the databases bind some 32,000 in one statement."""
LONGEST_PATTERN = 10_000
"""How many characters `contains` and `not_like` compare with: SQLite takes 50,000 bytes of a pattern."""


class FilterFunction(enum.StrEnum):
    """What an expression does with its field."""

    CONTAINS = "contains"
    NOT_LIKE = "not_like"
    GREATER_THAN = "gt"
    GREATER_OR_EQUAL = "gte"
    LESS_THAN = "lt"
    LESS_OR_EQUAL = "lte"
    EQUAL = "eq"
    NOT_EQUAL = "ne"
    VALUE_IN = "value_in"
    VALUE_NOT_IN = "value_not_in"

    @property
    def takes_many(self) -> bool:
        """Whether more than one value makes sense."""
        return self in (FilterFunction.VALUE_IN, FilterFunction.VALUE_NOT_IN)


_PATTERNS = (FilterFunction.CONTAINS, FilterFunction.NOT_LIKE)


@dataclass(frozen=True, slots=True)
class Filter:
    """One expression; `entity` is empty when the field carries no prefix."""

    function: FilterFunction
    entity: str
    field: str
    values: tuple[str, ...]


# A plus sign only separates where an expression ends before it and another begins after it, so values may hold one.
_SEPARATOR = re.compile(r"\)\s*\+\s*(?=[A-Za-z_]+\()")
_EXPRESSION = re.compile(r"([A-Za-z_]+)\(\s*([A-Za-z0-9_.]+)\s*,[ ]?(.*)\)", re.DOTALL)
_MISJOINED = re.compile(rf"\)[\s+,;&|]*(?:{'|'.join(FilterFunction)})\(")
_JOINED_RULE = "expressions are joined with one + each, which is written %2B in URLs"


def parse_filters(text: str) -> tuple[Filter, ...]:
    """Read a whole filter text; blank text gives no filters, anything malformed raises InvalidArgument."""
    text = text.strip()
    if not text:
        return ()
    pieces = _SEPARATOR.split(text)
    if len(pieces) > MAXIMUM_EXPRESSIONS:
        raise InvalidArgument.invalid("filters", text, f"at most {MAXIMUM_EXPRESSIONS} expressions, not {len(pieces)}")
    closed = [piece + ")" for piece in pieces[:-1]] + pieces[-1:]
    found = tuple(_parse_expression(piece) for piece in closed)
    values = sum(len(expression.values) for expression in found)
    if values > MAXIMUM_VALUES_IN_ALL:
        raise InvalidArgument.invalid("filters", text, f"at most {MAXIMUM_VALUES_IN_ALL} values in all, not {values}")
    return found


def mentions(filters: Sequence[Filter], field: str) -> bool:
    """Whether any expression is about a field of this name, whatever its entity."""
    return any(expression.field == field for expression in filters)


def _parse_expression(text: str) -> Filter:
    match = _EXPRESSION.fullmatch(text)
    if match is None:
        raise InvalidArgument.invalid("filters", text, "expected func(field,value), expressions joined with +")
    name, field, values = match.groups()
    try:
        function = FilterFunction(name)
    except ValueError:
        known = ", ".join(FilterFunction)
        raise InvalidArgument(f"unrecognized filter function: {name[:200]} (known: {known})") from None
    entity, column = _split_field(field)
    _check_closed(values, text)
    return Filter(function, entity, column, _split_values(function, values, text))


def _check_closed(values: str, expression: str) -> None:
    """A URL turns a plain + into a blank; what follows it must not become part of a value that nothing equals."""
    if _MISJOINED.search(values):
        raise InvalidArgument.invalid("filters", expression, f"an expression begins within a value: {_JOINED_RULE}")
    if values.endswith(")") and values.count(")") > values.count("("):
        rule = f"more parentheses are closed than opened: {_JOINED_RULE}"
        raise InvalidArgument.invalid("filters", expression, rule)


def _split_field(field: str) -> tuple[str, str]:
    entity, dot, column = field.rpartition(".")
    if dot and entity not in ENTITY_CODES:
        known = ", ".join(sorted(ENTITY_CODES))
        raise InvalidArgument.invalid("filters", field, f"unknown entity; one of {known}")
    if not column:
        raise InvalidArgument.invalid("filters", field, "the column name is empty")
    return entity, column


def _split_values(function: FilterFunction, text: str, expression: str) -> tuple[str, ...]:
    values = tuple(text.split(";"))
    if not all(values):
        raise InvalidArgument.invalid("filters", expression, "a value is empty")
    if "\0" in text:
        raise InvalidArgument.invalid("filters", expression, "a value holds a NUL character")
    if function in _PATTERNS and len(text) > LONGEST_PATTERN:
        rule = f"{function.value} compares with at most {LONGEST_PATTERN} characters, not {len(text)}"
        raise InvalidArgument.invalid("filters", expression, rule)
    if len(values) > 1 and not function.takes_many:
        raise InvalidArgument.invalid("filters", expression, f"{function.value} takes one value, not {len(values)}")
    if len(values) > MAXIMUM_VALUES:
        raise InvalidArgument.invalid("filters", expression, f"at most {MAXIMUM_VALUES} values, not {len(values)}")
    return values
