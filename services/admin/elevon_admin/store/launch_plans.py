"""Launch plans in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from elevon_core.errors import NotFound
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.database import Database
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import ColumnElement, Row, and_, select, text, update

from elevon_admin.domain.entities import EntityKey, EntityScope, NewEntity, NewLaunchPlan, Standing, StoredLaunchPlan
from elevon_admin.domain.filters import Filter, FilterFunction
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.listing import Columns, Entity, apply_listing
from elevon_admin.store.registry_tables import ACTIVE, launch_plans, workflows
from elevon_admin.store.schedules import begin_schedule, end_schedule, launch_no_more
from elevon_admin.store.versioned import (
    LAUNCH_PLAN_FIELDS,
    WORKFLOW_FIELDS,
    NewRow,
    VersionedTable,
    has_any_key,
    has_key,
    in_portions,
    in_scope,
    looked_up,
)

COLUMNS = Columns(
    "launch_plan",
    {
        "launch_plan": Entity(LAUNCH_PLAN_FIELDS),
        "workflow": looked_up(WORKFLOW_FIELDS, launch_plans.c.workflow_id, workflows.c.id),
    },
    (launch_plans.c.created_at, launch_plans.c.id),
)

_SELECTED = (
    launch_plans.c.id,
    launch_plans.c.project,
    launch_plans.c.domain,
    launch_plans.c.name,
    launch_plans.c.version,
    launch_plans.c.created_at,
    launch_plans.c.updated_at,
    launch_plans.c.state,
    launch_plans.c.workflow_id,
    launch_plans.c.spec,
    launch_plans.c.closure,
)


class SqlLaunchPlans:
    """The LaunchPlanRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions = VersionedTable(database, launch_plans, core.LAUNCH_PLAN)

    async def standing(self, key: EntityKey) -> Standing:
        """See LaunchPlanRepository."""
        return await self._versions.standing(key)

    async def add(self, entity: NewEntity, plan: NewLaunchPlan) -> StoredLaunchPlan:
        """See LaunchPlanRepository."""
        columns = {
            "state": admin.INACTIVE,
            "schedule_type": plan.schedule_type,
            "workflow_id": plan.workflow_row,
            "spec": plan.spec.SerializeToString(),
            "closure": plan.closure.SerializeToString(),
        }
        row = await self._versions.add(NewRow(entity, columns))
        created_at = entity.created_at
        return StoredLaunchPlan(
            row, entity.key, created_at, created_at, admin.INACTIVE, plan.workflow_row, plan.spec, plan.closure
        )

    async def get_many(self, keys: Collection[EntityKey]) -> Mapping[EntityKey, StoredLaunchPlan]:
        """See LaunchPlanRepository."""
        found: dict[EntityKey, StoredLaunchPlan] = {}
        async with self._database.snapshot() as connection:
            for portion in in_portions(keys):
                rows = await connection.execute(select(*_SELECTED).where(has_any_key(launch_plans, portion)))
                found.update((plan.key, plan) for plan in map(_stored, rows))
        return found

    async def active(self, project: str, domain: str, name: str) -> StoredLaunchPlan | None:
        """See LaunchPlanRepository."""
        scope = in_scope(launch_plans, EntityScope(project, domain, name))
        query = select(*_SELECTED).where(scope, launch_plans.c.state == admin.ACTIVE)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _stored(row)

    async def activate(self, key: EntityKey, now: int) -> None:
        """See LaunchPlanRepository."""
        name = in_scope(launch_plans, EntityScope(key.project, key.domain, key.name))

        async def work(connection: AsyncConnection) -> None:
            await _lock_name(connection, key)
            activated = await _required(connection, key)
            others = name & (launch_plans.c.state == admin.ACTIVE) & (launch_plans.c.version != key.version)
            for row in (await connection.execute(select(launch_plans.c.id).where(others))).scalars():
                await end_schedule(connection, row, now, superseded=True)
            await connection.execute(update(launch_plans).where(others).values(state=admin.INACTIVE, updated_at=now))
            await _set_state(connection, key, admin.ACTIVE, now)
            if activated.schedule_type != "NONE":
                await begin_schedule(connection, activated.id, now)

        await self._database.write(work)

    async def deactivate(self, key: EntityKey, now: int) -> None:
        """See LaunchPlanRepository."""
        name = EntityScope(key.project, key.domain, key.name)

        async def work(connection: AsyncConnection) -> None:
            await _lock_name(connection, key)
            deactivated = await _required(connection, key)
            await _set_state(connection, key, admin.INACTIVE, now)
            await end_schedule(connection, deactivated.id, now, superseded=False)
            versions = select(launch_plans.c.id).where(in_scope(launch_plans, name))
            active = (await connection.execute(versions.where(launch_plans.c.state == admin.ACTIVE).limit(1))).first()
            # Where no version is left, nothing of those that were active before is wanted either.
            stopped = versions if active is None else versions.where(launch_plans.c.id == deactivated.id)
            await launch_no_more(connection, stopped, now)

        await self._database.write(work)

    async def list(
        self,
        scope: EntityScope,
        filters: Sequence[Filter],
        sort: Sort | None,
        page: Page,
        *,
        only_active: bool = False,
    ) -> Sequence[StoredLaunchPlan]:
        """See LaunchPlanRepository."""
        of_workflow = not scope.name and any(_names_workflow(each) for each in filters)
        query = select(*_SELECTED).where(_in_place(scope) if of_workflow else in_scope(launch_plans, scope))
        if only_active:
            query = query.where(text(f"launch_plans.{ACTIVE}"))
        async with self._database.reading() as connection:
            rows = await connection.execute(apply_listing(query, COLUMNS, filters, sort, page))
            return [_stored(row) for row in rows]


def _in_place(scope: EntityScope) -> ColumnElement[bool]:
    """As `in_scope`, in words that no index knows: SQLite is to look up the few launch plans of a workflow.

    Without statistics it would rather go through all launch plans of the place, because they come in order.
    """
    columns = launch_plans.c
    return and_(columns.project.concat("") == scope.project, columns.domain.concat("") == scope.domain)


def _names_workflow(expression: Filter) -> bool:
    named = expression.function in (FilterFunction.EQUAL, FilterFunction.VALUE_IN) and expression.field == "name"
    return named and expression.entity == "workflow"


async def _lock_name(connection: AsyncConnection, key: EntityKey) -> None:
    """Hold the oldest version of the name: activations of one name by several replicas take turns."""
    name = in_scope(launch_plans, EntityScope(key.project, key.domain, key.name))
    oldest = select(launch_plans.c.id).where(name).order_by(launch_plans.c.created_at, launch_plans.c.id).limit(1)
    await connection.execute(oldest.with_for_update())


async def _required(connection: AsyncConnection, key: EntityKey) -> Row[int, str]:
    query = select(launch_plans.c.id, launch_plans.c.schedule_type).where(has_key(launch_plans, key))
    found = (await connection.execute(query)).one_or_none()
    if found is None:
        raise NotFound(f"missing entity of type LAUNCH_PLAN with identifier {key}")
    return found


async def _set_state(connection: AsyncConnection, key: EntityKey, state: int, now: int) -> None:
    await connection.execute(update(launch_plans).where(has_key(launch_plans, key)).values(state=state, updated_at=now))


def _stored(row: Row[*tuple[Any, ...]]) -> StoredLaunchPlan:
    return StoredLaunchPlan(
        row.id,
        EntityKey(row.project, row.domain, row.name, row.version),
        row.created_at,
        row.updated_at,
        row.state,
        row.workflow_id,
        admin.LaunchPlanSpec.FromString(row.spec),
        admin.LaunchPlanClosure.FromString(row.closure),
    )
