"""What tasks, workflows and launch plans have in common in the database: a key, digests, a name, a description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elevon_core.errors import AlreadyExists
from elevon_core.portions import portions
from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from elevon_kit.gathering import Gathered
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from elevon_kit.upserts import insert_into
from sqlalchemy import Column, ColumnElement, Select, Table, and_, bindparam, cast, null, select, tuple_

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

if TYPE_CHECKING:
    from elevon_kit.upserts import Insert

KEYS_AT_ONCE = 500
"""How many keys one SELECT asks for: four parameters each, far below what drivers bind."""


@dataclass(frozen=True, slots=True)
class NewRow:
    """A version to add; `columns` are those that its table has beyond the common ones."""

    entity: NewEntity
    columns: Mapping[str, Any]


class VersionedTable:
    """One of the tables of tasks, workflows and launch plans; calls that come together share statements."""

    def __init__(self, database: Database, table: Table, kind: Kind) -> None:
        self._database = database
        self._kind = kind
        self._standing = _standing_query(table)
        self._insert = insert_missing(database.dialect, table).returning(table.c.id, *_key_columns(table))
        self._insert_name = insert_missing(database.dialect, named_entities)
        self._insert_description = insert_missing(database.dialect, description_entities)
        self.add: Gathered[NewRow, int] = Gathered(self._add)
        """Adds a version, its name if that is new, and its description; answers the row's id, raises AlreadyExists."""

    async def standing(self, key: EntityKey) -> Standing:
        """The state of the key's project and the digests stored under the key, in one SELECT."""
        async with self._database.reading() as connection:
            row = (await connection.execute(self._standing, key._asdict())).one_or_none()
        if row is None:
            return Standing(None, None)
        state, request, structure = row
        return Standing(state, None if structure is None else Digests(bytes(request), bytes(structure)))

    async def _add(self, rows: Sequence[NewRow]) -> Sequence[int | Exception]:
        """Insert in the order of the keys, so that replicas which register the same do not block each other."""
        distinct: dict[EntityKey, NewRow] = {}
        for row in rows:
            distinct.setdefault(row.entity.key, row)
        ordered = [distinct[key] for key in sorted(distinct)]

        async def work(connection: AsyncConnection) -> dict[EntityKey, int]:
            inserted = await connection.execute(self._insert, [_row_values(row) for row in ordered])
            ids = {EntityKey(*row[1:]): int(row[0]) for row in inserted}
            await self._add_names(connection, [row.entity for row in ordered if row.entity.key in ids])
            return ids

        ids = await self._database.write(work)
        outcomes: list[int | Exception] = []
        for row in rows:
            # Only the first of equal keys in a group is the one that was inserted.
            added = ids.get(row.entity.key) if distinct[row.entity.key] is row else None
            outcomes.append(AlreadyExists("value with matching already exists") if added is None else added)
        return outcomes

    async def _add_names(self, connection: AsyncConnection, entities: Sequence[NewEntity]) -> None:
        names = {entity.key[:3]: self._name_values(entity) for entity in entities}
        if names:
            await connection.execute(self._insert_name, [names[key] for key in sorted(names)])
        described = [values for entity in entities for values in self._description_values(entity)]
        if described:
            await connection.execute(self._insert_description, described)

    def _name_values(self, entity: NewEntity) -> dict[str, Any]:
        return {
            "resource_type": self._kind,
            "project": entity.key.project,
            "domain": entity.key.domain,
            "name": entity.key.name,
            "description": "",
            "state": entity.name_state,
            "created_at": entity.created_at,
            "updated_at": entity.created_at,
        }

    def _description_values(self, entity: NewEntity) -> Iterator[dict[str, Any]]:
        if entity.description is None:
            return
        body = admin.DescriptionEntity()
        body.CopyFrom(entity.description)
        body.ClearField("id")
        yield {
            "resource_type": self._kind,
            **entity.key._asdict(),
            "created_at": entity.created_at,
            "updated_at": entity.created_at,
            "short_description": entity.short_description,
            "body": body.SerializeToString(),
        }


def _standing_query(table: Table) -> Select[*tuple[Any, ...]]:
    """Made once: putting a statement together costs more than running it."""
    key = and_(*(column == bindparam(column.name) for column in _key_columns(table)))
    query = select(projects.c.state, table.c.request_digest, table.c.digest)
    return query.select_from(projects.outerjoin(table, key)).where(projects.c.identifier == bindparam("project"))


def _row_values(row: NewRow) -> dict[str, Any]:
    entity = row.entity
    return {
        **entity.key._asdict(),
        "created_at": entity.created_at,
        "updated_at": entity.created_at,
        "request_digest": entity.digests.request,
        "digest": entity.digests.structure,
        **row.columns,
    }


def _key_columns(table: Table) -> tuple[Column[str], ...]:
    return table.c.project, table.c.domain, table.c.name, table.c.version


def has_key(table: Table, key: EntityKey) -> ColumnElement[bool]:
    """The row of one version."""
    pairs = zip(_key_columns(table), key, strict=True)
    return and_(*(column == part for column, part in pairs))


def has_any_key(table: Table, keys: Iterable[EntityKey]) -> ColumnElement[bool]:
    """The rows of several versions."""
    return tuple_(*_key_columns(table)).in_([tuple(key) for key in keys])


def in_scope(table: Table, scope: EntityScope) -> ColumnElement[bool]:
    """The rows of a project and domain, and of one name if the scope has one."""
    conditions = [table.c.project == scope.project, table.c.domain == scope.domain]
    if scope.name:
        conditions.append(table.c.name == scope.name)
    return and_(*conditions)


def in_portions(keys: Iterable[EntityKey]) -> Iterator[Sequence[EntityKey]]:
    """The keys without repetitions, in portions small enough for one SELECT."""
    return portions(list(dict.fromkeys(keys)), KEYS_AT_ONCE)


def insert_missing(dialect: str, table: Table) -> Insert:
    """An INSERT that leaves a row that is there alone."""
    return insert_into(table, dialect).on_conflict_do_nothing()


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


def looked_up(
    fields: dict[str, Field], own: ColumnElement[Any], other: ColumnElement[Any], *always: ColumnElement[bool]
) -> Entity:
    """The same where few rows match: these are found first, and then the listed rows that point at them."""
    return Entity(fields, lambda condition: own.in_(select(other).where(*always, condition)))
