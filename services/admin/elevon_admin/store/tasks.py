"""Tasks in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from elevon_idl.core import v1 as core
from elevon_kit.database import Database
from sqlalchemy import Row, select

from elevon_admin.domain.entities import EntityKey, EntityScope, NewEntity, Standing, StoredTask
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.listing import Columns, Entity, apply_listing
from elevon_admin.store.registry_tables import tasks
from elevon_admin.store.versioned import TASK_FIELDS, NewRow, VersionedTable, has_any_key, in_portions, in_scope

COLUMNS = Columns("task", {"task": Entity(TASK_FIELDS)}, (tasks.c.created_at, tasks.c.id))

_SELECTED = (
    tasks.c.id,
    tasks.c.project,
    tasks.c.domain,
    tasks.c.name,
    tasks.c.version,
    tasks.c.created_at,
    tasks.c.short_description,
    tasks.c.closure,
)


class SqlTasks:
    """The TaskRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions = VersionedTable(database, tasks, core.TASK)

    async def standing(self, key: EntityKey) -> Standing:
        """See TaskRepository."""
        return await self._versions.standing(key)

    async def add(self, entity: NewEntity, compiled: core.CompiledTask) -> StoredTask:
        """See TaskRepository."""
        closure = compiled.SerializeToString()

        columns = {
            "type": compiled.template.type,
            "short_description": entity.short_description,
            "closure": closure,
        }
        row = await self._versions.add(NewRow(entity, columns))
        return StoredTask(row, entity.key, entity.created_at, entity.short_description, compiled, len(closure))

    async def get_many(self, keys: Collection[EntityKey]) -> Mapping[EntityKey, StoredTask]:
        """See TaskRepository."""
        found: dict[EntityKey, StoredTask] = {}
        async with self._database.snapshot() as connection:
            for portion in in_portions(keys):
                rows = await connection.execute(select(*_SELECTED).where(has_any_key(tasks, portion)))
                found.update((task.key, task) for task in map(_stored, rows))
        return found

    async def list(
        self, scope: EntityScope, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[StoredTask]:
        """See TaskRepository."""
        query = apply_listing(select(*_SELECTED).where(in_scope(tasks, scope)), COLUMNS, filters, sort, page)
        async with self._database.reading() as connection:
            return [_stored(row) for row in await connection.execute(query)]


def _stored(row: Row[*tuple[Any, ...]]) -> StoredTask:
    key = EntityKey(row.project, row.domain, row.name, row.version)
    compiled = core.CompiledTask.FromString(row.closure)
    return StoredTask(row.id, key, row.created_at, row.short_description, compiled, len(row.closure))
