"""Everything recorded of an execution but its literals, in three look-ups."""

from __future__ import annotations

from typing import Any

from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from sqlalchemy import Row, bindparam, select

from elevon_admin.domain.metrics_spans import History, RecordedNode, RecordedTask
from elevon_admin.domain.records import ExecutionKey, NodeKey, TaskKey
from elevon_admin.store.execution_tables import executions, node_executions, task_executions
from elevon_admin.store.executions import stored_literals

_EXECUTION = select(executions.c.id, executions.c.closure).where(
    executions.c.project == bindparam("project"),
    executions.c.domain == bindparam("domain"),
    executions.c.name == bindparam("name"),
)
_NODES = select(
    node_executions.c.id,
    node_executions.c.node_id,
    node_executions.c.parent_node_id,
    node_executions.c.parent_task,
    node_executions.c.closure,
    node_executions.c.metadata,
    node_executions.c.dynamic_workflow,
    node_executions.c.dynamic_workflow_uri,
).where(node_executions.c.execution_id == bindparam("row"))
_TASKS = select(
    task_executions.c.id,
    task_executions.c.node_id,
    task_executions.c.project,
    task_executions.c.domain,
    task_executions.c.name,
    task_executions.c.version,
    task_executions.c.retry_attempt,
    task_executions.c.closure,
).where(task_executions.c.execution_id == bindparam("row"))


class SqlHistories:
    """The HistoryRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: ExecutionKey, *, inside: bool) -> History | None:
        """See HistoryRepository."""
        async with self._database.snapshot() as connection:
            found = (await connection.execute(_EXECUTION, key._asdict())).one_or_none()
            if found is None:
                return None
            history = History(key, admin.ExecutionClosure.FromString(found.closure))
            if inside:
                row = {"row": found.id}
                history.nodes = [_node(key, each) for each in await connection.execute(_NODES, row)]
                history.tasks = [_task(key, each) for each in await connection.execute(_TASKS, row)]
            return history


def _node(key: ExecutionKey, row: Row[*tuple[Any, ...]]) -> RecordedNode:
    parent = row.parent_node_id
    if parent is None and row.parent_task is not None:
        parent = row.parent_task.partition("\n")[0]
    return RecordedNode(
        row.id,
        NodeKey(key, row.node_id),
        parent,
        admin.NodeExecutionClosure.FromString(row.closure),
        admin.NodeExecutionMetaData.FromString(row.metadata),
        stored_literals(row.dynamic_workflow, row.dynamic_workflow_uri),
    )


def _task(key: ExecutionKey, row: Row[*tuple[Any, ...]]) -> RecordedTask:
    task = TaskKey(NodeKey(key, row.node_id), row.project, row.domain, row.name, row.version, row.retry_attempt)
    return RecordedTask(row.id, task, admin.TaskExecutionClosure.FromString(row.closure))
