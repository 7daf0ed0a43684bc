"""Schedules and their ticks in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from elevon_core.portions import portions
from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from elevon_kit.gathering import Gathered
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    SmallInteger,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from elevon_admin.domain.catch_up import Decision
from elevon_admin.domain.entities import EntityKey, EntityScope
from elevon_admin.domain.paging import Page
from elevon_admin.domain.scheduled_executions import DEACTIVATED, StoredSchedule, StoredTick, TickStatus
from elevon_admin.domain.timetables import Tick
from elevon_admin.store.execution_tables import executions
from elevon_admin.store.registry_tables import ACTIVE, launch_plans
from elevon_admin.store.schedule_tables import OPEN, WAITING, schedule_ticks, schedules
from elevon_admin.store.versioned import KEYS_AT_ONCE, in_scope, insert_missing

_PLAN = (launch_plans.c.project, launch_plans.c.domain, launch_plans.c.name, launch_plans.c.version)
_SCHEDULES = select(*schedules.c, *_PLAN, launch_plans.c.spec).join_from(
    schedules, launch_plans, schedules.c.launch_plan_id == launch_plans.c.id
)
_TICK_COLUMNS = tuple(column for column in schedule_ticks.c if column.name not in ("project", "domain", "name"))
_TICKS = select(*_TICK_COLUMNS, *_PLAN, launch_plans.c.spec).join_from(
    schedule_ticks, launch_plans, schedule_ticks.c.launch_plan_id == launch_plans.c.id
)
_LAUNCHED_AFTER_ALL = and_(
    schedule_ticks.c.status == int(TickStatus.SKIPPED),
    bindparam("new_status", type_=SmallInteger) == int(TickStatus.LAUNCHED),
)
_SETTLE = (
    update(schedule_ticks)
    .where(schedule_ticks.c.id == bindparam("row"), or_(text(WAITING), _LAUNCHED_AFTER_ALL))
    .values(status=bindparam("new_status"), reason=bindparam("new_reason"))
)


class SqlSchedules:
    """The ScheduleRepository of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._add = insert_missing(database.dialect, schedule_ticks)
        self._settling: Gathered[dict[str, Any], None] = Gathered(self._settle)

    async def due(self, now: int, limit: int) -> Sequence[StoredSchedule]:
        """See ScheduleRepository."""
        query = _SCHEDULES.where(schedules.c.due_at <= now).order_by(schedules.c.due_at, schedules.c.id).limit(limit)
        async with self._database.reading() as connection:
            return [_schedule(row) for row in await connection.execute(query)]

    async def next_due(self) -> int | None:
        """See ScheduleRepository."""
        async with self._database.reading() as connection:
            found: int | None = (await connection.execute(select(func.min(schedules.c.due_at)))).scalar_one()
            return found

    async def decide(self, schedule: StoredSchedule, decision: Decision, try_at: int) -> Sequence[StoredTick] | None:
        """See ScheduleRepository."""
        values = _tick_values(schedule, decision, try_at)

        async def work(connection: AsyncConnection) -> Sequence[StoredTick] | None:
            if not await _advance(connection, schedule, decision):
                return None
            rows: dict[int, int] = {}
            if values:
                # What is there already was decided before the clock was set back.
                added = self._add.returning(schedule_ticks.c.scheduled_at, schedule_ticks.c.id)
                rows = {row[0]: row[1] for row in await connection.execute(added, values)}
            kickoff = schedule.spec.entity_metadata.schedule.kickoff_time_input_arg
            return [
                StoredTick(
                    rows[tick.scheduled_at],
                    schedule.key,
                    tick,
                    tick.scheduled_at,
                    1,
                    TickStatus.DUE,
                    kickoff_argument=kickoff,
                )
                for tick in decision.launched
                if tick.scheduled_at in rows
            ]

        return await self._database.write(work)

    async def put_off(self, schedule: StoredSchedule, due_at: int) -> None:
        """See ScheduleRepository."""
        change = update(schedules).where(_unchanged(schedule)).values(due_at=due_at)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(change)

        await self._database.write(work)

    async def waiting(self, now: int, try_at: int, limit: int) -> Sequence[StoredTick]:
        """See ScheduleRepository."""
        columns = schedule_ticks.c
        late = select(columns.id).where(text(WAITING), columns.try_at <= now).order_by(columns.try_at, columns.id)
        async with self._database.reading() as connection:
            if (await connection.execute(late.limit(1))).first() is None:
                return ()

        async def work(connection: AsyncConnection) -> Sequence[StoredTick]:
            found = await connection.execute(late.limit(limit).with_for_update(skip_locked=True))
            rows = list(found.scalars())
            if not rows:
                return ()
            await connection.execute(update(schedule_ticks).where(columns.id.in_(rows)).values(try_at=try_at))
            query = _TICKS.where(columns.id.in_(rows)).order_by(columns.due_at, columns.id)
            return [_tick(row) for row in await connection.execute(query)]

        return await self._database.write(work)

    async def is_due(self, row: int) -> bool:
        """See ScheduleRepository."""
        query = select(schedule_ticks.c.id).where(schedule_ticks.c.id == row, text(WAITING))
        async with self._database.reading() as connection:
            return (await connection.execute(query)).first() is not None

    async def settle(self, row: int, status: TickStatus, reason: str = "") -> None:
        """See ScheduleRepository."""
        await self._settling({"row": row, "new_status": int(status), "new_reason": reason})

    async def _settle(self, settled: Sequence[dict[str, Any]]) -> Sequence[None]:
        parameters = sorted(settled, key=lambda each: int(each["row"]))

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(_SETTLE, parameters)

        await self._database.write(work)
        return [None] * len(settled)

    async def postpone(self, row: int, try_at: int, reason: str) -> None:
        """See ScheduleRepository."""
        columns = schedule_ticks.c
        change = update(schedule_ticks).where(columns.id == row, text(WAITING))

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(change.values(try_at=try_at, reason=reason, attempts=columns.attempts + 1))

        await self._database.write(work)

    async def forget(self, before: int, limit: int) -> int:
        """See ScheduleRepository."""
        columns = schedule_ticks.c
        old = select(columns.id).where(columns.due_at < before, columns.status != int(TickStatus.DUE)).limit(limit)

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(schedule_ticks).where(columns.id.in_(old)))).rowcount

        return await self._database.write(work)

    async def schedules(self, scope: EntityScope, page: Page) -> Sequence[StoredSchedule]:
        """See ScheduleRepository."""
        # Only active versions have open schedules; saying so lets SQLite pass over the others.
        query = _SCHEDULES.where(in_scope(launch_plans, scope), text(f"launch_plans.{ACTIVE}"), text(OPEN))
        query = query.order_by(launch_plans.c.name).limit(page.fetch).offset(page.offset)
        async with self._database.reading() as connection:
            return [_schedule(row) for row in await connection.execute(query)]

    async def ticks(self, scope: EntityScope, statuses: Collection[TickStatus], page: Page) -> Sequence[StoredTick]:
        """See ScheduleRepository."""
        columns = schedule_ticks.c
        query = _TICKS.where(in_scope(schedule_ticks, scope))
        if statuses:
            query = query.where(columns.status.in_([int(status) for status in statuses]))
        query = query.order_by(columns.due_at.desc(), columns.id.desc()).limit(page.fetch).offset(page.offset)
        async with self._database.reading() as connection:
            return [_tick(row) for row in await connection.execute(query)]


async def begin_schedule(connection: AsyncConnection, plan_row: int, now: int) -> None:
    """Let the schedule of a version begin, unless it has begun and not ended."""
    found = await connection.execute(select(schedules.c.id).where(schedules.c.launch_plan_id == plan_row, text(OPEN)))
    if found.first() is not None:
        return
    values = {
        "launch_plan_id": plan_row,
        "activated_at": now,
        "ended_at": None,
        "superseded": False,
        "decided_until": now,
        "due_at": now,
    }
    await connection.execute(insert(schedules), [values])


async def end_schedule(connection: AsyncConnection, plan_row: int, now: int, *, superseded: bool) -> None:
    """Let the schedule of a version end, if it has one; the scheduler decides about what was due before."""
    change = update(schedules).where(schedules.c.launch_plan_id == plan_row, text(OPEN))
    await connection.execute(change.values(ended_at=now, superseded=superseded, due_at=now))


async def launch_no_more(connection: AsyncConnection, plan_rows: Select[int], now: int) -> None:
    """Let nothing more be launched of versions whose schedules have ended.

    What was due before and is not decided, and what is decided and not launched, is skipped, but for what was launched
    by somebody who had no time to say so.
    """
    ended = and_(schedules.c.launch_plan_id.in_(plan_rows), schedules.c.ended_at.is_not(None))
    # The moment is changed for those who are deciding: they see that theirs is not the row they have read.
    await connection.execute(update(schedules).where(ended).values(superseded=False, due_at=now))
    # After the schedules, whose rows make decisions that are being written finish first.
    waiting = and_(schedule_ticks.c.launch_plan_id.in_(plan_rows), text(WAITING))
    found = [_tick(row) for row in await connection.execute(_TICKS.where(waiting))]
    for portion in portions(found, KEYS_AT_ONCE):
        launched = schedule_ticks.c.id.in_(await _launched(connection, portion))
        await connection.execute(update(schedule_ticks).where(launched).values(_values(TickStatus.LAUNCHED, "")))
    await connection.execute(update(schedule_ticks).where(waiting).values(_values(TickStatus.SKIPPED, DEACTIVATED)))


async def _launched(connection: AsyncConnection, ticks: Sequence[StoredTick]) -> list[int]:
    """The rows of those ticks whose executions exist."""
    rows = {tick.execution.name: tick.row for tick in ticks}
    place, columns = ticks[0].execution, executions.c
    here = and_(columns.project == place.project, columns.domain == place.domain, columns.name.in_(rows))
    return [rows[name] for name in await connection.scalars(select(columns.name).where(here))]


def _values(status: TickStatus, reason: str) -> dict[str, Any]:
    return {"status": int(status), "reason": reason}


async def _advance(connection: AsyncConnection, schedule: StoredSchedule, decision: Decision) -> bool:
    """Move the schedule on unless somebody else has; whether it was moved."""
    unchanged = _unchanged(schedule)
    ended = schedule.ended_at is not None and decision.decided_until >= schedule.ended_at
    if ended:
        return bool((await connection.execute(delete(schedules).where(unchanged))).rowcount)
    change = update(schedules).where(unchanged)
    moved = change.values(decided_until=decision.decided_until, due_at=decision.next_due_at)
    return bool((await connection.execute(moved)).rowcount)


def _unchanged(schedule: StoredSchedule) -> ColumnElement[bool]:
    same_end = schedules.c.ended_at.is_(None) if schedule.ended_at is None else schedules.c.ended_at.is_not(None)
    return and_(
        schedules.c.id == schedule.row,
        schedules.c.decided_until == schedule.decided_until,
        schedules.c.due_at == schedule.due_at,
        same_end,
    )


def _tick_values(schedule: StoredSchedule, decision: Decision, try_at: int) -> list[dict[str, Any]]:
    shared = {
        "launch_plan_id": schedule.plan_row,
        "project": schedule.key.project,
        "domain": schedule.key.domain,
        "name": schedule.key.name,
        "attempts": 0,
        "try_at": try_at,
    }
    launched = [
        {
            **shared,
            "due_at": tick.due_at,
            "scheduled_at": tick.scheduled_at,
            "last_scheduled_at": tick.scheduled_at,
            "ticks": 1,
            "status": int(TickStatus.DUE),
            "reason": "",
        }
        for tick in decision.launched
    ]
    skipped = [
        {
            **shared,
            "due_at": group.first.due_at,
            "scheduled_at": group.first.scheduled_at,
            "last_scheduled_at": group.last.scheduled_at,
            "ticks": group.count,
            "status": int(TickStatus.SKIPPED),
            "reason": group.reason,
        }
        for group in decision.skipped
    ]
    return launched + skipped


def _schedule(row: Row[*tuple[Any, ...]]) -> StoredSchedule:
    return StoredSchedule(
        row.id,
        row.launch_plan_id,
        EntityKey(row.project, row.domain, row.name, row.version),
        admin.LaunchPlanSpec.FromString(row.spec),
        row.activated_at,
        row.decided_until,
        row.due_at,
        row.ended_at,
        row.superseded,
    )


def _tick(row: Row[*tuple[Any, ...]]) -> StoredTick:
    spec = admin.LaunchPlanSpec.FromString(row.spec)
    return StoredTick(
        row.id,
        EntityKey(row.project, row.domain, row.name, row.version),
        Tick(row.due_at, row.scheduled_at),
        row.last_scheduled_at,
        row.ticks,
        TickStatus(row.status),
        row.reason,
        row.attempts,
        spec.entity_metadata.schedule.kickoff_time_input_arg,
    )
