"""Descriptions of tasks and workflows in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.database import Database
from sqlalchemy import Row, select

from elevon_admin.domain.entities import EntityKey, EntityScope, Kind
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.listing import Columns, Entity, Field, apply_listing
from elevon_admin.store.registry_tables import description_entities
from elevon_admin.store.versioned import has_key, in_scope, row_fields

_FIELDS = {
    **row_fields(description_entities),
    **{
        name: Field(description_entities.c[name])
        for name in ("project", "domain", "name", "version", "short_description")
    },
}
_PRIMARY: Mapping[int, str] = {core.TASK: "task", core.WORKFLOW: "workflow", core.LAUNCH_PLAN: "launch_plan"}

_SELECTED = (
    description_entities.c.resource_type,
    description_entities.c.project,
    description_entities.c.domain,
    description_entities.c.name,
    description_entities.c.version,
    description_entities.c.body,
)


class SqlDescriptions:
    """The DescriptionRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, kind: Kind, key: EntityKey) -> admin.DescriptionEntity | None:
        """See DescriptionRepository."""
        of_kind = description_entities.c.resource_type == kind
        query = select(*_SELECTED).where(of_kind, has_key(description_entities, key))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _description(row)

    async def list(
        self, kind: Kind, scope: EntityScope, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[admin.DescriptionEntity]:
        """See DescriptionRepository."""
        primary = _PRIMARY[kind]
        columns = Columns(
            primary, {primary: Entity(_FIELDS)}, (description_entities.c.created_at, description_entities.c.id)
        )
        of_kind = description_entities.c.resource_type == kind
        query = select(*_SELECTED).where(of_kind, in_scope(description_entities, scope))
        async with self._database.reading() as connection:
            rows = await connection.execute(apply_listing(query, columns, filters, sort, page))
            return [_description(row) for row in rows]


def _description(row: Row[*tuple[Any, ...]]) -> admin.DescriptionEntity:
    description = admin.DescriptionEntity.FromString(row.body)
    key = EntityKey(row.project, row.domain, row.name, row.version)
    description.id.CopyFrom(key.identifier(row.resource_type))
    return description
