"""Names under which something was registered, and what people say about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elevon_core.errors import NotFound
from elevon_core.identifiers import GENERATED_PREFIX
from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import ColumnElement, Row, and_, or_, select, update

from elevon_admin.domain.entities import EntityScope, Kind, StoredName
from elevon_admin.domain.filter_values import ValueKind
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.listing import Columns, Entity, Field, apply_listing
from elevon_admin.store.registry_tables import named_entities
from elevon_admin.store.versioned import in_scope, row_fields

_METADATA = {
    "state": Field(named_entities.c.state, ValueKind.INTEGER),
    "description": Field(named_entities.c.description),
}
_IDENTITY = {
    **row_fields(named_entities),
    "resource_type": Field(named_entities.c.resource_type, ValueKind.INTEGER),
    "project": Field(named_entities.c.project),
    "domain": Field(named_entities.c.domain),
    "name": Field(named_entities.c.name),
}
COLUMNS = Columns(
    "entities",
    {"entities": Entity({**_IDENTITY, **_METADATA}), "named_entity_metadata": Entity({**_IDENTITY, **_METADATA})},
    (named_entities.c.name,),
)

_SELECTED = (
    named_entities.c.project,
    named_entities.c.domain,
    named_entities.c.name,
    named_entities.c.description,
    named_entities.c.state,
)


class SqlNames:
    """The NamedEntityRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, kind: Kind, scope: EntityScope) -> StoredName | None:
        """See NamedEntityRepository."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(*_SELECTED).where(_is(kind, scope)))).one_or_none()
        return None if row is None else _stored(row)

    async def update(self, kind: Kind, scope: EntityScope, metadata: admin.NamedEntityMetadata, now: int) -> None:
        """See NamedEntityRepository."""
        values: dict[str, Any] = {"state": metadata.state, "updated_at": now}
        if metadata.description:
            values["description"] = metadata.description

        async def work(connection: AsyncConnection) -> None:
            result = await connection.execute(update(named_entities).where(_is(kind, scope)).values(**values))
            if not result.rowcount:
                raise NotFound("entry not found")

        await self._database.write(work)

    async def list(
        self,
        kind: Kind,
        scope: EntityScope,
        filters: Sequence[Filter],
        sort: Sort | None,
        page: Page,
        *,
        hide_generated: bool,
    ) -> Sequence[StoredName]:
        """See NamedEntityRepository."""
        query = select(*_SELECTED).where(_is(kind, scope))
        if hide_generated:
            query = query.where(_not_generated())
        async with self._database.reading() as connection:
            rows = await connection.execute(
                apply_listing(query, COLUMNS, filters, sort or Sort("name", ascending=True), page)
            )
            return [_stored(row) for row in rows]


def _is(kind: Kind, scope: EntityScope) -> ColumnElement[bool]:
    return and_(named_entities.c.resource_type == kind, in_scope(named_entities, scope))


def _not_generated() -> ColumnElement[bool]:
    """A prefix as a range, which an index serves; text compares byte by byte."""
    following = GENERATED_PREFIX[:-1] + chr(ord(GENERATED_PREFIX[-1]) + 1)
    return or_(named_entities.c.name < GENERATED_PREFIX, named_entities.c.name >= following)


def _stored(row: Row[*tuple[Any, ...]]) -> StoredName:
    return StoredName(EntityScope(row.project, row.domain, row.name), row.description, row.state)
