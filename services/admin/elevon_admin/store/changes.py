"""Executions and nodes by what has changed since, for those who watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from sqlalchemy import Table, bindparam, select, tuple_

from elevon_admin.domain.executions import StoredExecution, StoredNode
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.execution_ports import Changed
from elevon_admin.store.execution_tables import executions, node_executions
from elevon_admin.store.executions import READ_EXECUTION, stored_execution
from elevon_admin.store.key_sets import KEYS, key_set, key_table, text_part
from elevon_admin.store.node_executions import EXECUTION_ROW, READ_NODE, stored_node


def _after(table: Table, *scope: Any) -> Any:
    """What of a scope was written after a position, in the order in which it was written."""
    order = (table.c.updated_at, table.c.id)
    position = tuple_(bindparam("moment", type_=table.c.updated_at.type), bindparam("row_id", type_=table.c.id.type))
    columns = READ_EXECUTION if table is executions else READ_NODE
    query = select(*columns, table.c.updated_at).where(*scope, tuple_(*order) > position)
    return query.order_by(*order).limit(bindparam("row_limit"))


_EXECUTIONS_AFTER = _after(
    executions, executions.c.project == bindparam("project"), executions.c.domain == bindparam("domain")
)
_NODES_AFTER = _after(node_executions, node_executions.c.execution_id == EXECUTION_ROW)


class SqlChanges:
    """The ChangeRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        wanted, columns = key_table(database.dialect), executions.c
        named = (columns.project == text_part(0)) & (columns.domain == text_part(1)) & (columns.name == text_part(2))
        self._executions = select(*READ_EXECUTION, columns.updated_at).join_from(wanted, executions, named)
        self._nodes = select(*READ_NODE, node_executions.c.updated_at).join_from(
            wanted,
            node_executions,
            (node_executions.c.execution_id == EXECUTION_ROW) & (node_executions.c.node_id == text_part(0)),
        )

    async def executions(self, keys: Sequence[ExecutionKey]) -> Mapping[ExecutionKey, Changed[StoredExecution]]:
        """See ChangeRepository."""
        if not keys:
            return {}
        async with self._database.reading() as connection:
            rows = await connection.execute(self._executions, {KEYS: key_set(keys)})
            found = [Changed(row[-1], stored_execution(row, admin.Execution())) for row in rows]
        return {changed.row.key: changed for changed in found}

    async def executions_since(
        self, project: str, domain: str, position: tuple[int, int], limit: int
    ) -> Sequence[Changed[StoredExecution]]:
        """See ChangeRepository."""
        parameters = {"project": project, "domain": domain, **_position(position, limit)}
        async with self._database.reading() as connection:
            rows = await connection.execute(_EXECUTIONS_AFTER, parameters)
            return [Changed(row[-1], stored_execution(row, admin.Execution())) for row in rows]

    async def nodes(self, execution: ExecutionKey, node_ids: Sequence[str]) -> Sequence[Changed[StoredNode]]:
        """See ChangeRepository."""
        if not node_ids:
            return []
        parameters = {**execution._asdict(), KEYS: key_set([(node_id,) for node_id in node_ids])}
        async with self._database.reading() as connection:
            rows = await connection.execute(self._nodes, parameters)
            return [Changed(row[-1], stored_node(row, execution, admin.NodeExecution())) for row in rows]

    async def nodes_since(
        self, execution: ExecutionKey, position: tuple[int, int], limit: int
    ) -> Sequence[Changed[StoredNode]]:
        """See ChangeRepository."""
        parameters = {**execution._asdict(), **_position(position, limit)}
        async with self._database.reading() as connection:
            rows = await connection.execute(_NODES_AFTER, parameters)
            return [Changed(row[-1], stored_node(row, execution, admin.NodeExecution())) for row in rows]


def _position(position: tuple[int, int], limit: int) -> dict[str, int]:
    moment, row_id = position
    return {"moment": moment, "row_id": row_id, "row_limit": limit}
