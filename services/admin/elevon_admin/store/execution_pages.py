"""Pages of executions, in a form that an index answers however many executions there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, select, union_all

from elevon_admin.domain.filters import Filter, FilterFunction
from elevon_admin.domain.paging import Page
from elevon_admin.domain.phases import WORKFLOW_PHASE_NUMBERS
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.execution_fields import EXECUTION_COLUMNS
from elevon_admin.store.execution_tables import executions
from elevon_admin.store.listing import apply_listing, passing_numbers

Scope = Sequence[ColumnElement[bool]]


def execution_page(
    columns: Sequence[Column[Any]], scope: Scope, filters: Sequence[Filter], sort: Sort | None, page: Page
) -> Select[*tuple[Any, ...]]:
    """The SELECT of a page; raises InvalidArgument as `apply_listing` does."""
    scope = [*scope, *_implied(filters)]
    query = _by_phase(columns, scope, filters, sort, page)
    if query is None:
        query = apply_listing(select(*columns).where(*scope), EXECUTION_COLUMNS, filters, sort, page)
    return query


def _implied(filters: Sequence[Filter]) -> Scope:
    """What filters by the name of a workflow or launch plan say about the execution's own columns, for their index."""
    own = {"workflow": executions.c.workflow_name, "launch_plan": executions.c.launch_plan_name}
    return [
        own[each.entity] == each.values[0]
        for each in filters
        if each.entity in own and each.field == "name" and each.function is FilterFunction.EQUAL
    ]


def _by_phase(
    columns: Sequence[Column[Any]], scope: Scope, filters: Sequence[Filter], sort: Sort | None, page: Page
) -> Select[*tuple[Any, ...]] | None:
    """The page as the union of a page for each phase, every one in the order of an index; None where it is none.

    Several phases in one condition would make the database sort all that match, or search all for the few that do.
    """
    others = [each for each in filters if each.field != "phase" or each.entity not in ("", "execution")]
    phases = set(WORKFLOW_PHASE_NUMBERS.values())
    for each in filters:
        if each not in others:
            phases.intersection_update(passing_numbers(WORKFLOW_PHASE_NUMBERS, each))
    in_order = sort is None or sort.key == "created_at"
    if len(others) == len(filters) or not in_order or len(phases) < 2 or page.limit is None:
        return None
    upto = Page(page.offset + page.limit)
    pages = []
    for phase in sorted(phases):
        of_phase = select(executions.c.id).where(*scope, executions.c.phase == phase)
        pages.append(apply_listing(of_phase, EXECUTION_COLUMNS, others, sort, upto).subquery())
    found = union_all(*(select(each.c.id) for each in pages)).subquery()
    rows = select(*columns).where(executions.c.id.in_(select(found.c.id)))
    return apply_listing(rows, EXECUTION_COLUMNS, (), sort, page)
