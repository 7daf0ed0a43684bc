"""Rules, runs, and what executions have left behind, in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from elevon_core.portions import portions
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import Row, and_, case, delete, func, insert, or_, select, text, update

from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.retention import (
    STORES_NOTHING,
    Counts,
    Fate,
    Remains,
    RetentionRule,
    StoredRun,
    attempts_of,
    may_have_stored,
)
from elevon_admin.retention_ports import Kept
from elevon_admin.store.data_references import SqlReferences, referring
from elevon_admin.store.execution_tables import (
    ENDED,
    WITH_DATA,
    data_references,
    executions,
    node_executions,
    task_executions,
)
from elevon_admin.store.retention_tables import retention_claims, retention_policies, retention_runs
from elevon_admin.store.schema import metadata
from elevon_admin.store.versioned import insert_missing

_LIMITS = ("executions_max_age", "executions_max_count", "data_max_age", "cache_max_age")
_FOUND_KEY = (executions.c.id, executions.c.project, executions.c.domain, executions.c.name)
_FOUND = (*_FOUND_KEY, executions.c.created_at, executions.c.spec)
_BELOW = tuple(
    (table, key.parent)
    for table in reversed(metadata.sorted_tables)
    for key in table.foreign_keys
    if key.column is executions.c.id
)
"""Every table whose rows belong to an execution, with the column that says to which; children first."""

ROWS_AT_ONCE = 500
"""How many rows one statement names."""


class SqlRetention(SqlReferences):
    """The RetentionRepository of a Database."""

    async def put(self, rule: RetentionRule) -> None:
        """See RetentionRepository."""
        table = retention_policies
        limits = {name: getattr(rule, name) for name in _LIMITS}
        scope = and_(table.c.project == rule.project, table.c.domain == rule.domain)

        async def work(connection: AsyncConnection) -> None:
            values = {"project": rule.project, "domain": rule.domain, **limits}
            await connection.execute(insert_missing(self._database.dialect, table), values)
            await connection.execute(update(table).where(scope).values(limits))

        await self._database.write(work)

    async def delete(self, project: str, domain: str) -> None:
        """See RetentionRepository."""
        table = retention_policies
        statement = delete(table).where(table.c.project == project, table.c.domain == domain)
        await self._database.write(lambda connection: _run(connection, statement))

    async def rules(self) -> Sequence[RetentionRule]:
        """See RetentionRepository."""
        table = retention_policies
        query = select(table).order_by(table.c.project, table.c.domain)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings()
            return [RetentionRule(**{name: row[name] for name in ("project", "domain", *_LIMITS)}) for row in rows]

    async def claim(self, project: str, domain: str, owner: str, now: int, until: int, *, forced: bool) -> bool:
        """See RetentionRepository."""
        table = retention_claims
        scope = and_(table.c.project == project, table.c.domain == domain)
        free = or_(table.c.until <= now, table.c.owner == owner)
        due = free if forced else and_(free, table.c.next_at <= now)

        async def work(connection: AsyncConnection) -> bool:
            values = {"project": project, "domain": domain, "owner": "", "until": 0, "next_at": 0}
            await connection.execute(insert_missing(self._database.dialect, table), values)
            taken = update(table).where(scope, due).values(owner=owner, until=until).returning(table.c.project)
            return (await connection.execute(taken)).first() is not None

        return await self._database.write(work)

    async def release(self, project: str, domain: str, owner: str, next_at: int) -> None:
        """See RetentionRepository."""
        table = retention_claims
        scope = and_(table.c.project == project, table.c.domain == domain, table.c.owner == owner)
        statement = update(table).where(scope).values(owner="", until=0, next_at=next_at)
        await self._database.write(lambda connection: _run(connection, statement))

    async def newest_to_delete(self, project: str, domain: str, kept: int) -> int:
        """See RetentionRepository."""
        columns = executions.c
        query = select(columns.created_at).where(columns.project == project, columns.domain == domain, text(ENDED))
        query = query.order_by(columns.created_at.desc(), columns.id.desc()).offset(kept).limit(1)
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar_one_or_none() or 0)

    async def count(self, project: str, domain: str, before: int, kept: Kept) -> int:
        """See RetentionRepository."""
        query = select(func.count()).select_from(executions).where(*_old(project, domain, before, kept))
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def oldest(
        self, project: str, domain: str, before: int, kept: Kept, after: int, limit: int
    ) -> Sequence[Remains]:
        """See RetentionRepository."""
        query = select(*_FOUND).where(*_old(project, domain, before, kept), executions.c.id < after)
        async with self._database.snapshot() as connection:
            rows = (await connection.execute(query.order_by(executions.c.id.desc()).limit(limit))).all()
            return [await _remains(connection, row) for row in rows]

    async def remains(self, rows: Sequence[int]) -> Sequence[Remains]:
        """See RetentionRepository."""
        found: list[Remains] = []
        async with self._database.snapshot() as connection:
            for portion in portions(rows, ROWS_AT_ONCE):
                query = select(*_FOUND).where(executions.c.id.in_(portion))
                found += [await _remains(connection, row) for row in (await connection.execute(query)).all()]
        return found

    async def keep_files(self, rows: Sequence[int], until: int) -> None:
        """See RetentionRepository."""

        async def work(connection: AsyncConnection) -> None:
            for portion in portions(rows, ROWS_AT_ONCE):
                statement = update(executions).where(executions.c.id.in_(portion))
                await connection.execute(statement.values(files_stay_until=until))

        await self._database.write(work)

    async def files_stay_until(self, rows: Sequence[int]) -> int:
        """See RetentionRepository."""
        latest = 0
        async with self._database.snapshot() as connection:
            for portion in portions(rows, ROWS_AT_ONCE):
                query = select(func.max(executions.c.files_stay_until)).where(executions.c.id.in_(portion))
                latest = max(latest, (await connection.execute(query)).scalar_one() or 0)
        return latest

    async def doom(self, remains: Remains, allowed: Collection[int], now: int) -> Fate:
        """See RetentionRepository."""
        this = executions.c.id == remains.row_id

        async def work(connection: AsyncConnection) -> Fate:
            # Whoever is about to recover it holds this row until its own reference is to be seen.
            if not await _locked(connection, [remains.row_id]):
                return Fate.GONE
            if any(found.row_id not in allowed for found in await referring(connection, remains)):
                return Fate.NEEDED
            await connection.execute(update(executions).where(this).values(doomed_at=now))
            return Fate.GOES

        return await self._database.write(work)

    async def one(self, key: ExecutionKey) -> tuple[bool, Remains] | None:
        """See RetentionRepository."""
        columns = executions.c
        named = and_(columns.project == key.project, columns.domain == key.domain, columns.name == key.name)
        query = select(*_FOUND, text(f"({ENDED}) AS ended")).where(named)
        async with self._database.snapshot() as connection:
            row = (await connection.execute(query)).one_or_none()
            return None if row is None else (bool(row.ended), await _remains(connection, row))

    async def delete_executions(self, rows: Sequence[int]) -> set[int]:
        """See RetentionRepository."""

        async def work(connection: AsyncConnection) -> set[int]:
            there = await _locked(connection, rows)
            for portion in portions(sorted(there), ROWS_AT_ONCE):
                for table, column in _BELOW:
                    await connection.execute(delete(table).where(column.in_(portion)))
                await connection.execute(delete(executions).where(executions.c.id.in_(portion)))
            return there

        return await self._database.write(work)

    async def delete_data(self, rows: Sequence[int], now: int) -> set[int]:
        """See RetentionRepository."""
        nothing: Mapping[str, Any] = dict.fromkeys(("inputs", "user_inputs", "outputs"))

        async def work(connection: AsyncConnection) -> set[int]:
            there = await _locked(connection, rows, executions.c.data_deleted_at.is_(None))
            for portion in portions(sorted(there), ROWS_AT_ONCE):
                for table in (task_executions, node_executions, data_references):
                    await connection.execute(delete(table).where(table.c.execution_id.in_(portion)))
                where = executions.c.id.in_(portion)
                await connection.execute(update(executions).where(where).values(**nothing, data_deleted_at=now))
            return there

        return await self._database.write(work)

    async def begin(self, run: StoredRun) -> int:
        """See RetentionRepository."""
        values = {
            "project": run.project,
            "domain": run.domain,
            "execution": run.execution,
            "started_at": run.started_at,
            "ended_at": None,
            "error": "",
            "principal": run.principal,
            **_counted(run.counts),
        }
        statement = insert(retention_runs).values(values).returning(retention_runs.c.id)

        async def work(connection: AsyncConnection) -> int:
            return int((await connection.execute(statement)).scalar_one())

        return await self._database.write(work)

    async def progress(self, row_id: int, counts: Counts, ended_at: int | None, error: str) -> None:
        """See RetentionRepository."""
        values = {**_counted(counts), "ended_at": ended_at, "error": error}
        statement = update(retention_runs).where(retention_runs.c.id == row_id).values(values)
        await self._database.write(lambda connection: _run(connection, statement))

    async def runs(self, project: str, before: int | None, limit: int) -> Sequence[StoredRun]:
        """See RetentionRepository."""
        query = select(retention_runs).order_by(retention_runs.c.id.desc()).limit(limit)
        if project:
            query = query.where(retention_runs.c.project == project)
        if before is not None:
            query = query.where(retention_runs.c.id < before)
        async with self._database.reading() as connection:
            return [_stored_run(row) for row in await connection.execute(query)]


async def _run(connection: AsyncConnection, statement: Any) -> None:
    await connection.execute(statement)


async def _locked(connection: AsyncConnection, rows: Sequence[int], *conditions: Any) -> set[int]:
    """Those executions that are there; they are locked until the commit."""
    there = set[int]()
    for portion in portions(sorted(rows), ROWS_AT_ONCE):
        query = select(executions.c.id).where(executions.c.id.in_(portion), *conditions)
        there |= set(await connection.scalars(query.order_by(executions.c.id).with_for_update()))
    return there


def _old(project: str, domain: str, before: int, kept: Kept) -> list[Any]:
    columns = executions.c
    condition = text(ENDED if kept is Kept.NOTHING else WITH_DATA)
    return [columns.project == project, columns.domain == domain, columns.created_at < before, condition]


async def _remains(connection: AsyncConnection, row: Row[*tuple[Any, ...]]) -> Remains:
    attempts: dict[str, int] = {}
    caches = False
    columns = task_executions.c
    tasks = select(columns.node_id, columns.retry_attempt, columns.closure).where(columns.execution_id == row.id)
    for task in await connection.execute(tasks.order_by(columns.retry_attempt)):
        closure = admin.TaskExecutionClosure.FromString(task.closure)
        attempts |= attempts_of(task.node_id, task.retry_attempt, closure.metadata)
        caches = caches or may_have_stored(closure.metadata)
    nodes = node_executions.c
    storing = case((nodes.cache_status.not_in(map(core.CatalogCacheStatus.Name, STORES_NOTHING)), 1))
    counting = select(func.count(), func.count(storing)).where(nodes.execution_id == row.id)
    counted, cached = (await connection.execute(counting)).one()
    spec = admin.ExecutionSpec.FromString(row.spec)
    return Remains(
        row.id,
        ExecutionKey(row.project, row.domain, row.name),
        row.created_at,
        int(counted),
        spec.raw_output_data_config.output_location_prefix,
        attempts,
        caches or cached > 0,
    )


def _counted(counts: Counts) -> dict[str, int]:
    return {
        "executions": counts.executions,
        "outlines": counts.outlines,
        "nodes": counts.nodes,
        "cache_entries": counts.cache_entries,
        "kept": counts.kept,
    }


def _stored_run(row: Row[*tuple[Any, ...]]) -> StoredRun:
    counts = Counts(row.executions, row.outlines, row.nodes, row.cache_entries, row.kept)
    return StoredRun(
        row.id,
        row.project,
        row.domain,
        row.execution,
        row.started_at,
        row.ended_at,
        counts,
        row.error,
        row.principal,
    )
