"""Pages of executions, in a form that an index answers however many executions there are.

A page in the order of creation is read along one index, or along several at once whose rows the database merges: one
for each phase that is asked for, or one for each tag. Nothing is counted, and nothing is sorted but the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from elevon_core.identifiers import GENERATED_PREFIX
from elevon_idl.admin import v1 as admin
from sqlalchemy import Column, ColumnElement, Select, Table, and_, asc, desc, select, tuple_, union_all

from elevon_admin.domain.filter_values import ValueKind
from elevon_admin.domain.filters import Filter, FilterFunction, mentions
from elevon_admin.domain.paging import Page
from elevon_admin.domain.phases import TERMINAL_WORKFLOW_PHASES, WORKFLOW_PHASE_NUMBERS
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.execution_fields import EXECUTION_COLUMNS, EXECUTION_FIELDS, with_names_known, with_tags_in
from elevon_admin.store.execution_tables import execution_tags, executions
from elevon_admin.store.listing import (
    Columns,
    Entity,
    Field,
    Order,
    apply_listing,
    conditions,
    order_of,
    paged,
    passing_numbers,
    with_position,
)

Conditions = Sequence[ColumnElement[bool]]
Rows = Select[*tuple[Any, ...]]

MOST_TAGS = 50
"""Up to so many tags are read along an index each; more are looked up one execution after the other."""

MOST_REPEATED_VALUES = 5_000
"""Indexes are read one by one only if the statement, which says the filters once for each, gets no longer than this."""

DEEP = 1_000
"""From this offset on only row numbers are read up to the page, which indexes have, and whole rows for the page."""

_TAG_ENTITIES = ("execution_tag", "admin_tag")
_ALONG_TAGS = replace(
    EXECUTION_COLUMNS,
    entities={
        **EXECUTION_COLUMNS.entities,
        "execution": Entity(
            {**EXECUTION_FIELDS, "created_at": Field(execution_tags.c.created_at, ValueKind.TIMESTAMP)}
        ),
    },
    tie_break=(execution_tags.c.created_at, execution_tags.c.execution_id),
)
_earlier_tags = execution_tags.alias("earlier_tags")


@dataclass(frozen=True, slots=True)
class ExecutionScope:
    """Project and domain, perhaps a name, of the executions that are listed."""

    project: str
    domain: str
    name: str = ""

    def place(self, table: Table) -> Conditions:
        """In this project and domain."""
        return [table.c.project == self.project, table.c.domain == self.domain]

    def others(self, filters: Sequence[Filter]) -> Conditions:
        """What holds beside the place; archived executions are hidden unless a filter is about the state."""
        found = [executions.c.name == self.name] if self.name else []
        return found if mentions(filters, "state") else [*found, executions.c.state == admin.EXECUTION_ACTIVE]


def execution_page(
    columns: Sequence[Column[Any]], scope: ExecutionScope, filters: Sequence[Filter], sort: Sort | None, page: Page
) -> tuple[Rows, Order]:
    """The SELECT of a page, with positions, and the order of its rows; raises InvalidArgument as `apply_listing` does.

    The page must have a limit.
    """
    named = [each.entity for each in filters if _own_name(each)]
    implied = _implied(filters)
    if implied:
        filters = [each for each in filters if not _own_name(each)]
    listed = with_names_known(with_tags_in(EXECUTION_COLUMNS, and_(*scope.place(execution_tags))), named)
    order = order_of(listed, sort)
    rows = with_position(select(*columns), order)
    others = [*scope.others(filters), *implied]
    arms: Sequence[Rows] = ()
    if sort is None or sort.key == "created_at":
        tagged = with_names_known(_ALONG_TAGS, named)
        arms = _tag_arms(tagged, [*scope.place(execution_tags), *others], filters, order.ascending, page)
        arms = arms or _phase_arms(listed, [*scope.place(executions), *others], filters, order, page)
    if arms:
        return rows.where(executions.c.id.in_(_merged(arms, order, page))).order_by(*order.directed()), order
    here = [*scope.place(executions), *others]
    if page.after is not None or page.offset < DEEP:
        return apply_listing(rows.where(*here), listed, filters, sort, page), order
    numbers = apply_listing(select(executions.c.id).where(*here), listed, filters, sort, page).subquery()
    return rows.where(executions.c.id.in_(select(numbers.c.id))).order_by(*order.directed()), order


def _merged(arms: Sequence[Rows], order: Order, page: Page) -> Rows:
    """The row numbers of a page of what is read along several indexes at once, each in the same order.

    Told how many rows of each index can matter, PostgreSQL reads no more of it; many are better left to be merged.
    """
    direction = asc if order.ascending else desc
    keys: Sequence[ColumnElement[Any]] = (direction("created"), direction("numbered"))
    skipped = 0 if page.after is not None else page.offset
    if len(arms) > 1 and skipped < DEEP:
        most = skipped + (page.fetch or 0)
        parts = [arm.order_by(*keys).limit(most).subquery() for arm in arms]
        arms = [select(part.c.created, part.c.numbered) for part in parts]
    along = arms[0] if len(arms) == 1 else union_all(*arms)
    ordered = along.order_by(*keys).limit(page.fetch).offset(skipped or None)
    return select(ordered.subquery().c.numbered)


def _own_name(expression: Filter) -> bool:
    """Whether a filter is about the name of what was launched, which executions have in a column of their own."""
    named = expression.field == "name" and expression.function is FilterFunction.EQUAL
    return named and expression.entity in ("workflow", "launch_plan", "task")


def _implied(filters: Sequence[Filter]) -> Conditions:
    """What filters by the name of a workflow, launch plan or task say about the execution's own columns: all there is.

    Nothing if only executions that go on are asked for: these are few, and the index by phase has them together.
    """
    if not _phases(filters) & TERMINAL_WORKFLOW_PHASES:
        return []
    found = []
    for each in filter(_own_name, filters):
        name = each.values[0]
        if each.entity == "launch_plan":
            found.append(executions.c.launch_plan_name == name)
        elif each.entity == "workflow":
            found.append(executions.c.workflow_name == name)
        else:
            found += [executions.c.workflow_name == GENERATED_PREFIX + name, executions.c.task_id.is_not(None)]
    return found


def _repeatable(filters: Sequence[Filter], times: int) -> bool:
    return times * sum(len(each.values) for each in filters) <= MOST_REPEATED_VALUES


def _about_phase(expression: Filter) -> bool:
    return expression.field == "phase" and expression.entity in ("", "execution")


def _phases(filters: Sequence[Filter]) -> set[int]:
    """The phases that filters leave."""
    phases = set(WORKFLOW_PHASE_NUMBERS.values())
    for each in filter(_about_phase, filters):
        phases.intersection_update(passing_numbers(WORKFLOW_PHASE_NUMBERS, each))
    return phases


def _phase_arms(
    listed: Columns, scope: Conditions, filters: Sequence[Filter], order: Order, page: Page
) -> Sequence[Rows]:
    """The executions of each phase, if several are asked for.

    Several phases in one condition would make the database sort all that match, or search all for the few that do.
    """
    others = [each for each in filters if not _about_phase(each)]
    phases = _phases(filters)
    if len(others) == len(filters) or len(phases) < 2 or not _repeatable(others, len(phases)):
        return ()
    found = select(executions.c.created_at.label("created"), executions.c.id.label("numbered"))
    found = found.where(*scope, *conditions(listed, others))
    unpaged = replace(page, limit=None, offset=0)
    return [paged(found.where(executions.c.phase == phase), order, unpaged) for phase in sorted(phases)]


def _tag_arms(
    listed: Columns, scope: Conditions, filters: Sequence[Filter], ascending: bool, page: Page
) -> Sequence[Rows]:
    """The executions with each tag, if tags are asked for by key or value and not by a part of it."""
    about_tags = [each for each in filters if each.entity in _TAG_ENTITIES]
    tags = _wanted_tags(about_tags)
    if not tags or not _repeatable(filters, len(tags)):
        return ()
    others = [each for each in filters if each.entity not in _TAG_ENTITIES]
    order = order_of(listed, Sort("created_at", ascending))
    columns = execution_tags.c
    found = select(columns.created_at.label("created"), columns.execution_id.label("numbered"))
    found = found.join_from(execution_tags, executions, executions.c.id == columns.execution_id)
    found = found.where(*scope, *conditions(listed, others))
    if not all({"key", "value"} == set(tag) for tag in tags) or len(tags) > 1:
        found = found.where(~_has_earlier(about_tags))
    unpaged = replace(page, limit=None, offset=0)
    return [
        paged(found.where(*(columns[name] == value for name, value in tag.items())), order, unpaged) for tag in tags
    ]


def _wanted_tags(about_tags: Sequence[Filter]) -> Sequence[dict[str, str]]:
    """Keys, values or pairs of both, of which one is to match; none where filters ask for something else."""
    wanted: dict[str, tuple[str, ...]] = {}
    for each in about_tags:
        part = "key" if each.entity == "admin_tag" else each.field
        exact = each.function in (FilterFunction.EQUAL, FilterFunction.VALUE_IN)
        known = each.field == "name" if each.entity == "admin_tag" else part in ("key", "value")
        if not exact or not known or part in wanted:
            return ()
        wanted[part] = tuple(dict.fromkeys(each.values))
    found = [dict(zip(wanted, values, strict=True)) for values in product(*wanted.values())] if wanted else []
    # Expressions on different entities may be about different tags of an execution.
    mixed = len({each.entity for each in about_tags}) > 1
    return found if len(found) <= MOST_TAGS and not mixed else ()


def _has_earlier(about_tags: Sequence[Filter]) -> ColumnElement[bool]:
    """Whether the execution has another tag that matches, with a lesser key and value: each is listed once."""
    earlier, columns = _earlier_tags.c, execution_tags.c
    matching = []
    for each in about_tags:
        part = earlier.key if each.entity == "admin_tag" else earlier[each.field]
        matching.append(part.in_(each.values))
    before = tuple_(earlier.key, earlier.value) < tuple_(columns.key, columns.value)
    return select(1).where(earlier.execution_id == columns.execution_id, and_(*matching), before).exists()
