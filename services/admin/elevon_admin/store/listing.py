"""Filters, order and page of a list call, applied to a SELECT."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVarTuple

from elevon_core.errors import InvalidArgument
from sqlalchemy import BigInteger, ColumnElement, Select, and_, false, literal, not_

from elevon_admin.domain.filter_values import ValueKind, parse_value
from elevon_admin.domain.filters import ENTITY_CODES, Filter, FilterFunction
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.patterns import matches, normal

Selected = TypeVarTuple("Selected")

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Field:
    """A filterable column.

    `names` is for columns that keep a number where filters speak the name: they compare as text, in Python, and the
    SELECT sees the numbers that passed.
    """

    column: ColumnElement[Any]
    kind: ValueKind = ValueKind.TEXT
    names: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """What filters may say about one entity.

    `related` turns a condition on the entity's columns into one on the listed rows, as a rule an EXISTS; None where
    the columns are part of the SELECT already. All expressions about a related entity hold for one and the same row.
    """

    fields: Mapping[str, Field]
    related: Callable[[Condition], Condition] | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """How the rows of a list call can be filtered and sorted.

    `primary` names the entity that bare fields and sort keys belong to; it must be in `entities`. `tie_break` makes
    any order total; its columns follow the direction of the sort.
    """

    primary: str
    entities: Mapping[str, Entity]
    tie_break: Sequence[ColumnElement[Any]]
    bare: Mapping[str, str] = field(default_factory=dict)
    """Bare fields that belong to another entity than the primary one: field to entity."""


def apply_listing(
    select: Select[*Selected], columns: Columns, filters: Sequence[Filter], sort: Sort | None, page: Page
) -> Select[*Selected]:
    """Add WHERE, ORDER BY, LIMIT and OFFSET; the limit is `page.fetch`, one row more than the page shows.

    Raises InvalidArgument for fields, entities, values and sort keys that `columns` does not know.
    """
    select = select.where(*conditions(columns, filters)).order_by(*_order(columns, sort))
    if page.fetch is not None:
        select = select.limit(page.fetch)
    return select.offset(literal(page.offset, BigInteger)) if page.offset else select


def conditions(columns: Columns, filters: Sequence[Filter]) -> list[Condition]:
    """One condition for the primary entity's expressions each, one for all expressions of a related entity."""
    found: list[Condition] = []
    related: dict[str, list[Condition]] = {}
    for expression in filters:
        entity_name = expression.entity or columns.bare.get(expression.field, columns.primary)
        entity = columns.entities.get(entity_name)
        if entity is None:
            raise InvalidArgument(f"'{ENTITY_CODES[entity_name]}' entity is not allowed in filters")
        target = found if entity.related is None else related.setdefault(entity_name, [])
        target.append(_condition(_field(entity, entity_name, expression), expression))
    for entity_name, inner in related.items():
        relate = columns.entities[entity_name].related
        assert relate is not None
        found.append(relate(and_(*inner)))
    return found


def _field(entity: Entity, entity_name: str, expression: Filter) -> Field:
    known = entity.fields.get(expression.field)
    if known is None:
        code = ENTITY_CODES.get(entity_name, entity_name)
        choices = ", ".join(sorted(entity.fields))
        raise InvalidArgument(f"'{code}.{expression.field[:200]}' is invalid filter (columns: {choices})")
    return known


def _order(columns: Columns, sort: Sort | None) -> list[ColumnElement[Any]]:
    if sort is None:
        return list(columns.tie_break)
    known = columns.entities[columns.primary].fields.get(sort.key)
    if known is None:
        choices = ", ".join(sorted(columns.entities[columns.primary].fields))
        raise InvalidArgument(f"invalid sort key '{sort.key[:200]}' (columns: {choices})")
    keys = [known.column, *(column for column in columns.tie_break if column is not known.column)]
    return [key.asc() if sort.ascending else key.desc() for key in keys]


_COMPARISONS: dict[FilterFunction, Callable[[Any, Any], Any]] = {
    FilterFunction.EQUAL: operator.eq,
    FilterFunction.NOT_EQUAL: operator.ne,
    FilterFunction.GREATER_THAN: operator.gt,
    FilterFunction.GREATER_OR_EQUAL: operator.ge,
    FilterFunction.LESS_THAN: operator.lt,
    FilterFunction.LESS_OR_EQUAL: operator.le,
}


def _condition(known: Field, expression: Filter) -> Condition:
    if known.names is not None:
        return _named(known, known.names, expression)
    function = expression.function
    if function in (FilterFunction.CONTAINS, FilterFunction.NOT_LIKE):
        return _pattern(known, expression)
    values = [parse_value(known.kind, expression.field, value) for value in expression.values]
    if function.takes_many:
        found: Condition = known.column.in_(values)
        return found if function is FilterFunction.VALUE_IN else not_(found)
    compared: Condition = _COMPARISONS[function](known.column, values[0])
    return compared


def _pattern(known: Field, expression: Filter) -> Condition:
    if known.kind is not ValueKind.TEXT:
        rule = f"{expression.function.value} needs a text column, {expression.field} is a {known.kind.value}"
        raise InvalidArgument.invalid("filters", expression.values[0], rule)
    if expression.function is FilterFunction.CONTAINS:
        return matches(known.column, f"%{normal(expression.values[0])}%")
    return not_(matches(known.column, expression.values[0]))


def _named(known: Field, names: Mapping[str, int], expression: Filter) -> Condition:
    """A condition on names, answered in Python: the column is one of the numbers whose names pass."""
    passing = passing_numbers(names, expression)
    if not passing:
        return false()
    return known.column.in_(passing) if len(passing) > 1 else known.column == passing[0]


def passing_numbers(names: Mapping[str, int], expression: Filter) -> list[int]:
    """The numbers whose names pass a filter, ascending."""
    return sorted({number for name, number in names.items() if _passes(name, expression)})


def _passes(name: str, expression: Filter) -> bool:
    function, values = expression.function, expression.values
    if function is FilterFunction.CONTAINS:
        return _like(name, f"%{normal(values[0])}%")
    if function is FilterFunction.NOT_LIKE:
        return not _like(name, values[0])
    if function.takes_many:
        return (name in values) == (function is FilterFunction.VALUE_IN)
    return bool(_COMPARISONS[function](name, values[0]))


def _like(text: str, pattern: str) -> bool:
    pieces = re.findall(r"\\.|.", normal(pattern), re.DOTALL)
    expression = "".join(
        ".*" if piece == "%" else "." if piece == "_" else re.escape(piece[-1] if len(piece) == 2 else piece)
        for piece in pieces
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None
