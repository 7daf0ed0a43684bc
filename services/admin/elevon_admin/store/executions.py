"""Workflow executions in the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from elevon_core.errors import AlreadyExists, ElevonError, NotFound
from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from sqlalchemy import Row, and_, bindparam, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from elevon_admin.domain.dispatches import Dispatch, DispatchKind
from elevon_admin.domain.executions import (
    ConcurrencyLimit,
    ExecutionLiterals,
    LaunchSituation,
    NewExecution,
    StoredExecution,
)
from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.records import ExecutionFamily, ExecutionKey, ExecutionRecord, NodeKey, StoredLiterals
from elevon_admin.domain.sorting import Sort
from elevon_admin.execution_ports import Inserted
from elevon_admin.store.bookmarks import Bookmarks
from elevon_admin.store.dispatches import add_dispatch, undelivered_of
from elevon_admin.store.execution_families import store_families
from elevon_admin.store.execution_pages import ExecutionScope, execution_page
from elevon_admin.store.execution_rows import column_time, literal_columns
from elevon_admin.store.execution_tables import LIVE, dispatches, execution_tags, executions, node_executions
from elevon_admin.store.gathering import Gathered
from elevon_admin.store.registry_tables import launch_plans
from elevon_admin.store.versioned import insert_missing

READ_EXECUTION = (
    executions.c.id,
    executions.c.project,
    executions.c.domain,
    executions.c.name,
    executions.c.cluster,
    executions.c.user,
    executions.c.abort_cause,
    executions.c.spec,
    executions.c.closure,
)


# Statements are made once: putting one together costs more than running it.
_KEY = and_(
    executions.c.project == bindparam("project"),
    executions.c.domain == bindparam("domain"),
    executions.c.name == bindparam("name"),
)
_GET = select(*READ_EXECUTION).where(_KEY)
_EXISTS = select(executions.c.id).where(_KEY)
_LITERALS = select(
    executions.c.id,
    executions.c.inputs,
    executions.c.inputs_uri,
    executions.c.user_inputs,
    executions.c.user_inputs_uri,
    executions.c.outputs,
    executions.c.outputs_uri,
).where(_KEY)
_PARENT = (
    select(node_executions.c.id, executions.c.id, executions.c.user, executions.c.spec)
    .select_from(node_executions.join(executions, node_executions.c.execution_id == executions.c.id))
    .where(_KEY, node_executions.c.node_id == bindparam("node_id"))
)
_LOCKED = (
    select(executions.c.id, executions.c.cluster, executions.c.phases_seen, executions.c.closure)
    .where(_KEY)
    .with_for_update()
)


class SqlExecutions:
    """The ExecutionRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bookmarks = Bookmarks()
        self._add = insert_missing(database.dialect, executions).returning(
            executions.c.project, executions.c.domain, executions.c.name, executions.c.id
        )
        self._gathered: Gathered[NewExecution, Inserted] = Gathered(self._add_group)
        self._add_dispatches = insert(dispatches).returning(dispatches.c.execution_id, dispatches.c.id)

    async def add(self, execution: NewExecution) -> Inserted:
        """See ExecutionRepository."""
        return await self._gathered(execution)

    async def _add_group(self, new: Sequence[NewExecution]) -> Sequence[Inserted | Exception]:
        async def work(connection: AsyncConnection) -> Sequence[Inserted | Exception]:
            refused = await _over_their_limits(connection, new)
            names: set[ExecutionKey] = set()
            accepted: list[NewExecution] = []
            for execution in sorted(new, key=lambda execution: execution.key):
                if id(execution) not in refused and execution.key not in names:
                    names.add(execution.key)
                    accepted.append(execution)
            return await self._insert(connection, new, accepted, refused)

        return await self._database.write(work)

    async def _insert(
        self,
        connection: AsyncConnection,
        new: Sequence[NewExecution],
        accepted: Sequence[NewExecution],
        refused: Mapping[int, ElevonError],
    ) -> Sequence[Inserted | Exception]:
        rows: dict[ExecutionKey, int] = {}
        sent: dict[int, int] = {}
        if accepted:
            found = await connection.execute(self._add, [_values(execution) for execution in accepted])
            rows = {ExecutionKey(row[0], row[1], row[2]): row[3] for row in found}
        created = [execution for execution in accepted if execution.key in rows]
        if created:
            payloads = [_dispatch_values(execution, rows[execution.key]) for execution in created]
            sent = {row[0]: row[1] for row in await connection.execute(self._add_dispatches, payloads)}
        tags = [tag for execution in created for tag in _tag_values(execution, rows[execution.key])]
        if tags:
            await connection.execute(insert(execution_tags), tags)
        winners = {id(execution) for execution in created}
        return [
            _inserted(execution, rows, sent)
            if id(execution) in winners
            else refused.get(id(execution)) or AlreadyExists(f"execution {execution.key} already exists")
            for execution in new
        ]

    async def exists(self, key: ExecutionKey) -> bool:
        """See ExecutionRepository."""
        async with self._database.reading() as connection:
            return (await connection.execute(_EXISTS, key._asdict())).first() is not None

    async def get(self, key: ExecutionKey) -> StoredExecution | None:
        """See ExecutionRepository."""
        async with self._database.reading() as connection:
            row = (await connection.execute(_GET, key._asdict())).one_or_none()
        return None if row is None else stored_execution(row)

    async def literals(self, key: ExecutionKey) -> ExecutionLiterals | None:
        """See ExecutionRepository."""
        async with self._database.reading() as connection:
            row = (await connection.execute(_LITERALS, key._asdict())).one_or_none()
        if row is None:
            return None
        inputs = stored_literals(row.inputs, row.inputs_uri) or StoredLiterals()
        user_inputs = stored_literals(row.user_inputs, row.user_inputs_uri)
        return ExecutionLiterals(row.id, inputs, user_inputs, stored_literals(row.outputs, row.outputs_uri))

    async def parent(self, key: NodeKey) -> LaunchSituation | None:
        """See ExecutionRepository."""
        parameters = {**key.execution._asdict(), "node_id": key.node_id}
        async with self._database.reading() as connection:
            row = (await connection.execute(_PARENT, parameters)).one_or_none()
        if row is None:
            return None
        spec = admin.ExecutionSpec.FromString(row.spec)
        label = spec.execution_cluster_label.value
        return LaunchSituation(row[0], row[1], row.user, spec.metadata.nesting, label)

    async def list(
        self, project: str, domain: str, name: str, filters: Sequence[Filter], sort: Sort | None, page: Page
    ) -> Sequence[StoredExecution]:
        """See ExecutionRepository."""
        scope = ExecutionScope(project, domain, name)
        page = self._bookmarks.found(page, scope, filters, sort)
        query, order = execution_page(READ_EXECUTION, scope, filters, sort, page)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        self._bookmarks.leave(page, order, rows, scope, filters, sort)
        return [stored_execution(row) for row in rows]

    async def abort(
        self, key: ExecutionKey, change: Callable[[ExecutionRecord], None], payload: bytes, cause: str, now: int
    ) -> Sequence[Dispatch]:
        """See ExecutionRepository."""

        async def work(connection: AsyncConnection) -> Sequence[Dispatch]:
            record = await _change(connection, key, change, now)
            where = executions.c.id == record.row_id
            await connection.execute(update(executions).where(where).values(abort_cause=cause))
            await add_dispatch(connection, record.row_id, DispatchKind.ABORT, payload, now)
            return await undelivered_of(connection, record.row_id)

        return await self._database.write(work)

    async def set_state(
        self, key: ExecutionKey, state: int, change: Callable[[ExecutionRecord], None], now: int
    ) -> None:
        """See ExecutionRepository."""

        async def work(connection: AsyncConnection) -> None:
            record = await _change(connection, key, change, now)
            await connection.execute(update(executions).where(executions.c.id == record.row_id).values(state=state))

        await self._database.write(work)


async def _change(
    connection: AsyncConnection, key: ExecutionKey, change: Callable[[ExecutionRecord], None], now: int
) -> ExecutionRecord:
    row = (await connection.execute(_LOCKED, key._asdict())).one_or_none()
    if row is None:
        raise NotFound(f"missing entity of type execution with identifier {key}")
    closure = admin.ExecutionClosure.FromString(row.closure)
    record = ExecutionRecord(key, row.id, closure, cluster=row.cluster, phases_seen=row.phases_seen)
    change(record)
    record.changed = True
    await store_families(connection, [ExecutionFamily(record)], now)
    return record


async def _over_their_limits(connection: AsyncConnection, new: Sequence[NewExecution]) -> dict[int, ElevonError]:
    """Those that their launch plan's concurrency policy refuses, by id; the plan's name is locked until the commit."""
    refused: dict[int, ElevonError] = {}
    running: dict[ConcurrencyLimit, int] = {}
    for execution in new:
        limit = execution.limit
        if limit is None:
            continue
        if limit not in running:
            running[limit] = await _unfinished(connection, limit)
        if running[limit] >= limit.maximum:
            name = limit.launch_plan
            message = f"concurrency limit ({limit.maximum}) reached for launch plan {name}; skipping execution"
            refused[id(execution)] = AlreadyExists(message)
        else:
            running[limit] += 1
    return refused


async def _unfinished(connection: AsyncConnection, limit: ConcurrencyLimit) -> int:
    columns = launch_plans.c
    plan = and_(columns.project == limit.project, columns.domain == limit.domain, columns.name == limit.launch_plan)
    oldest = select(columns.id).where(plan).order_by(columns.created_at, columns.id).limit(1)
    await connection.execute(oldest.with_for_update())
    query = select(func.count()).where(
        executions.c.launch_plan_id.in_(select(columns.id).where(plan)),
        executions.c.project == limit.project,
        executions.c.domain == limit.domain,
        text(LIVE),
    )
    return int((await connection.execute(query)).scalar_one())


def _values(execution: NewExecution) -> dict[str, Any]:
    closure = execution.closure
    return {
        **execution.key._asdict(),
        "created_at": execution.created_at,
        "updated_at": execution.created_at,
        "phase": closure.phase,
        "phases_seen": 0,
        "started_at": None,
        "duration": None,
        "state": admin.EXECUTION_ACTIVE,
        "mode": execution.spec.metadata.mode,
        "launch_entity": execution.launch_entity,
        "workflow_name": closure.workflow_id.name,
        "launch_plan_name": execution.spec.launch_plan.name if execution.task_row is None else "",
        "launch_plan_id": execution.launch_plan_row,
        "workflow_id": execution.workflow_row,
        "task_id": execution.task_row,
        "source_execution_id": execution.source_row,
        "parent_node_execution_id": execution.parent_node_row,
        "execution_created_at": column_time(closure.created_at),
        "execution_updated_at": column_time(closure.updated_at),
        "user": execution.user,
        "cluster": "",
        "abort_cause": None,
        "error_kind": None,
        "error_code": None,
        "spec": execution.spec.SerializeToString(),
        "closure": closure.SerializeToString(),
        **literal_columns("inputs", execution.inputs),
        **literal_columns("user_inputs", execution.user_inputs),
        **literal_columns("outputs", None),
    }


def _dispatch_values(execution: NewExecution, row_id: int) -> dict[str, Any]:
    return {
        "created_at": execution.created_at,
        "execution_id": row_id,
        "kind": int(DispatchKind.CREATE),
        "payload": execution.dispatch_payload,
    }


def _tag_values(execution: NewExecution, row_id: int) -> Collection[dict[str, Any]]:
    place = {"project": execution.key.project, "domain": execution.key.domain, "created_at": execution.created_at}
    return [
        {"execution_id": row_id, "key": key, "value": value, **place} for key, value in dict.fromkeys(execution.tags)
    ]


def _inserted(execution: NewExecution, rows: Mapping[ExecutionKey, int], sent: Mapping[int, int]) -> Inserted:
    row_id = rows[execution.key]
    dispatch = Dispatch(
        sent[row_id],
        execution.key,
        DispatchKind.CREATE,
        execution.dispatch_payload,
        execution.workflow_row,
        execution.inputs.data,
        execution.inputs.uri,
    )
    return Inserted(row_id, dispatch)


def stored_literals(data: bytes | None, uri: str | None) -> StoredLiterals | None:
    """Two columns as one value; None when both are empty."""
    return None if data is None and not uri else StoredLiterals(uri or "", data)


def stored_execution(row: Row[*tuple[Any, ...]]) -> StoredExecution:
    """A row with the columns READ_EXECUTION."""
    return StoredExecution(
        row_id=row.id,
        key=ExecutionKey(row.project, row.domain, row.name),
        spec=admin.ExecutionSpec.FromString(row.spec),
        closure=admin.ExecutionClosure.FromString(row.closure),
        cluster=row.cluster,
        user=row.user,
        abort_cause=row.abort_cause or "",
    )
