"""The largest filters that are taken: each of them is answered, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from elevon_admin.domain.filters import (
    LONGEST_PATTERN,
    MAXIMUM_EXPRESSIONS,
    MAXIMUM_VALUES,
    MAXIMUM_VALUES_IN_ALL,
    parse_filters,
)
from elevon_admin.store import execution_pages
from flyteidl.admin import common_pb2

from tests.integration.admin_executions.harness import DOMAIN, PROJECT, Admin, listing, serving

PHASES = "value_in(phase,UNDEFINED;QUEUED;RUNNING;SUCCEEDED;FAILED)"
TAGS = f"value_in(execution_tag.key,{';'.join(f't{number}' for number in range(execution_pages.MOST_TAGS))})"


@pytest.fixture
async def admin(database_url: str, tmp_path: Path) -> AsyncIterator[Admin]:
    """A service with one execution that has a tag."""
    async with serving(database_url, tmp_path) as running:
        await running.launch(await running.register(), "x", tags=["t1"])
        yield running


def values(count: int, own: str) -> str:
    return ";".join([own, *(f"x{number}" for number in range(count - 1))])


def full(field: str, own: str, beside: str = "") -> str:
    """As many values as there may be in all, as much beside them as there may be."""
    whole, rest = [MAXIMUM_VALUES] * 4, MAXIMUM_VALUES_IN_ALL - 4 * MAXIMUM_VALUES
    taken = sum(len(each.values) for each in parse_filters(beside))
    parts = [f"value_in({field},{values(count, own)})" for count in (*whole, rest - taken)]
    return "+".join([*parts, beside] if beside else parts)


def many(field: str, beside: str = "") -> str:
    """As many expressions as there may be."""
    parts = [f"ne({field},y)"] * (MAXIMUM_EXPRESSIONS - (beside.count("+") + 1 if beside else 0))
    return "+".join([*parts, beside] if beside else parts)


def pattern(field: str, letter: str) -> str:
    return f"not_like({field},{letter * LONGEST_PATTERN})+not_like({field},%{letter * (LONGEST_PATTERN - 1)})"


LARGEST: dict[str, Callable[[str, str], str]] = {
    "values": full,
    "expressions": lambda field, _: many(field),
    "bytes": lambda field, _: pattern(field, "\N{GRINNING FACE}"),
    "escapes": lambda field, _: pattern(field, "*"),
}
largest = pytest.mark.parametrize("kind", LARGEST)


@largest
async def test_executions(admin: Admin, kind: str) -> None:
    found = await admin.stub.ListExecutions(listing(filters=LARGEST[kind]("name", "x")))
    assert [each.id.name for each in found.executions] == ["x"]


@pytest.mark.parametrize(
    "filters",
    [
        full("name", "x", PHASES),
        full("workflow.name", "w", PHASES),
        full("name", "x", TAGS),
        full("name", "x", f"{TAGS}+{PHASES}"),
        many("workflow.name", PHASES),
        many("workflow.name", TAGS),
        full("execution_tag.key", "t1"),
    ],
    ids=[
        "values, phases",
        "related, phases",
        "values, tags",
        "values, both",
        "many, phases",
        "many, tags",
        "tag values",
    ],
)
@pytest.mark.parametrize("newest", [True, False])
async def test_executions_by_phase_and_tag(admin: Admin, filters: str, newest: bool) -> None:
    order: dict[str, Any] = {"sort_by": common_pb2.Sort(key="created_at")} if newest else {}
    found = await admin.stub.ListExecutions(listing(filters=filters, **order))
    assert [each.id.name for each in found.executions] == ["x"]


@largest
async def test_tasks(admin: Admin, kind: str) -> None:
    found = await admin.stub.ListTasks(listing(filters=LARGEST[kind]("name", "t")))
    assert [each.id.name for each in found.tasks] == ["t"]


@largest
async def test_names(admin: Admin, kind: str) -> None:
    filters = LARGEST[kind]("name", "t")
    request = common_pb2.NamedEntityListRequest(
        resource_type="TASK", project=PROJECT, domain=DOMAIN, limit=9, filters=filters
    )
    found = await admin.stub.ListNamedEntities(request)
    assert [each.id.name for each in found.entities] == ["t"]
