"""Executions with their nodes and task attempts: loaded together under lock, changed in memory, stored together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from elevon_core.errors import ElevonError
from elevon_core.portions import portions
from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from elevon_kit.gathering import Gathered
from elevon_kit.many_rows import ManyRows
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Row, Select, bindparam, func, insert, select, update

from elevon_admin.domain.event_batches import EVENTS_AT_ONCE, Families, PreparedEvent, Wanted, apply_events, wanted_rows
from elevon_admin.domain.records import (
    ExecutionFamily,
    ExecutionKey,
    ExecutionRecord,
    NodeKey,
    NodeRecord,
    TaskKey,
    TaskRecord,
)
from elevon_admin.ports import Clock
from elevon_admin.store.data_references import add_references
from elevon_admin.store.execution_rows import execution_values, node_values, task_values
from elevon_admin.store.execution_tables import executions, node_executions, task_executions
from elevon_admin.store.key_sets import KEYS, key_set, key_table, number_part, text_part

_EXECUTION_COLUMNS = (
    executions.c.id,
    executions.c.project,
    executions.c.domain,
    executions.c.name,
    executions.c.cluster,
    executions.c.phases_seen,
    executions.c.closure,
)
_NODE_COLUMNS = (
    node_executions.c.id,
    node_executions.c.execution_id,
    node_executions.c.node_id,
    node_executions.c.parent_node_id,
    node_executions.c.parent_task,
    node_executions.c.event_version,
    node_executions.c.phases_seen,
    node_executions.c.input_uri,
    node_executions.c.inputs.is_not(None).label("has_inputs"),
    node_executions.c.metadata,
    node_executions.c.closure,
)
_TASK_COLUMNS = (
    task_executions.c.id,
    task_executions.c.execution_id,
    task_executions.c.node_id,
    task_executions.c.retry_attempt,
    task_executions.c.project,
    task_executions.c.domain,
    task_executions.c.name,
    task_executions.c.version,
    task_executions.c.phase_version,
    task_executions.c.phases_seen,
    task_executions.c.input_uri,
    task_executions.c.inputs.is_not(None).label("has_inputs"),
    task_executions.c.closure,
)


def _has_execution_key() -> tuple[Any, ...]:
    columns = executions.c
    return columns.project == text_part(0), columns.domain == text_part(1), columns.name == text_part(2)


class _Statements:
    """The statements for one dialect, compiled once."""

    def __init__(self, dialect: str) -> None:
        wanted = key_table(dialect)
        execution = _has_execution_key()
        found = select(*_EXECUTION_COLUMNS).join_from(wanted, executions, execution[0] & execution[1] & execution[2])
        self.executions = found.order_by(executions.c.id).with_for_update(of=executions)
        self.references = select(executions.c.project, executions.c.domain, executions.c.name).join_from(
            wanted, executions, execution[0] & execution[1] & execution[2]
        )
        self.nodes = select(*_NODE_COLUMNS).join_from(
            wanted,
            node_executions,
            (node_executions.c.execution_id == number_part(0)) & (node_executions.c.node_id == text_part(1)),
        )
        columns = task_executions.c
        self.tasks = select(*_TASK_COLUMNS).join_from(
            wanted,
            task_executions,
            (columns.execution_id == number_part(0))
            & (columns.node_id == text_part(1))
            & (columns.retry_attempt == number_part(2))
            & (columns.name == text_part(3))
            & (columns.version == text_part(4))
            & (columns.project == text_part(5))
            & (columns.domain == text_part(6)),
        )


def _changing(table: Any, changed: Sequence[str], kept_if_null: Sequence[str]) -> Any:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in changed}
    for name in kept_if_null:
        values[name] = func.coalesce(bindparam(f"new_{name}", type_=table.c[name].type), table.c[name])
    return update(table).where(table.c.id == bindparam("row_id")).values(values)


_CHANGE_EXECUTIONS = _changing(
    executions,
    (
        "updated_at",
        "phase",
        "phases_seen",
        "started_at",
        "duration",
        "execution_updated_at",
        "cluster",
        "error_kind",
        "error_code",
        "closure",
    ),
    ("outputs", "outputs_uri"),
)
_CHANGE_NODES = _changing(
    node_executions,
    (
        "updated_at",
        "phase",
        "phases_seen",
        "started_at",
        "duration",
        "node_execution_updated_at",
        "error_kind",
        "error_code",
        "cache_status",
        "input_uri",
        "metadata",
        "closure",
    ),
    ("inputs", "outputs", "outputs_uri", "dynamic_workflow", "dynamic_workflow_uri", "dynamic_workflow_id"),
)
_CHANGE_TASKS = _changing(
    task_executions,
    (
        "updated_at",
        "phase",
        "phases_seen",
        "started_at",
        "duration",
        "task_execution_updated_at",
        "phase_version",
        "input_uri",
        "closure",
    ),
    ("inputs", "outputs", "outputs_uri"),
)
_TOUCH_NODES = _changing(node_executions, ("updated_at",), ())
_ADD_NODES = insert(node_executions)
_ADD_TASKS = insert(task_executions)


class _Writes:
    """The statements that write, for one dialect, compiled once."""

    def __init__(self) -> None:
        self.executions = ManyRows(_CHANGE_EXECUTIONS, "new_")
        self.new_nodes = ManyRows(_ADD_NODES)
        self.nodes = ManyRows(_CHANGE_NODES, "new_")
        self.touched_nodes = ManyRows(_TOUCH_NODES, "new_")
        self.new_tasks = ManyRows(_ADD_TASKS)
        self.tasks = ManyRows(_CHANGE_TASKS, "new_")


_WRITES: dict[str, _Writes] = {}


class Announcements(Protocol):
    """Writes down, together with events, what others are to be told of them."""

    async def write(
        self, connection: AsyncConnection, families: Families, applied: Sequence[PreparedEvent], now: int
    ) -> None:
        """Write it, in the transaction of the events that were applied."""
        ...

    def committed(self) -> None:
        """Learn that it is durable."""
        ...


class SqlEvents:
    """The EventRepository of a Database."""

    def __init__(self, database: Database, clock: Clock, announcements: Announcements | None = None) -> None:
        self._database = database
        self._clock = clock
        self._announcements = announcements
        self._statements = _Statements(database.dialect)
        self._gathered: Gathered[Sequence[PreparedEvent], Sequence[ElevonError | None]] = Gathered(self._record)

    async def record(self, events: Sequence[PreparedEvent]) -> Sequence[ElevonError | None]:
        """See EventRepository."""
        return await self._gathered(events)

    async def _record(self, calls: Sequence[Sequence[PreparedEvent]]) -> Sequence[Sequence[ElevonError | None]]:
        events = [prepared for call in calls for prepared in call]
        wanted = wanted_rows(events)

        async def work(connection: AsyncConnection) -> list[ElevonError | None]:
            families = await self._load(connection, wanted)
            outcomes: list[ElevonError | None] = []
            for some in portions(events, EVENTS_AT_ONCE):
                outcomes += apply_events(families, some)
                await asyncio.sleep(0)
            now = self._clock()
            await store_families(connection, families.by_execution.values(), now)
            pointing = (
                (families.of(prepared.execution).execution.row_id, place)
                for prepared, error in zip(events, outcomes, strict=True)
                if error is None
                for place in prepared.places
            )
            await add_references(connection, self._database.dialect, pointing)
            if self._announcements is not None:
                applied = [prepared for prepared, error in zip(events, outcomes, strict=True) if error is None]
                await self._announcements.write(connection, families, applied, now)
            return outcomes

        outcomes = iter(await self._database.write(work))
        if self._announcements is not None:
            self._announcements.committed()
        return [[next(outcomes) for _ in call] for call in calls]

    async def _load(self, connection: AsyncConnection, wanted: Wanted) -> Families:
        by_execution = await self._load_executions(connection, wanted)
        by_row = {family.execution.row_id: family for family in by_execution.values()}
        await self._load_nodes(connection, wanted, by_execution, by_row)
        await self._load_tasks(connection, wanted, by_execution, by_row)
        references: set[ExecutionKey] = set()
        if wanted.references:
            rows = await connection.execute(self._statements.references, {KEYS: key_set(wanted.references)})
            references = {ExecutionKey(*row) for row in rows}
        return Families(by_execution, references)

    async def _load_executions(
        self, connection: AsyncConnection, wanted: Wanted
    ) -> dict[ExecutionKey, ExecutionFamily]:
        rows = await _rows(connection, self._statements.executions, wanted.executions)
        found = (_execution(row) for row in rows)
        return {record.key: ExecutionFamily(record) for record in found}

    async def _load_nodes(
        self,
        connection: AsyncConnection,
        wanted: Wanted,
        by_execution: Mapping[ExecutionKey, ExecutionFamily],
        by_row: Mapping[int, ExecutionFamily],
    ) -> None:
        keys = [
            (by_execution[key.execution].execution.row_id, key.node_id)
            for key in wanted.nodes
            if key.execution in by_execution
        ]
        for row in await _rows(connection, self._statements.nodes, keys):
            family = by_row[row[1]]
            family.nodes[row[2]] = _node(row, family.execution.key)

    async def _load_tasks(
        self,
        connection: AsyncConnection,
        wanted: Wanted,
        by_execution: Mapping[ExecutionKey, ExecutionFamily],
        by_row: Mapping[int, ExecutionFamily],
    ) -> None:
        keys = [
            (
                by_execution[key.node.execution].execution.row_id,
                key.node.node_id,
                key.attempt,
                key.name,
                key.version,
                key.project,
                key.domain,
            )
            for key in wanted.tasks
            if key.node.execution in by_execution
        ]
        for row in await _rows(connection, self._statements.tasks, keys):
            family = by_row[row[1]]
            record = _task(row, family.execution.key)
            family.tasks[record.key] = record


async def _rows(
    connection: AsyncConnection, statement: Select[*tuple[Any, ...]], keys: Iterable[Sequence[str | int]]
) -> Sequence[Row[*tuple[Any, ...]]]:
    listed = list(keys)
    if not listed:
        return ()
    return (await connection.execute(statement, {KEYS: key_set(listed)})).all()


async def store_families(connection: AsyncConnection, families: Iterable[ExecutionFamily], now: int) -> None:
    """Write what changed, one statement for each kind of change; rows nobody touched are not written."""
    executions: list[dict[str, Any]] = []
    new_nodes: list[dict[str, Any]] = []
    nodes: list[dict[str, Any]] = []
    new_tasks: list[dict[str, Any]] = []
    tasks: list[dict[str, Any]] = []
    touched: list[dict[str, Any]] = []
    for family in families:
        row_id = family.execution.row_id
        if family.execution.changed:
            executions.append({**execution_values(family.execution, now), "row_id": row_id})
        for node in family.nodes.values():
            if node.changed:
                (new_nodes if node.row_id is None else nodes).append(node_values(node, row_id, now))
        for task in family.tasks.values():
            if task.changed:
                (new_tasks if task.row_id is None else tasks).append(task_values(task, row_id, now))
        touched += [{"updated_at": now, "row_id": node} for node in _nodes_of_changed_attempts(family)]
    writes = _WRITES.setdefault(connection.dialect.name, _Writes())
    for statement, values in (
        (writes.executions, executions),
        (writes.new_nodes, new_nodes),
        (writes.nodes, nodes),
        (writes.touched_nodes, touched),
        (writes.new_tasks, new_tasks),
        (writes.tasks, tasks),
    ):
        if values:
            await statement.execute(connection, values)


def _nodes_of_changed_attempts(family: ExecutionFamily) -> list[int]:
    """Rows of nodes that count as changed with their attempts, for those who watch, though nothing else of them is new.

    The row says by `updated_at` when it changed, the node's closure when the node did.
    """
    ids = {task.key.node.node_id for task in family.tasks.values() if task.changed}
    nodes = [family.nodes[node_id] for node_id in sorted(ids) if node_id in family.nodes]
    return [node.row_id for node in nodes if node.row_id is not None and not node.changed]


def _execution(row: Row[*tuple[Any, ...]]) -> ExecutionRecord:
    return ExecutionRecord(
        key=ExecutionKey(row.project, row.domain, row.name),
        row_id=row.id,
        closure=admin.ExecutionClosure.FromString(row.closure),
        cluster=row.cluster,
        phases_seen=row.phases_seen,
    )


def _node(row: Row[*tuple[Any, ...]], execution: ExecutionKey) -> NodeRecord:
    row_id, _, node_id, parent, parent_task, version, seen, input_uri, has_inputs, metadata, closure = row
    return NodeRecord(
        key=NodeKey(execution, node_id),
        closure=admin.NodeExecutionClosure.FromString(closure),
        metadata=admin.NodeExecutionMetaData.FromString(metadata),
        row_id=row_id,
        parent_node_id=parent,
        parent_task=parent_task,
        input_uri=input_uri,
        has_inputs=bool(has_inputs),
        event_version=version,
        phases_seen=seen,
    )


def _task(row: Row[*tuple[Any, ...]], execution: ExecutionKey) -> TaskRecord:
    row_id, _, node_id, attempt, project, domain, name, version, *rest = row
    phase_version, seen, input_uri, has_inputs, closure = rest
    return TaskRecord(
        key=TaskKey(NodeKey(execution, node_id), project, domain, name, version, attempt),
        closure=admin.TaskExecutionClosure.FromString(closure),
        row_id=row_id,
        phase_version=phase_version,
        input_uri=input_uri,
        has_inputs=bool(has_inputs),
        phases_seen=seen,
    )
