"""Projects in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from elevon_core.errors import AlreadyExists, NotFound
from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database, UniqueViolation
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Row, Select, insert, select, update

from elevon_admin.domain.entities import StoredProject
from elevon_admin.domain.filter_values import ValueKind
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.listing import Columns, Entity, Field, apply_listing
from elevon_admin.store.registry_tables import projects
from elevon_admin.store.versioned import insert_missing, row_fields

COLUMNS = Columns(
    "project",
    {
        "project": Entity(
            {
                **row_fields(projects),
                "identifier": Field(projects.c.identifier),
                "name": Field(projects.c.name),
                "description": Field(projects.c.description),
                "state": Field(projects.c.state, ValueKind.INTEGER),
            }
        )
    },
    (projects.c.identifier,),
)

_SELECTED = (projects.c.identifier, projects.c.name, projects.c.description, projects.c.labels, projects.c.state)


class SqlProjects:
    """The ProjectRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, identifier: str) -> StoredProject | None:
        """See ProjectRepository."""
        async with self._database.reading() as connection:
            row = (await connection.execute(_one(identifier))).one_or_none()
        return None if row is None else _stored(row)

    async def add(self, project: StoredProject, now: int) -> None:
        """See ProjectRepository."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(projects).values(created_at=now, updated_at=now, **_values(project)))

        try:
            await self._database.write(work)
        except UniqueViolation:
            raise AlreadyExists(f"project [{project.identifier}] already exists") from None

    async def add_missing(self, additions: Sequence[StoredProject], now: int) -> None:
        """See ProjectRepository."""

        async def work(connection: AsyncConnection) -> None:
            statement = insert_missing(connection.dialect.name, projects)
            for project in additions:
                await connection.execute(statement.values(created_at=now, updated_at=now, **_values(project)))

        await self._database.write(work)

    async def update(self, identifier: str, change: Callable[[StoredProject], StoredProject], now: int) -> None:
        """See ProjectRepository."""

        async def work(connection: AsyncConnection) -> None:
            row = (await connection.execute(_one(identifier).with_for_update())).one_or_none()
            if row is None:
                raise NotFound(f"project [{identifier}] not found")
            changed = change(_stored(row))
            statement = update(projects).where(projects.c.identifier == identifier)
            await connection.execute(statement.values(updated_at=now, **_values(changed)))

        await self._database.write(work)

    async def list(
        self, filters: Sequence[Filter], sort: Sort | None, page: Page, *, hide_archived: bool
    ) -> Sequence[StoredProject]:
        """See ProjectRepository."""
        query = select(*_SELECTED)
        if hide_archived:
            query = query.where(projects.c.state != admin.Project.ARCHIVED)
        async with self._database.reading() as connection:
            rows = await connection.execute(apply_listing(query, COLUMNS, filters, sort, page))
            return [_stored(row) for row in rows]


def _one(identifier: str) -> Select[*tuple[Any, ...]]:
    return select(*_SELECTED).where(projects.c.identifier == identifier)


def _values(project: StoredProject) -> dict[str, Any]:
    return {
        "identifier": project.identifier,
        "name": project.name,
        "description": project.description,
        "labels": None if project.labels is None else project.labels.SerializeToString(),
        "state": project.state,
    }


def _stored(row: Row[*tuple[Any, ...]]) -> StoredProject:
    labels = None if row.labels is None else admin.Labels.FromString(row.labels)
    return StoredProject(row.identifier, row.name, row.description, labels, row.state)
