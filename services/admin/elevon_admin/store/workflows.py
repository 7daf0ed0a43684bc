"""Workflows in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elevon_idl.core import v1 as core
from elevon_kit.database import Database
from sqlalchemy import ColumnElement, Row, select

from elevon_admin.domain.entities import EntityKey, EntityScope, NewEntity, Standing, StoredWorkflow, WorkflowSummary
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.listing import Columns, Entity, apply_listing
from elevon_admin.store.registry_tables import workflows
from elevon_admin.store.versioned import WORKFLOW_FIELDS, NewRow, VersionedTable, has_key, in_scope

COLUMNS = Columns("workflow", {"workflow": Entity(WORKFLOW_FIELDS)}, (workflows.c.created_at, workflows.c.id))

_NAMED = (
    workflows.c.id,
    workflows.c.project,
    workflows.c.domain,
    workflows.c.name,
    workflows.c.version,
    workflows.c.created_at,
    workflows.c.short_description,
)


class SqlWorkflows:
    """The WorkflowRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions = VersionedTable(database, workflows, core.WORKFLOW)

    async def standing(self, key: EntityKey) -> Standing:
        """See WorkflowRepository."""
        return await self._versions.standing(key)

    async def add(self, entity: NewEntity, closure: core.CompiledWorkflowClosure) -> StoredWorkflow:
        """See WorkflowRepository."""
        content = closure.SerializeToString()
        interface = closure.primary.template.interface
        columns = {
            "short_description": entity.short_description,
            "typed_interface": interface.SerializeToString(),
            "closure": content,
        }
        row = await self._versions.add(NewRow(entity, columns))
        return StoredWorkflow(row, entity.key, entity.created_at, entity.short_description, closure, len(content))

    async def get(self, key: EntityKey) -> StoredWorkflow | None:
        """See WorkflowRepository."""
        return await self._one(has_key(workflows, key))

    async def get_row(self, row: int) -> StoredWorkflow | None:
        """See WorkflowRepository."""
        return await self._one(workflows.c.id == row)

    async def list(
        self, scope: EntityScope, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[WorkflowSummary]:
        """See WorkflowRepository."""
        query = select(*_NAMED, workflows.c.typed_interface).where(in_scope(workflows, scope))
        async with self._database.reading() as connection:
            rows = await connection.execute(apply_listing(query, COLUMNS, filters, sort, page))
            return [_summary(row) for row in rows]

    async def _one(self, condition: ColumnElement[bool]) -> StoredWorkflow | None:
        query = select(*_NAMED, workflows.c.closure).where(condition)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _stored(row)


def _key(row: Row[*tuple[Any, ...]]) -> EntityKey:
    return EntityKey(row.project, row.domain, row.name, row.version)


def _stored(row: Row[*tuple[Any, ...]]) -> StoredWorkflow:
    closure = core.CompiledWorkflowClosure.FromString(row.closure)
    return StoredWorkflow(row.id, _key(row), row.created_at, row.short_description, closure, len(row.closure))


def _summary(row: Row[*tuple[Any, ...]]) -> WorkflowSummary:
    interface = core.TypedInterface.FromString(row.typed_interface)
    return WorkflowSummary(_key(row), row.created_at, row.short_description, interface)
