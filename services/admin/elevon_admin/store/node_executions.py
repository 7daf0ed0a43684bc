"""Node executions in the database, for reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.database import Database
from sqlalchemy import Row, bindparam, select

from elevon_admin.domain.executions import StoredNode
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.records import ExecutionKey, NodeKey
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.bookmarks import Bookmarks
from elevon_admin.store.execution_fields import NODE_COLUMNS
from elevon_admin.store.execution_tables import executions, node_executions
from elevon_admin.store.executions import stored_literals
from elevon_admin.store.kept_statements import KeptStatements, Statement
from elevon_admin.store.listing import apply_listing, behind, order_of, with_position

READ_NODE = (
    node_executions.c.id,
    node_executions.c.node_id,
    node_executions.c.input_uri,
    node_executions.c.closure,
    node_executions.c.metadata,
)
_READ = len(READ_NODE)
_DATA = (
    node_executions.c.inputs,
    node_executions.c.outputs,
    node_executions.c.outputs_uri,
    node_executions.c.dynamic_workflow,
    node_executions.c.dynamic_workflow_uri,
    node_executions.c.dynamic_workflow_id,
)


def row_of(key: ExecutionKey) -> Any:
    """The row id of an execution, as a scalar sub-query."""
    columns = executions.c
    query = select(columns.id).where(
        columns.project == key.project, columns.domain == key.domain, columns.name == key.name
    )
    return query.scalar_subquery()


EXECUTION_ROW = (
    select(executions.c.id)
    .where(
        executions.c.project == bindparam("project"),
        executions.c.domain == bindparam("domain"),
        executions.c.name == bindparam("name"),
    )
    .scalar_subquery()
)
_GET = select(*READ_NODE, *_DATA).where(
    node_executions.c.execution_id == EXECUTION_ROW, node_executions.c.node_id == bindparam("node_id")
)
_LIST = select(*READ_NODE).where(node_executions.c.execution_id == EXECUTION_ROW)


class SqlNodeExecutions:
    """The NodeExecutionRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bookmarks = Bookmarks()

    async def get(self, key: NodeKey) -> StoredNode | None:
        """See NodeExecutionRepository."""
        parameters = {**key.execution._asdict(), "node_id": key.node_id}
        async with self._database.reading() as connection:
            row = (await connection.execute(_GET, parameters)).one_or_none()
        return None if row is None else _with_data(row, key)

    async def list(
        self,
        execution: ExecutionKey,
        filters: Sequence[Filter],
        sort: Sort | None,
        page: Page,
        *,
        parent_node: str | None = None,
        parent_task: str | None = None,
        make: Callable[[], admin.NodeExecution] = admin.NodeExecution,
    ) -> Sequence[StoredNode]:
        """See NodeExecutionRepository."""
        what = (execution, parent_node, parent_task, filters, sort)
        page = self._bookmarks.found(page, *what)
        level = Level.TOP
        parameters: dict[str, Any] = {**execution._asdict(), **behind(page.after)}
        if parent_task is not None:
            level, parameters["parent"] = Level.TASK, parent_task
        elif parent_node is not None:
            level, parameters["parent"] = Level.NODE, parent_node
        statement, order = _PAGES.statement(level, filters, sort, page)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement, parameters)).all()
        self._bookmarks.leave(page, order, rows, *what)
        return [stored_node(row, execution, make()) for row in rows]


class Level(Enum):
    """Below what the nodes are that are listed."""

    TOP = auto()
    NODE = auto()
    TASK = auto()


def _page(level: Level, filters: Sequence[Filter], sort: Sort | None, page: Page) -> Statement:
    columns, query = node_executions.c, _LIST
    if level is Level.TASK:
        query = query.where(columns.parent_task == bindparam("parent"))
    elif level is Level.NODE:
        query = query.where(columns.parent_node_id == bindparam("parent"))
    else:
        query = query.where(columns.parent_node_id.is_(None), columns.parent_task.is_(None))
    order = order_of(NODE_COLUMNS, sort)
    if level is not Level.TASK and order.columns[0] is columns.created_at:
        # PostgreSQL does not see by itself that an index goes on in order behind a column that is NULL.
        query = query.order_by(*order.directed([columns.parent_node_id]))
    return apply_listing(with_position(query, order), NODE_COLUMNS, filters, sort, page), order


_PAGES = KeptStatements(_page)


def stored_node(row: Row[*tuple[Any, ...]], execution: ExecutionKey, message: admin.NodeExecution) -> StoredNode:
    """A row that begins with the columns READ_NODE, as a node execution without its data; the message is filled.

    Columns are taken by their place: asking for them by name takes longer than all the rest.
    """
    row_id, node_id, input_uri, closure, metadata = row[:_READ]
    identifier = message.id
    identifier.node_id = node_id
    within = identifier.execution_id
    within.project, within.domain, within.name = execution
    message.input_uri = input_uri
    message.closure.MergeFromString(closure)
    message.metadata.MergeFromString(metadata)
    return StoredNode(row_id, NodeKey(execution, node_id), message)


def _with_data(row: Row[*tuple[Any, ...]], key: NodeKey) -> StoredNode:
    dynamic_id = row.dynamic_workflow_id
    return stored_node(row, key.execution, admin.NodeExecution())._replace(
        inputs=stored_literals(row.inputs, row.input_uri),
        outputs=stored_literals(row.outputs, row.outputs_uri),
        dynamic_workflow=stored_literals(row.dynamic_workflow, row.dynamic_workflow_uri),
        dynamic_workflow_id=None if dynamic_id is None else core.Identifier.FromString(dynamic_id),
    )
