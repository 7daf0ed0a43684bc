"""Statements of pages are made once, whoever asks and wherever they are; what differs goes along as parameters."""

from __future__ import annotations

import pytest
from elevon_admin.domain.filters import parse_filters
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.execution_pages import ExecutionScope, execution_page
from elevon_admin.store.execution_tables import executions
from elevon_admin.store.kept_statements import MOST_VALUES, KeptStatements, Statement
from elevon_admin.store.listing import behind
from elevon_core.errors import InvalidArgument
from sqlalchemy.dialects import sqlite

SCOPE = ExecutionScope("p", "d")
NEWEST = Sort("created_at")
FAILED = parse_filters("eq(phase,FAILED)")


@pytest.fixture
def kept() -> KeptStatements[ExecutionScope]:
    return KeptStatements(lambda *what: execution_page((executions.c.name,), *what))


def values(statement: Statement, page: Page) -> list[object]:
    compiled = statement[0].compile(dialect=sqlite.dialect())
    parameters = compiled.construct_params(behind(page.after))
    return [parameters[name] for name in sorted(parameters) if name.startswith("after_")]


def test_readers_and_places_share_a_statement(kept: KeptStatements[ExecutionScope]) -> None:
    one = Page(100, 5_000, "one", (17, 4))
    other = Page(100, 5_000, "other", (12, 3))
    first, second = (kept.statement(SCOPE, FAILED, NEWEST, page) for page in (one, other))
    assert first is second
    assert (values(first, one), values(second, other)) == ([17, 4], [12, 3])


def test_what_changes_the_statement_makes_another(kept: KeptStatements[ExecutionScope]) -> None:
    page = Page(100)
    made = [
        kept.statement(SCOPE, FAILED, NEWEST, page),
        kept.statement(ExecutionScope("p", "e"), FAILED, NEWEST, page),
        kept.statement(SCOPE, (), NEWEST, page),
        kept.statement(SCOPE, FAILED, Sort("created_at", ascending=True), page),
        kept.statement(SCOPE, FAILED, NEWEST, Page(50)),
        kept.statement(SCOPE, FAILED, NEWEST, Page(100, 2_000)),
        kept.statement(SCOPE, FAILED, NEWEST, Page(100, 2_000, "", (17, 4))),
    ]
    assert len({id(statement) for statement in made}) == len(made)
    assert kept.statement(SCOPE, FAILED, NEWEST, page) is made[0]


def test_statements_with_many_values_are_not_kept(kept: KeptStatements[ExecutionScope]) -> None:
    few, many = (
        parse_filters(f"value_in(user,{';'.join(map(str, range(count)))})") for count in (MOST_VALUES, MOST_VALUES + 1)
    )
    assert kept.statement(SCOPE, few, NEWEST, Page(10)) is kept.statement(SCOPE, few, NEWEST, Page(10))
    assert kept.statement(SCOPE, many, NEWEST, Page(10)) is not kept.statement(SCOPE, many, NEWEST, Page(10))


def test_what_cannot_be_made_is_refused_each_time(kept: KeptStatements[ExecutionScope]) -> None:
    for _ in range(2):
        with pytest.raises(InvalidArgument, match="nothing"):
            kept.statement(SCOPE, parse_filters("eq(nothing,1)"), NEWEST, Page(10))
