"""Places for the executions of launch plans, in the database.

Whoever gives a place away has the launch plan's name locked until the commit; executions are locked after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_kit.database import Database
from elevon_kit.gathering import Gathered
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import ColumnElement, Row, TextClause, and_, bindparam, delete, func, insert, select, text, update

from elevon_admin.domain.concurrency import (
    ConcurrencyLimit,
    Occupancy,
    PlanName,
    cause_of_replacement,
    forget_waiting,
    replaced,
)
from elevon_admin.domain.dispatches import Dispatch, DispatchKind, abort_payload
from elevon_admin.domain.execution_closure import begin_abort
from elevon_admin.domain.executions import NewExecution
from elevon_admin.domain.records import ExecutionFamily, ExecutionKey, ExecutionRecord
from elevon_admin.store.dispatches import add_dispatch, undelivered_of
from elevon_admin.store.execution_families import store_families
from elevon_admin.store.execution_tables import LIVE, executions, signals, waiting_executions
from elevon_admin.store.key_sets import KEYS, key_set, key_table, text_part
from elevon_admin.store.registry_tables import launch_plans

ADMITTED_AT_ONCE = 100
PLANS_AT_ONCE = 1_000

_NOT_ABORTING = executions.c.phase != core.WorkflowExecution.ABORTING
_OF_PLAN = and_(
    launch_plans.c.project == bindparam("project"),
    launch_plans.c.domain == bindparam("domain"),
    launch_plans.c.name == bindparam("name"),
)
_LOCK_PLAN = select(launch_plans.c.id).where(_OF_PLAN).order_by(launch_plans.c.created_at, launch_plans.c.id)
_LOCK_PLAN = _LOCK_PLAN.limit(1).with_for_update()
_LIVE = and_(executions.c.launch_plan_id.in_(select(launch_plans.c.id).where(_OF_PLAN)), text(LIVE))
_WAITING = and_(
    waiting_executions.c.project == bindparam("project"),
    waiting_executions.c.domain == bindparam("domain"),
    waiting_executions.c.launch_plan == bindparam("name"),
)
_OCCUPANCY = select(
    select(func.count()).select_from(executions).where(_LIVE).scalar_subquery().label("live"),
    select(func.count()).select_from(waiting_executions).where(_WAITING).scalar_subquery().label("waiting"),
)
_HEADS = select(waiting_executions.c.execution_id, waiting_executions.c.maximum).where(_WAITING)
_HEADS = _HEADS.order_by(waiting_executions.c.execution_id).limit(ADMITTED_AT_ONCE)
_PLANS = select(waiting_executions.c.project, waiting_executions.c.domain, waiting_executions.c.launch_plan)
_PLANS = _PLANS.distinct().limit(PLANS_AT_ONCE)
_OLDER = select(executions.c.id).where(_LIVE, _NOT_ABORTING, executions.c.id < bindparam("newer"))
_OLDER = _OLDER.order_by(executions.c.id)


class SqlWaiting:
    """The WaitingRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gathered: Gathered[tuple[PlanName, int], Sequence[Dispatch]] = Gathered(self._admit_all)
        wanted, columns = key_table(database.dialect), executions.c
        named = (columns.project == text_part(0)) & (columns.domain == text_part(1)) & (columns.name == text_part(2))
        somebody = select(1).where(
            waiting_executions.c.project == launch_plans.c.project,
            waiting_executions.c.domain == launch_plans.c.domain,
            waiting_executions.c.launch_plan == launch_plans.c.name,
        )
        self._plans_of = (
            select(launch_plans.c.project, launch_plans.c.domain, launch_plans.c.name)
            .select_from(wanted.join(executions, named).join(launch_plans, launch_plans.c.id == columns.launch_plan_id))
            .where(somebody.exists())
            .distinct()
        )

    async def plans(self) -> Sequence[PlanName]:
        """See WaitingRepository."""
        async with self._database.reading() as connection:
            return [PlanName(*row) for row in await connection.execute(_PLANS)]

    async def plans_of(self, keys: Sequence[ExecutionKey]) -> Sequence[PlanName]:
        """See WaitingRepository."""
        async with self._database.reading() as connection:
            return [PlanName(*row) for row in await connection.execute(self._plans_of, {KEYS: key_set(keys)})]

    async def admit(self, plan: PlanName, now: int) -> Sequence[Dispatch]:
        """See WaitingRepository."""
        return await self._gathered((plan, now))

    async def _admit_all(self, calls: Sequence[tuple[PlanName, int]]) -> Sequence[Sequence[Dispatch]]:
        """Calls for one launch plan that come together are one call; each answers what it has led to."""
        admitted = {plan: await self._admit_of(plan, now) for plan, now in sorted(dict(calls).items())}
        return [admitted[plan] for plan, _ in calls]

    async def _admit_of(self, plan: PlanName, now: int) -> Sequence[Dispatch]:
        async with self._database.snapshot() as connection:
            if not await _admissible(connection, plan):
                return []
        dispatches: list[Dispatch] = []
        while admitted := await self._database.write(lambda connection: _admit(connection, plan, now)):
            dispatches += admitted
        return dispatches


async def _admissible(connection: AsyncConnection, plan: PlanName) -> Sequence[int]:
    """The rows of those that get a place now."""
    heads = (await connection.execute(_HEADS, plan._asdict())).all()
    if not heads:
        return []
    occupancy = await occupancy_of(connection, plan)
    return [row.execution_id for row in heads[: occupancy.admit([row.maximum for row in heads])]]


async def _admit(connection: AsyncConnection, plan: PlanName, now: int) -> Sequence[Dispatch]:
    await lock_plan(connection, plan)
    rows = await _admissible(connection, plan)
    dispatches: list[Dispatch] = []
    for row_id in rows:
        found = (await connection.execute(_locked(executions.c.id == row_id))).one_or_none()
        payload = None if found is None else await take_back(connection, row_id)
        if found is None or payload is None:
            continue  # it has been aborted meanwhile
        await store_families(connection, [ExecutionFamily(_record(found, changed=True))], now)
        await add_dispatch(connection, row_id, DispatchKind.CREATE, payload, now)
        await _add_signals(connection, row_id, found, now)
        dispatches += await undelivered_of(connection, row_id)
    return dispatches


async def _add_signals(connection: AsyncConnection, row_id: int, found: Row[*tuple[Any, ...]], now: int) -> None:
    """Deliver once more what was set before the engine knew the execution."""
    query = select(signals.c.signal_id, signals.c.value).where(
        signals.c.execution_id == row_id, signals.c.value.is_not(None)
    )
    identifier = ExecutionKey(found.project, found.domain, found.name).identifier()
    for row in (await connection.execute(query.order_by(signals.c.id))).all():
        value = core.Literal.FromString(row.value)
        request = propeller.SetSignalRequest(execution_id=identifier, signal_id=row.signal_id, value=value)
        await add_dispatch(connection, row_id, DispatchKind.SIGNAL, request.SerializeToString(), now)


async def lock_plan(connection: AsyncConnection, plan: PlanName) -> None:
    """Keep others from giving places of a launch plan away until the commit."""
    await connection.execute(_LOCK_PLAN, plan._asdict())


async def occupancy_of(connection: AsyncConnection, plan: PlanName) -> Occupancy:
    """How the places of a launch plan are taken."""
    row = (await connection.execute(_OCCUPANCY, plan._asdict())).one()
    return Occupancy(row.live - row.waiting, row.waiting)


async def occupancies(connection: AsyncConnection, limits: Sequence[ConcurrencyLimit]) -> Mapping[PlanName, Occupancy]:
    """How the places of launch plans are taken; they are locked, always in the same order."""
    found = {}
    for plan in sorted({limit.plan for limit in limits}):
        await lock_plan(connection, plan)
        found[plan] = await occupancy_of(connection, plan)
    return found


async def add_waiting(connection: AsyncConnection, held: Sequence[tuple[int, NewExecution]]) -> None:
    """Have executions wait; each comes with its row and has a limit."""
    rows = []
    for row_id, execution in held:
        assert execution.limit is not None
        plan = execution.limit.plan
        rows.append(
            {
                "execution_id": row_id,
                "project": plan.project,
                "domain": plan.domain,
                "launch_plan": plan.name,
                "maximum": execution.limit.maximum,
                "payload": execution.dispatch_payload,
            }
        )
    await connection.execute(insert(waiting_executions), rows)


async def take_back(connection: AsyncConnection, row_id: int) -> bytes | None:
    """Have an execution, which must be locked, wait no longer; answers its payload, or None if it did not wait."""
    table = waiting_executions
    found = await connection.execute(delete(table).where(table.c.execution_id == row_id).returning(table.c.payload))
    payload = found.scalar_one_or_none()
    if payload is None:
        return None
    where = executions.c.id == row_id
    spec = admin.ExecutionSpec.FromString(
        (await connection.execute(select(executions.c.spec).where(where))).scalar_one()
    )
    forget_waiting(spec.annotations.values)
    await connection.execute(update(executions).where(where).values(spec=spec.SerializeToString()))
    return bytes(payload)


async def replace_older(
    connection: AsyncConnection, row_id: int, newer: NewExecution, limit: ConcurrencyLimit
) -> Sequence[Dispatch]:
    """Abort the oldest executions until a new one makes no more than the maximum; answers what is undelivered."""
    older = (await connection.execute(_OLDER, {**limit.plan._asdict(), "newer": row_id})).scalars().all()
    rows = replaced(older, limit.maximum)
    cause = cause_of_replacement(newer.key)
    dispatches: list[Dispatch] = []
    query = _locked(executions.c.id.in_(rows), text(LIVE), _NOT_ABORTING).order_by(executions.c.id)
    for found in (await connection.execute(query)).all():
        record = _record(found, changed=True)
        begin_abort(record, cause, newer.user)
        dispatches += await store_abort(connection, record, abort_payload(record.key, cause), cause, newer.created_at)
    return dispatches


async def store_abort(
    connection: AsyncConnection, record: ExecutionRecord, payload: bytes, cause: str, now: int
) -> Sequence[Dispatch]:
    """Write an execution that begins to be aborted; answers all that is undelivered of it."""
    await store_families(connection, [ExecutionFamily(record)], now)
    where = executions.c.id == record.row_id
    await connection.execute(update(executions).where(where).values(abort_cause=cause))
    waited = await take_back(connection, record.row_id) is not None
    kind = DispatchKind.CANCEL if waited else DispatchKind.ABORT
    await add_dispatch(connection, record.row_id, kind, payload, now)
    return await undelivered_of(connection, record.row_id)


def _locked(*condition: ColumnElement[bool] | TextClause) -> Any:
    columns = executions.c
    query = select(
        columns.id, columns.project, columns.domain, columns.name, columns.cluster, columns.phases_seen, columns.closure
    )
    return query.where(*condition).with_for_update()


def _record(row: Row[*tuple[Any, ...]], *, changed: bool) -> ExecutionRecord:
    key = ExecutionKey(row.project, row.domain, row.name)
    closure = admin.ExecutionClosure.FromString(row.closure)
    return ExecutionRecord(key, row.id, closure, row.cluster, phases_seen=row.phases_seen, changed=changed)
