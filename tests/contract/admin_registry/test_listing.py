"""Filters, orders and pages of the store against the same in plain Python, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from elevon_admin.domain.filter_values import ValueKind
from elevon_admin.domain.filters import Filter, FilterFunction, parse_filters
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.listing import Columns, Entity, Field, apply_listing
from elevon_admin.store.schema import Compressed, Name, Nanoseconds
from elevon_core.errors import InvalidArgument
from elevon_kit.database import Database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select
from sqlalchemy.ext.asyncio import create_async_engine

own = MetaData()
parents = Table(
    "parents", own, Column("id", Integer, primary_key=True), Column("colour", Name), Column("size", Integer)
)
things = Table(
    "things",
    own,
    Column("id", Integer, primary_key=True),
    Column("parent", Integer),
    Column("name", Name),
    Column("count", Integer),
    Column("at", Nanoseconds),
    Column("phase", Integer),
    Column("body", Compressed),
)
PHASES = {"QUEUED": 1, "RUNNING": 2, "SUCCEEDED": 3, "FAILED": 4}
NAMES = ["a", "A", "ab", "a%b", "a_b", "aXb", "b*", "[b]", "b?", "é", "z\\", "zz", None]
COLOURS = ["red", "green", "blue"]
ALL = Page(None)


@dataclass(frozen=True)
class Thing:
    id: int
    parent: int
    name: str | None
    count: int
    at: int
    phase: int


PARENTS: list[dict[str, Any]] = [
    {"id": number, "colour": COLOURS[number % 3], "size": number % 4} for number in range(1, 7)
]
THINGS = [
    Thing(number, number % 6 + 1, NAMES[number % len(NAMES)], number % 5, number * 500_000_000, number % 4 + 1)
    for number in range(1, 61)
]
COLUMNS = Columns(
    "task",
    {
        "task": Entity(
            {
                "id": Field(things.c.id, ValueKind.INTEGER),
                "name": Field(things.c.name),
                "count": Field(things.c.count, ValueKind.INTEGER),
                "at": Field(things.c.at, ValueKind.TIMESTAMP),
                "phase": Field(things.c.phase, names=PHASES),
            }
        ),
        "workflow": Entity(
            {"colour": Field(parents.c.colour), "size": Field(parents.c.size, ValueKind.INTEGER)},
            lambda condition: select(1).where(parents.c.id == things.c.parent, condition).exists(),
        ),
    },
    (things.c.id,),
    moved={("task", "colour"): ("workflow", "colour")},
)


class Store:
    """A database with the things in it, asked from code that is not asynchronous."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._database = Database(url)
        self._runner.run(self._fill(url))

    async def _fill(self, url: str) -> None:
        def fill(connection: Connection) -> None:
            own.create_all(connection)
            connection.execute(insert(parents), PARENTS)
            connection.execute(insert(things), [{**vars(thing), "body": b"body" * thing.id} for thing in THINGS])

        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(fill)
        await engine.dispose()
        await self._database.open()

    def ask(self, filters: list[Filter], sort: Sort | None = None, page: Page = ALL) -> list[int]:
        async def run() -> list[int]:
            query = apply_listing(select(things.c.id, things.c.body), COLUMNS, filters, sort, page)
            async with self._database.reading() as connection:
                rows = (await connection.execute(query)).all()
            assert all(row.body == b"body" * row.id for row in rows)
            return [row.id for row in rows]

        return self._runner.run(run())

    def close(self) -> None:
        self._runner.run(self._database.close())
        self._runner.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('listing')}/things.db"
    else:
        url = request.getfixturevalue("fresh_postgres_database")()
    filled = Store(url)
    yield filled
    filled.close()


COMPARISONS: dict[FilterFunction, Callable[[Any, Any], bool]] = {
    FilterFunction.EQUAL: operator.eq,
    FilterFunction.NOT_EQUAL: operator.ne,
    FilterFunction.GREATER_THAN: operator.gt,
    FilterFunction.GREATER_OR_EQUAL: operator.ge,
    FilterFunction.LESS_THAN: operator.lt,
    FilterFunction.LESS_OR_EQUAL: operator.le,
}


def like(text: str, pattern: str) -> bool:
    """SQL's LIKE, by trying everything."""
    if not pattern:
        return not text
    head, tail = pattern[0], pattern[1:]
    if head == "%":
        return any(like(text[start:], tail) for start in range(len(text) + 1))
    if not text:
        return False
    if head == "\\":
        return text[0] == (tail[:1] or "\\") and like(text[1:], tail[1:])
    return head in ("_", text[0]) and like(text[1:], tail)


def passes(value: Any, expression: Filter) -> bool:
    """What a filter means, column kinds aside; nothing is true of an absent value."""
    if value is None:
        return False
    values: list[Any] = list(expression.values)
    if isinstance(value, bytes | int):
        values = [_number(each) for each in values]
    elif isinstance(value, str):
        value, values = value.encode(), [each.encode() for each in values]
    function = expression.function
    if function is FilterFunction.CONTAINS:
        return like(value.decode(), f"%{_even(expression.values[0])}%")
    if function is FilterFunction.NOT_LIKE:
        return not like(value.decode(), _even(expression.values[0]))
    if function.takes_many:
        return (value in values) == (function is FilterFunction.VALUE_IN)
    return COMPARISONS[function](value, values[0])


def _even(pattern: str) -> str:
    """A lone backslash at the end stands for itself."""
    return pattern + "\\" if (len(pattern) - len(pattern.rstrip("\\"))) % 2 else pattern


def _number(text: str) -> int:
    if "T" in text:
        clock = text.partition("T")[2].rstrip("Z")
        seconds, _, fraction = clock.partition(".")
        return int(seconds[-2:]) * 10**9 + int(fraction.ljust(9, "0") or 0)
    return int(text)


def value_of(thing: Thing, entity: str, field: str) -> Any:
    if entity == "workflow" or field == "colour":
        return PARENTS[thing.parent - 1][field]
    if field == "phase":
        return next(name for name, number in PHASES.items() if number == thing.phase)
    return getattr(thing, field)


def expected(filters: list[Filter]) -> list[Thing]:
    return [
        thing for thing in THINGS if all(passes(value_of(thing, each.entity, each.field), each) for each in filters)
    ]


COMPARING = [*COMPARISONS, FilterFunction.VALUE_IN, FilterFunction.VALUE_NOT_IN]
text_values = st.sampled_from([name for name in NAMES if name]) | st.text("aAbB%_\\*?[]^-", min_size=1, max_size=4)


def expressions(entity: str, field: str, functions: list[FilterFunction], values: st.SearchStrategy[str]) -> Any:
    def build(function: FilterFunction, found: list[str]) -> Filter:
        return Filter(function, entity, field, tuple(found if function.takes_many else found[:1]))

    return st.builds(build, st.sampled_from(functions), st.lists(values, min_size=1, max_size=3))


filters = st.one_of(
    expressions("", "name", list(FilterFunction), text_values),
    expressions("task", "phase", list(FilterFunction), st.sampled_from([*PHASES, "UNKNOWN", "R%", "%ED"])),
    expressions("task", "count", COMPARING, st.integers(-1, 6).map(str)),
    expressions("", "at", COMPARING, st.integers(0, 32).map(lambda n: f"1970-01-01T00:00:{n:02}.5Z")),
    expressions("", "colour", list(FilterFunction), st.sampled_from([*COLOURS, "e", "%e%"])),
    expressions("workflow", "size", COMPARING, st.integers(0, 4).map(str)),
)
relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@relaxed
@given(found=st.lists(filters, max_size=4))
def test_filters_select_what_they_mean(store: Store, found: list[Filter]) -> None:
    assert store.ask(found) == [thing.id for thing in expected(found)]


@relaxed
@given(
    found=st.lists(filters, max_size=1),
    key=st.sampled_from(["id", "count", "at", "phase"]),
    ascending=st.booleans(),
    limit=st.integers(1, 20),
    offset=st.integers(0, 70),
)
def test_pages_of_an_order_follow_each_other(
    store: Store, found: list[Filter], key: str, ascending: bool, limit: int, offset: int
) -> None:
    in_order = sorted(expected(found), key=lambda thing: (getattr(thing, key), thing.id), reverse=not ascending)

    asked = store.ask(found, Sort(key, ascending), Page(limit, offset))

    assert asked == [thing.id for thing in in_order][offset : offset + limit + 1]


def test_without_an_order_rows_come_by_their_tie_break(store: Store) -> None:
    assert store.ask([], None, Page(3)) == [1, 2, 3, 4]


def test_expressions_on_a_related_entity_hold_for_one_row(store: Store) -> None:
    found = parse_filters("eq(workflow.colour,red)+eq(workflow.size,3)")

    assert store.ask(list(found)) == [thing.id for thing in THINGS if thing.parent == 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("eq(shape,x)", "'t.shape' is invalid filter"),
        ("eq(workflow.name,x)", "'w.name' is invalid filter"),
        ("eq(execution.name,x)", "'e' entity is not allowed in filters"),
        ("contains(count,1)", "contains needs a text column, count is a integer"),
        ("not_like(at,1%)", "not_like needs a text column"),
        ("eq(count,x)", "whole number"),
        ("gt(at,soon)", "RFC 3339"),
    ],
)
def test_what_does_not_fit_the_columns_is_refused(store: Store, text: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        store.ask(list(parse_filters(text)))
    assert words in caught.value.message


def test_orders_that_are_none_are_refused(store: Store) -> None:
    with pytest.raises(InvalidArgument, match="invalid sort key 'colour'"):
        store.ask([], Sort("colour"))


def test_an_offset_may_be_as_large_as_a_token_says(store: Store) -> None:
    assert store.ask([], None, Page(1, 2**62)) == []
