"""Matchable attributes in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, select, update

from elevon_admin.domain.attributes import AttributeScope, StoredAttributes
from elevon_admin.store.attribute_tables import matchable_attributes
from elevon_admin.store.versioned import insert_missing

_COLUMNS = matchable_attributes.c
_READ = select(
    _COLUMNS.project,
    _COLUMNS.domain,
    _COLUMNS.workflow,
    _COLUMNS.launch_plan,
    _COLUMNS.resource_type,
    _COLUMNS.attributes,
)
_OF_PROJECT = _READ.where(_COLUMNS.project == bindparam("project"))


class SqlAttributes:
    """The AttributeRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_project(self, project: str) -> Sequence[StoredAttributes]:
        """See AttributeRepository."""
        async with self._database.reading() as connection:
            return [_stored(row) for row in await connection.execute(_OF_PROJECT, {"project": project})]

    async def of_type(self, resource_type: int) -> Sequence[StoredAttributes]:
        """See AttributeRepository."""
        query = _READ.where(_COLUMNS.resource_type == resource_type)
        async with self._database.reading() as connection:
            found = [_stored(row) for row in await connection.execute(query)]
        return sorted(found, key=lambda stored: (-stored.scope.priority, stored.scope))

    async def put(
        self,
        scope: AttributeScope,
        resource_type: int,
        change: Callable[[admin.MatchingAttributes | None], admin.MatchingAttributes],
        now: int,
    ) -> None:
        """See AttributeRepository."""
        row = {**scope._asdict(), "resource_type": resource_type}

        async def work(connection: AsyncConnection) -> None:
            # The row exists before it is read, so that writers of other replicas wait here whether or not it is new.
            adding = insert_missing(connection.dialect.name, matchable_attributes)
            await connection.execute(adding.values(created_at=now, updated_at=now, attributes=b"", **row))
            reading = select(_COLUMNS.attributes).where(_is(scope, resource_type)).with_for_update()
            present = (await connection.execute(reading)).scalar_one()
            changed = change(admin.MatchingAttributes.FromString(present) if present else None)
            writing = update(matchable_attributes).where(_is(scope, resource_type))
            await connection.execute(writing.values(updated_at=now, attributes=changed.SerializeToString()))

        await self._database.write(work)

    async def delete(self, scope: AttributeScope, resource_type: int) -> None:
        """See AttributeRepository."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(matchable_attributes).where(_is(scope, resource_type)))

        await self._database.write(work)


def _is(scope: AttributeScope, resource_type: int) -> ColumnElement[bool]:
    return and_(
        *(matchable_attributes.c[name] == value for name, value in scope._asdict().items()),
        _COLUMNS.resource_type == resource_type,
    )


def _stored(row: Row[*tuple[Any, ...]]) -> StoredAttributes:
    scope = AttributeScope(row.project, row.domain, row.workflow, row.launch_plan)
    return StoredAttributes(scope, row.resource_type, admin.MatchingAttributes.FromString(row.attributes))
