"""Filters, order and page of a list call, applied to a SELECT."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVarTuple

from elevon_core.errors import InvalidArgument
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    false,
    literal,
    not_,
    true,
    tuple_,
)

from elevon_admin.domain.filter_values import ValueKind, parse_value
from elevon_admin.domain.filters import ENTITY_CODES, Filter, FilterFunction
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.patterns import like, matches, normal

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
    moved: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """Fields that another entity has, entity and field each: both entities must exist then."""
    tie_breaks: Mapping[str, Sequence[ColumnElement[Any]]] = field(default_factory=dict)
    """Sort keys whose index goes on otherwise than `tie_break`, with how it does."""
    sorts: Mapping[str, ColumnElement[Any] | None] = field(default_factory=dict)
    """Sort keys that are not the field of this name: the column; None for what all rows of a list have the same."""


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that rows come by, all in one direction; they make the order total."""

    columns: tuple[ColumnElement[Any], ...]
    ascending: bool

    @property
    def resumable(self) -> bool:
        """Whether a row's place can be told by its values: NULL has no place that both databases agree on."""
        return all(isinstance(column, Column) and not column.nullable for column in self.columns)

    def directed(self, columns: Sequence[ColumnElement[Any]] | None = None) -> list[ColumnElement[Any]]:
        """The columns, or others in their place, as ORDER BY takes them."""
        return [column.asc() if self.ascending else column.desc() for column in columns or self.columns]

    def after(self, position: Sequence[Any]) -> Condition:
        """The rows behind the one with these values, which whoever runs the statement may replace: see `behind`."""
        pairs = enumerate(zip(position, self.columns, strict=True))
        values = tuple_(*(bindparam(f"after_{n}", value, type_=column.type) for n, (value, column) in pairs))
        found: Condition = tuple_(*self.columns) > values if self.ascending else tuple_(*self.columns) < values
        return found


def apply_listing(
    select: Select[*Selected], columns: Columns, filters: Sequence[Filter], sort: Sort | None, page: Page
) -> Select[*Selected]:
    """Add WHERE, ORDER BY, LIMIT and OFFSET; the limit is `page.fetch`, one row more than the page shows.

    Raises InvalidArgument for fields, entities, values and sort keys that `columns` does not know.
    """
    order = order_of(columns, sort)
    return paged(select.where(*conditions(columns, filters)), order, page).order_by(*order.directed())


def paged(select: Select[*Selected], order: Order, page: Page) -> Select[*Selected]:
    """The page's rows: those behind `page.after` if that is known, or else those behind as many as it says."""
    if page.fetch is not None:
        select = select.limit(page.fetch)
    if page.after is not None:
        return select.where(order.after(page.after))
    return select.offset(literal(page.offset, BigInteger)) if page.offset else select


def with_position(select: Select[*Selected], order: Order) -> Select[*tuple[Any, ...]]:
    """The same with the values of the order's columns, for `position_of`."""
    return select.add_columns(*(column.label(f"position_{n}") for n, column in enumerate(order.columns)))


def behind(position: Sequence[Any] | None) -> dict[str, Any]:
    """The parameters that have a statement made with `Order.after` answer the rows behind another position."""
    return {f"after_{n}": value for n, value in enumerate(position or ())}


def position_of(row: Row[*tuple[Any, ...]], order: Order) -> tuple[Any, ...]:
    """Where a row that was selected `with_position` stands in the order."""
    return tuple(row._mapping[f"position_{n}"] for n in range(len(order.columns)))


def conditions(columns: Columns, filters: Sequence[Filter]) -> list[Condition]:
    """One condition for the primary entity's expressions each, one for all expressions of a related entity."""
    found: list[Condition] = []
    related: dict[str, list[Condition]] = {}
    for expression in filters:
        named = expression.entity or columns.primary
        entity = columns.entities.get(named)
        if entity is None:
            raise InvalidArgument(f"'{ENTITY_CODES[named]}' entity is not allowed in filters")
        if entity.related is not None:
            related.setdefault(named, [])
        holder, field_name = columns.moved.get((named, expression.field), (named, expression.field))
        entity = columns.entities[holder]
        target = found if entity.related is None else related.setdefault(holder, [])
        target.append(_condition(_field(entity, holder, field_name), expression))
    for entity_name, inner in related.items():
        relate = columns.entities[entity_name].related
        assert relate is not None
        found.append(relate(and_(true(), *inner)))
    return found


def _field(entity: Entity, entity_name: str, name: str) -> Field:
    known = entity.fields.get(name)
    if known is None:
        code = ENTITY_CODES.get(entity_name, entity_name)
        choices = ", ".join(sorted(entity.fields))
        raise InvalidArgument(f"'{code}.{name[:200]}' is invalid filter (columns: {choices})")
    return known


def order_of(columns: Columns, sort: Sort | None) -> Order:
    """The order that a list call asks for; raises InvalidArgument for a sort key that `columns` does not know."""
    if sort is None:
        return Order(tuple(columns.tie_break), ascending=True)
    first = _sorted_by(columns, sort)
    rest = columns.tie_breaks.get(sort.key, columns.tie_break)
    if first is None:
        return Order(tuple(rest), sort.ascending)
    return Order((first, *(column for column in rest if column is not first)), sort.ascending)


def _sorted_by(columns: Columns, sort: Sort) -> ColumnElement[Any] | None:
    if sort.key in columns.sorts:
        return columns.sorts[sort.key]
    fields = columns.entities[columns.primary].fields
    if sort.key not in fields:
        choices = ", ".join(sorted({*fields, *columns.sorts}))
        raise InvalidArgument(f"invalid sort key '{sort.key[:200]}' (columns: {choices})")
    return fields[sort.key].column


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
    values = [_operand(known, expression.field, value) for value in expression.values]
    if function.takes_many:
        found: Condition = known.column.in_(values)
        return found if function is FilterFunction.VALUE_IN else not_(found)
    compared: Condition = _COMPARISONS[function](known.column, values[0])
    return compared


def _operand(known: Field, field: str, text: str) -> Any:
    """What the column compares with: a number with 64 bits, which may be more than the column itself has."""
    value = parse_value(known.kind, field, text)
    return literal(value, BigInteger) if known.kind is ValueKind.INTEGER else value


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
        return like(name, f"%{normal(values[0])}%")
    if function is FilterFunction.NOT_LIKE:
        return not like(name, values[0])
    if function.takes_many:
        return (name in values) == (function is FilterFunction.VALUE_IN)
    return bool(_COMPARISONS[function](name, values[0]))
