"""Workflow executions in the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from elevon_core.errors import AlreadyExists, FailedPrecondition, NotFound
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.database import Database
from elevon_kit.gathering import Gathered
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Row, and_, bindparam, insert, select, update

from elevon_admin.domain.concurrency import Behavior, PlanName, Verdict, hold, refusal
from elevon_admin.domain.dispatches import Dispatch, DispatchKind
from elevon_admin.domain.executions import (
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
from elevon_admin.store.concurrency import add_waiting, occupancies, replace_older, store_abort
from elevon_admin.store.data_references import add_references, still_there
from elevon_admin.store.execution_families import store_families
from elevon_admin.store.execution_pages import ExecutionScope, execution_page
from elevon_admin.store.execution_rows import column_time, literal_columns
from elevon_admin.store.execution_tables import dispatches, execution_tags, executions, node_executions
from elevon_admin.store.kept_statements import KeptStatements, Statement
from elevon_admin.store.key_sets import KEYS, key_set, key_table, text_part
from elevon_admin.store.listing import behind
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
_READ = len(READ_EXECUTION)


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
    executions.c.doomed_at,
    executions.c.data_deleted_at,
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
        self._dialect = database.dialect
        self._add = insert_missing(database.dialect, executions).returning(
            executions.c.project, executions.c.domain, executions.c.name, executions.c.id
        )
        wanted, columns = key_table(database.dialect), executions.c
        named = (columns.project == text_part(0)) & (columns.domain == text_part(1)) & (columns.name == text_part(2))
        self._taken = select(columns.project, columns.domain, columns.name).join_from(wanted, executions, named)
        self._gathered: Gathered[NewExecution, Inserted] = Gathered(self._add_group)
        self._add_dispatches = insert(dispatches).returning(dispatches.c.execution_id, dispatches.c.id)

    async def add(self, execution: NewExecution) -> Inserted:
        """See ExecutionRepository."""
        return await self._gathered(execution)

    async def _add_group(self, new: Sequence[NewExecution]) -> Sequence[Inserted | Exception]:
        async def work(connection: AsyncConnection) -> Sequence[Inserted | Exception]:
            lost = await _without_original(connection, new)
            outcomes = iter(await self._add_some(connection, [each for each in new if id(each) not in lost]))
            return [lost[id(each)] if id(each) in lost else next(outcomes) for each in new]

        return await self._database.write(work)

    async def _add_some(
        self, connection: AsyncConnection, new: Sequence[NewExecution]
    ) -> Sequence[Inserted | Exception]:
        limited = sorted((each for each in new if each.limit is not None), key=lambda each: each.created_at)
        verdicts = await self._verdicts(connection, new, limited)
        names: set[ExecutionKey] = set()
        accepted: list[NewExecution] = []
        # One order of names for all replicas, so that none waits for another in a circle. Those with a limit get rows
        # in the order in which they take places; nobody else inserts such ones meanwhile.
        others = (each for each in new if each.limit is None)
        for execution in [*sorted(others, key=lambda each: each.key), *limited]:
            if verdicts[id(execution)] is not Verdict.REFUSE and execution.key not in names:
                names.add(execution.key)
                accepted.append(execution)
        return await self._insert(connection, new, accepted, verdicts)

    async def _verdicts(
        self, connection: AsyncConnection, new: Sequence[NewExecution], limited: Sequence[NewExecution]
    ) -> Mapping[int, Verdict]:
        """What becomes of each, by id; the names of launch plans with a limit are locked until the commit."""
        verdicts = {id(execution): Verdict.START for execution in new}
        if not limited:
            return verdicts
        places = await occupancies(connection, [execution.limit for execution in limited if execution.limit])
        rows = await connection.execute(self._taken, {KEYS: key_set([execution.key for execution in limited])})
        taken = {ExecutionKey(*row) for row in rows}
        for execution in limited:
            # Of a name that is taken the insert will tell; it takes no place.
            if execution.limit is not None and execution.key not in taken:
                taken.add(execution.key)
                verdicts[id(execution)] = places[execution.limit.plan].take(execution.limit)
        return verdicts

    async def _insert(
        self,
        connection: AsyncConnection,
        new: Sequence[NewExecution],
        accepted: Sequence[NewExecution],
        verdicts: Mapping[int, Verdict],
    ) -> Sequence[Inserted | Exception]:
        rows: dict[ExecutionKey, int] = {}
        if accepted:
            values = [_values(execution, held=verdicts[id(execution)] is Verdict.HOLD) for execution in accepted]
            found = await connection.execute(self._add, values)
            rows = {ExecutionKey(row[0], row[1], row[2]): row[3] for row in found}
        created = [execution for execution in accepted if execution.key in rows]
        tags = [tag for execution in created for tag in _tag_values(execution, rows[execution.key])]
        if tags:
            await connection.execute(insert(execution_tags), tags)
        pointing = ((rows[execution.key], place) for execution in created for place in execution.places)
        await add_references(connection, self._dialect, pointing)
        held = [execution for execution in created if verdicts[id(execution)] is Verdict.HOLD]
        started = [execution for execution in created if verdicts[id(execution)] is not Verdict.HOLD]
        inserted = await self._start(connection, started, rows) | await _hold(connection, held, rows)
        return [inserted.get(id(execution)) or _refused(execution, verdicts[id(execution)]) for execution in new]

    async def _start(
        self, connection: AsyncConnection, started: Sequence[NewExecution], rows: Mapping[ExecutionKey, int]
    ) -> dict[int, Inserted]:
        """Queue their hand-over to the engine."""
        if not started:
            return {}
        payloads = [_dispatch_values(execution, rows[execution.key]) for execution in started]
        sent = {row[0]: row[1] for row in await connection.execute(self._add_dispatches, payloads)}
        return {id(execution): _inserted(execution, rows[execution.key], sent) for execution in started}

    async def exists(self, key: ExecutionKey) -> bool:
        """See ExecutionRepository."""
        async with self._database.reading() as connection:
            return (await connection.execute(_EXISTS, key._asdict())).first() is not None

    async def get(self, key: ExecutionKey) -> StoredExecution | None:
        """See ExecutionRepository."""
        async with self._database.reading() as connection:
            row = (await connection.execute(_GET, key._asdict())).one_or_none()
        return None if row is None else stored_execution(row, admin.Execution())

    async def literals(self, key: ExecutionKey) -> ExecutionLiterals | None:
        """See ExecutionRepository."""
        async with self._database.reading() as connection:
            row = (await connection.execute(_LITERALS, key._asdict())).one_or_none()
        if row is None:
            return None
        inputs = stored_literals(row.inputs, row.inputs_uri) or StoredLiterals()
        user_inputs = stored_literals(row.user_inputs, row.user_inputs_uri)
        outputs = stored_literals(row.outputs, row.outputs_uri)
        return ExecutionLiterals(row.id, inputs, user_inputs, outputs, row.doomed_at, row.data_deleted_at)

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
        self,
        project: str,
        domain: str,
        name: str,
        filters: Sequence[Filter],
        sort: Sort | None,
        page: Page,
        make: Callable[[], admin.Execution] = admin.Execution,
    ) -> Sequence[StoredExecution]:
        """See ExecutionRepository."""
        scope = ExecutionScope(project, domain, name)
        page = self._bookmarks.found(page, scope, filters, sort)
        query, order = _PAGES.statement(scope, filters, sort, page)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query, behind(page.after))).all()
        self._bookmarks.leave(page, order, rows, scope, filters, sort)
        return [stored_execution(row, make()) for row in rows]

    async def abort(
        self, key: ExecutionKey, change: Callable[[ExecutionRecord], None], payload: bytes, cause: str, now: int
    ) -> Sequence[Dispatch]:
        """See ExecutionRepository."""

        async def work(connection: AsyncConnection) -> Sequence[Dispatch]:
            record = await _changed(connection, key, change)
            return await store_abort(connection, record, payload, cause, now)

        return await self._database.write(work)

    async def set_state(
        self, key: ExecutionKey, state: int, change: Callable[[ExecutionRecord], None], now: int
    ) -> None:
        """See ExecutionRepository."""

        async def work(connection: AsyncConnection) -> None:
            record = await _changed(connection, key, change)
            await store_families(connection, [ExecutionFamily(record)], now)
            await connection.execute(update(executions).where(executions.c.id == record.row_id).values(state=state))

        await self._database.write(work)


def _page(scope: ExecutionScope, filters: Sequence[Filter], sort: Sort | None, page: Page) -> Statement:
    return execution_page(READ_EXECUTION, scope, filters, sort, page)


_PAGES = KeptStatements(_page)


async def _changed(
    connection: AsyncConnection, key: ExecutionKey, change: Callable[[ExecutionRecord], None]
) -> ExecutionRecord:
    row = (await connection.execute(_LOCKED, key._asdict())).one_or_none()
    if row is None:
        raise NotFound(f"missing entity of type execution with identifier {key}")
    closure = admin.ExecutionClosure.FromString(row.closure)
    record = ExecutionRecord(key, row.id, closure, cluster=row.cluster, phases_seen=row.phases_seen)
    change(record)
    record.changed = True
    return record


async def _hold(
    connection: AsyncConnection, held: Sequence[NewExecution], rows: Mapping[ExecutionKey, int]
) -> dict[int, Inserted]:
    """Have them wait for a place; the newest of those that replace others has the others aborted."""
    inserted: dict[int, Inserted] = {}
    if not held:
        return inserted
    await add_waiting(connection, [(rows[execution.key], execution) for execution in held])
    newest: dict[PlanName, NewExecution] = {}
    for execution in held:
        limit = execution.limit
        inserted[id(execution)] = Inserted(rows[execution.key], [], None if limit is None else limit.plan)
        if limit is not None and limit.behavior is Behavior.REPLACE:
            newest[limit.plan] = max(newest.get(limit.plan, execution), execution, key=lambda one: rows[one.key])
    for execution in newest.values():
        if execution.limit is not None:
            row_id = rows[execution.key]
            aborts = await replace_older(connection, row_id, execution, execution.limit)
            inserted[id(execution)] = Inserted(row_id, aborts, execution.limit.plan)
    return inserted


def _refused(execution: NewExecution, verdict: Verdict) -> Exception:
    if verdict is Verdict.REFUSE and execution.limit is not None:
        return refusal(execution.limit)
    return AlreadyExists(f"execution {execution.key} already exists")


async def _without_original(connection: AsyncConnection, new: Sequence[NewExecution]) -> dict[int, Exception]:
    """Those that recover an execution whose data is about to go; others are kept until the commit."""
    wanted = {execution.recovers_row for execution in new if execution.recovers_row is not None}
    there = await still_there(connection, sorted(wanted)) if wanted else set()
    message = "the execution to recover is being deleted"
    return {id(each): FailedPrecondition(message) for each in new if each.recovers_row in wanted - there}


def _values(execution: NewExecution, *, held: bool) -> dict[str, Any]:
    spec, closure = execution.spec, execution.closure
    if held and execution.limit is not None:
        spec, closure = admin.ExecutionSpec(), admin.ExecutionClosure()
        spec.CopyFrom(execution.spec)
        closure.CopyFrom(execution.closure)
        closure.phase = core.WorkflowExecution.QUEUED
        hold(spec, execution.limit)
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
        "spec": spec.SerializeToString(),
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


def _inserted(execution: NewExecution, row_id: int, sent: Mapping[int, int]) -> Inserted:
    dispatch = Dispatch(
        sent[row_id],
        execution.key,
        DispatchKind.CREATE,
        execution.dispatch_payload,
        execution.workflow_row,
        execution.inputs.data,
        execution.inputs.uri,
    )
    return Inserted(row_id, [dispatch])


def stored_literals(data: bytes | None, uri: str | None) -> StoredLiterals | None:
    """Two columns as one value; None when both are empty."""
    return None if data is None and not uri else StoredLiterals(uri or "", data)


def stored_execution(row: Row[*tuple[Any, ...]], message: admin.Execution) -> StoredExecution:
    """A row that begins with the columns READ_EXECUTION, and the message to fill from it."""
    # Columns are taken by their place: asking for them by name takes longer than all the rest.
    row_id, project, domain, name, cluster, user, abort_cause, spec, closure = row[:_READ]
    key = ExecutionKey(project, domain, name)
    identifier = message.id
    identifier.project, identifier.domain, identifier.name = key
    message.spec.MergeFromString(spec)
    message.closure.MergeFromString(closure)
    return StoredExecution(row_id, key, message, cluster, user, abort_cause or "")
