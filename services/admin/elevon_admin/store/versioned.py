"""What tasks, workflows and launch plans have in common in the database: a key, digests, a name, a description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from sqlalchemy import ColumnElement, Insert, Table, and_, cast, insert, null, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from elevon_admin.domain.entities import Digests, EntityKey, EntityScope, Kind, NewEntity, Standing
from elevon_admin.domain.filter_values import ValueKind
from elevon_admin.store.listing import Entity, Field
from elevon_admin.store.registry_tables import (
    description_entities,
    launch_plans,
    named_entities,
    projects,
    tasks,
    workflows,
)
from elevon_admin.store.schema import Nanoseconds

KEYS_AT_ONCE = 500
"""How many keys one SELECT asks for: four parameters each, far below what drivers bind."""


def has_key(table: Table, key: EntityKey) -> ColumnElement[bool]:
    """The row of one version."""
    columns = table.c
    return and_(
        columns.project == key.project,
        columns.domain == key.domain,
        columns.name == key.name,
        columns.version == key.version,
    )


def has_any_key(table: Table, keys: Iterable[EntityKey]) -> ColumnElement[bool]:
    """The rows of several versions."""
    columns = table.c
    return tuple_(columns.project, columns.domain, columns.name, columns.version).in_([tuple(key) for key in keys])


def in_scope(table: Table, scope: EntityScope) -> ColumnElement[bool]:
    """The rows of a project and domain, and of one name if the scope has one."""
    conditions = [table.c.project == scope.project, table.c.domain == scope.domain]
    if scope.name:
        conditions.append(table.c.name == scope.name)
    return and_(*conditions)


def in_portions(keys: Iterable[EntityKey]) -> Iterator[list[EntityKey]]:
    """The keys without repetitions, in lists small enough for one SELECT."""
    distinct = list(dict.fromkeys(keys))
    for start in range(0, len(distinct), KEYS_AT_ONCE):
        yield distinct[start : start + KEYS_AT_ONCE]


async def standing(database: Database, table: Table, key: EntityKey) -> Standing:
    """The state of the key's project and the digests stored under the key, in one SELECT."""
    query = (
        select(projects.c.state, table.c.request_digest, table.c.digest)
        .select_from(projects.outerjoin(table, has_key(table, key)))
        .where(projects.c.identifier == key.project)
    )
    async with database.reading() as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        return Standing(None, None)
    return Standing(row.state, None if row.digest is None else Digests(bytes(row.request_digest), bytes(row.digest)))


async def add_version(connection: AsyncConnection, table: Table, kind: Kind, entity: NewEntity, **more: Any) -> int:
    """Insert the row of a version, its name if that is new, and its description; answer the row's id."""
    values = {
        **entity.key._asdict(),
        "created_at": entity.created_at,
        "updated_at": entity.created_at,
        "request_digest": entity.digests.request,
        "digest": entity.digests.structure,
        **more,
    }
    result = await connection.execute(insert(table).values(**values).returning(table.c.id))
    row: int = result.scalar_one()
    await _add_name(connection, kind, entity)
    if entity.description is not None:
        await _add_description(connection, kind, entity, entity.description)
    return row


async def _add_name(connection: AsyncConnection, kind: Kind, entity: NewEntity) -> None:
    statement = insert_missing(connection.dialect.name, named_entities).values(
        resource_type=kind,
        project=entity.key.project,
        domain=entity.key.domain,
        name=entity.key.name,
        description="",
        state=entity.name_state,
        created_at=entity.created_at,
        updated_at=entity.created_at,
    )
    await connection.execute(statement)


async def _add_description(
    connection: AsyncConnection, kind: Kind, entity: NewEntity, description: admin.DescriptionEntity
) -> None:
    body = admin.DescriptionEntity()
    body.CopyFrom(description)
    body.ClearField("id")
    statement = insert_missing(connection.dialect.name, description_entities).values(
        resource_type=kind,
        **entity.key._asdict(),
        created_at=entity.created_at,
        updated_at=entity.created_at,
        short_description=description.short_description,
        body=body.SerializeToString(),
    )
    await connection.execute(statement)


def insert_missing(dialect: str, table: Table) -> Insert:
    """An INSERT that leaves a row that is there alone."""
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def row_fields(table: Table) -> dict[str, Field]:
    """The columns every entity has; nothing is ever deleted, so `deleted_at` is empty."""
    return {
        "id": Field(table.c.id, ValueKind.INTEGER),
        "created_at": Field(table.c.created_at, ValueKind.TIMESTAMP),
        "updated_at": Field(table.c.updated_at, ValueKind.TIMESTAMP),
        "deleted_at": Field(cast(null(), Nanoseconds), ValueKind.TIMESTAMP),
    }


def _text_fields(table: Table, *names: str) -> dict[str, Field]:
    return {name: Field(table.c[name]) for name in ("project", "domain", "name", "version", *names)}


TASK_FIELDS = {**row_fields(tasks), **_text_fields(tasks, "type", "short_description")}
"""What filters and orders may say about a task."""

WORKFLOW_FIELDS = {**row_fields(workflows), **_text_fields(workflows, "short_description")}
"""What filters and orders may say about a workflow."""

LAUNCH_PLAN_FIELDS = {
    **row_fields(launch_plans),
    **_text_fields(launch_plans, "schedule_type", "launch_condition_type"),
    "state": Field(launch_plans.c.state, ValueKind.INTEGER),
    "workflow_id": Field(launch_plans.c.workflow_id, ValueKind.INTEGER),
}
"""What filters and orders may say about a launch plan."""


def related(fields: dict[str, Field], own: ColumnElement[Any], other: ColumnElement[Any]) -> Entity:
    """An entity that a column of the listed rows points at; its expressions become one EXISTS."""
    return Entity(fields, lambda condition: select(1).where(own == other, condition).exists())
