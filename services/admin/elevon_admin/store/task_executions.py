"""Task executions in the database, for reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Row, select

from elevon_admin.domain.executions import StoredTaskExecution
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.records import NodeKey, TaskKey
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.execution_fields import TASK_COLUMNS
from elevon_admin.store.execution_tables import node_executions, task_executions
from elevon_admin.store.executions import stored_literals
from elevon_admin.store.listing import apply_listing
from elevon_admin.store.node_executions import row_of

_READ = (
    task_executions.c.id,
    task_executions.c.execution_id,
    task_executions.c.project,
    task_executions.c.domain,
    task_executions.c.name,
    task_executions.c.version,
    task_executions.c.retry_attempt,
    task_executions.c.input_uri,
    task_executions.c.closure,
)
_DATA = (task_executions.c.inputs, task_executions.c.outputs, task_executions.c.outputs_uri)


class SqlTaskExecutions:
    """The TaskExecutionRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: TaskKey) -> StoredTaskExecution | None:
        """See TaskExecutionRepository."""
        columns = task_executions.c
        query = select(*_READ, *_DATA).where(
            columns.execution_id == row_of(key.node.execution),
            columns.node_id == key.node.node_id,
            columns.retry_attempt == key.attempt,
            columns.name == key.name,
            columns.version == key.version,
            columns.project == key.project,
            columns.domain == key.domain,
        )
        async with self._database.snapshot() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return None
            parents = await _parents(connection, [row])
        stored = _read(row, key.node, parents)
        stored["inputs"] = stored_literals(row.inputs, row.input_uri)
        stored["outputs"] = stored_literals(row.outputs, row.outputs_uri)
        return StoredTaskExecution(**stored)

    async def list(
        self, node: NodeKey, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[StoredTaskExecution]:
        """See TaskExecutionRepository."""
        columns = task_executions.c
        query = select(*_READ).where(columns.execution_id == row_of(node.execution), columns.node_id == node.node_id)
        async with self._database.snapshot() as connection:
            rows = (await connection.execute(apply_listing(query, TASK_COLUMNS, filters, sort, page))).all()
            parents = await _parents(connection, rows)
        return [StoredTaskExecution(**_read(row, node, parents)) for row in rows]


async def _parents(connection: AsyncConnection, rows: Sequence[Row[*tuple[Any, ...]]]) -> frozenset[str]:
    """The task attempts of an execution that have nodes below them."""
    if not rows:
        return frozenset()
    columns = node_executions.c
    query = select(columns.parent_task).distinct()
    query = query.where(columns.execution_id == rows[0].execution_id, columns.parent_task.is_not(None))
    return frozenset((await connection.execute(query)).scalars())


def _read(row: Row[*tuple[Any, ...]], node: NodeKey, parents: frozenset[str]) -> dict[str, Any]:
    key = TaskKey(node, row.project, row.domain, row.name, row.version, row.retry_attempt)
    return {
        "row_id": row.id,
        "key": key,
        "input_uri": row.input_uri,
        "closure": admin.TaskExecutionClosure.FromString(row.closure),
        "is_parent": key.within_execution() in parents,
    }
