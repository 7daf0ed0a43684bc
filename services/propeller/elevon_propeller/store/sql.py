"""The store on SQLite and PostgreSQL: few statements for many rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

from elevon_core.portions import portions
from elevon_kit.database import Database, UniqueViolation
from elevon_kit.many_rows import ManyRows
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from elevon_kit.upserts import insert_into
from sqlalchemy import Row, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.sql.dml import Insert

from elevon_propeller.engine.records import ChunkRow, NodeRow
from elevon_propeller.ports import (
    Commit,
    EventChunk,
    ExecutionExists,
    ExecutionRow,
    LeaseLost,
    Leases,
    Request,
    end_word,
)
from elevon_propeller.store import leasing
from elevon_propeller.store.tables import chunks, events, executions, leases, nodes, requests, workflows

KEYS_PER_QUERY = 500
CHANNEL = "elevon_propeller"
_EXECUTION_COLUMNS = tuple(column.name for column in executions.columns)
_NODE_COLUMNS = tuple(column.name for column in nodes.columns)
_CHANGING = ("phase", "error", "abort_cause", "signals", "started_at", "ended_at")
_CHANGE_EXECUTION = (
    update(executions)
    .where(executions.c.key == bindparam("row_key"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
)
_HELD = (
    select(leases.c.shard, leases.c.epoch)
    .where(leases.c.shard.in_(bindparam("shards", expanding=True)))
    .order_by(leases.c.shard)
    .with_for_update(read=True)
)
_DROP_CHUNKS = delete(chunks).where(
    chunks.c.execution == bindparam("row_execution"), chunks.c.node_id == bindparam("row_node")
)
_BY_NAME = select(executions).where(
    executions.c.project == bindparam("project"),
    executions.c.domain == bindparam("domain"),
    executions.c.name == bindparam("name"),
)
_INSERT_EXECUTIONS = insert(executions)
_ACKNOWLEDGE = delete(events).where(
    events.c.shard == bindparam("row_shard"), events.c.number == bindparam("row_number")
)


class SqlStore:
    """Durable state; see `Store`. The database must be open and its schema up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._add_executions = ManyRows(_INSERT_EXECUTIONS)
        self._change_executions = ManyRows(_CHANGE_EXECUTION, "new_")
        self._upsert_nodes = ManyRows(_upsert(nodes, database.dialect))
        self._drop_chunks = ManyRows(_DROP_CHUNKS)
        self._upsert_chunks = ManyRows(_upsert(chunks, database.dialect))
        self._upsert_events = ManyRows(_upsert(events, database.dialect))
        self._acknowledge = ManyRows(_ACKNOWLEDGE)

    async def save_workflow(self, digest: bytes, closure: bytes) -> None:
        """Keep a closure under its digest."""
        statement = _insert_or_ignore(workflows, self._database.dialect)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement, {"digest": digest, "closure": closure})

        await self._database.write(work)

    async def load_workflow(self, digest: bytes) -> bytes | None:
        """The closure of a digest."""
        async with self._database.reading() as connection:
            found = await connection.scalar(select(workflows.c.closure).where(workflows.c.digest == digest))
        return None if found is None else bytes(found)

    async def commit(self, commit: Commit) -> None:
        """Write everything or nothing."""

        async def work(connection: AsyncConnection) -> None:
            await self._check_leases(connection, commit)
            await self._write(connection, commit)

        try:
            await self._database.write(work)
        except UniqueViolation as error:
            raise ExecutionExists(error.message) from error

    async def _check_leases(self, connection: AsyncConnection, commit: Commit) -> None:
        if not commit.leases:
            return
        rows = await connection.execute(_HELD, {"shards": sorted(commit.leases)})
        held = {row.shard: row.epoch for row in rows}
        lost = [shard for shard, epoch in commit.leases.items() if held.get(shard) != epoch]
        if lost:
            raise LeaseLost(lost)

    async def _write(self, connection: AsyncConnection, commit: Commit) -> None:
        if commit.created:
            await self._add_executions.execute(connection, [_execution_values(row) for row in commit.created])
        if commit.changed:
            await self._change_executions.execute(connection, [_changed_values(row) for row in commit.changed])
        if commit.nodes:
            values = [{"execution": key, **row} for key, row in commit.nodes]
            await self._upsert_nodes.execute(connection, values)
        if commit.dropped:
            values = [{"row_execution": key, "row_node": node_id} for key, node_id in commit.dropped]
            await self._drop_chunks.execute(connection, values)
        if commit.chunks:
            values = [{"execution": key, **chunk} for key, chunk in commit.chunks]
            await self._upsert_chunks.execute(connection, values)
        if commit.events:
            await self._upsert_events.execute(connection, [_event_values(chunk) for chunk in commit.events])
        if commit.acknowledged:
            values = [{"row_shard": shard, "row_number": number} for shard, number in commit.acknowledged]
            await self._acknowledge.execute(connection, values)
        if commit.answered:
            await connection.execute(delete(requests).where(requests.c.id.in_(commit.answered)))
        if commit.words:
            await self._database.say(connection, CHANNEL, commit.words)

    async def create_execution(self, row: ExecutionRow) -> bool:
        """Write a new execution for whoever owns its shard."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(executions), [_execution_values(row)])
            await self._database.say(connection, CHANNEL, [f"look {row.shard}"])

        try:
            await self._database.write(work)
        except UniqueViolation:
            return False
        return True

    async def find_execution(self, project: str, domain: str, name: str) -> ExecutionRow | None:
        """An execution by its name."""
        async with self._database.reading() as connection:
            found = await connection.execute(_BY_NAME, {"project": project, "domain": domain, "name": name})
            row = found.one_or_none()
        return None if row is None else _execution_row(row)

    async def live_executions(self, shards: Collection[int], *, only_new: bool = False) -> list[ExecutionRow]:
        """The executions of some shards that have not ended."""
        columns = executions.c
        statement = select(executions).where(columns.ended_at == 0, columns.shard.in_(sorted(shards)))
        if only_new:
            statement = statement.where(columns.phase == 0)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement.order_by(columns.key))).all()
        return [_execution_row(row) for row in rows]

    async def nodes(self, keys: Collection[int]) -> dict[int, list[NodeRow]]:
        """The node rows of some executions."""
        found: dict[int, list[NodeRow]] = {key: [] for key in keys}
        async with self._database.snapshot() as connection:
            for part in portions(sorted(keys), KEYS_PER_QUERY):
                for row in await connection.execute(select(nodes).where(nodes.c.execution.in_(part))):
                    found[row.execution].append(_node_row(row))
        return found

    async def chunks(self, keys: Collection[int]) -> dict[int, list[ChunkRow]]:
        """The elements of arrays of some executions."""
        found: dict[int, list[ChunkRow]] = {key: [] for key in keys}
        async with self._database.snapshot() as connection:
            for part in portions(sorted(keys), KEYS_PER_QUERY):
                for row in await connection.execute(select(chunks).where(chunks.c.execution.in_(part))):
                    found[row[0]].append(ChunkRow(node_id=row[1], number=row[2], data=bytes(row[3])))
        return found

    async def events(self, shard: int, after: int, limit: int) -> list[EventChunk]:
        """The undelivered events of a shard."""
        columns = events.c
        statement = (
            select(events).where(columns.shard == shard, columns.number > after).order_by(columns.number).limit(limit)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [EventChunk(row[0], row[1], bytes(row[2]), row[3]) for row in rows]

    async def last_event(self, shard: int) -> int:
        """The highest number of a chunk that is still there."""
        async with self._database.reading() as connection:
            found = await connection.scalar(select(func.max(events.c.number)).where(events.c.shard == shard))
        return found or 0

    async def add_request(self, key: int, shard: int, kind: str, payload: bytes) -> None:
        """Leave a request for the owner of the shard."""
        values = {"key": key, "shard": shard, "kind": kind, "payload": payload}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(requests), values)
            await self._database.say(connection, CHANNEL, [f"look {shard}"])

        await self._database.write(work)

    async def requests(self, shards: Collection[int]) -> list[Request]:
        """The requests for some shards."""
        statement = select(requests).where(requests.c.shard.in_(sorted(shards))).order_by(requests.c.id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [Request(row.id, row.key, row.shard, row.kind, bytes(row.payload)) for row in rows]

    async def take_leases(self, owner: str, now: int, expires_at: int) -> Leases:
        """Renew leases and take free ones."""
        return await self._database.write(
            lambda connection: leasing.take(connection, self._database.dialect, owner, now, expires_at)
        )

    async def release_leases(self, owner: str, shards: Collection[int]) -> None:
        """Give shards away."""

        async def work(connection: AsyncConnection) -> None:
            await leasing.release(connection, owner, shards)
            await self._database.say(connection, CHANNEL, ["leases"])

        await self._database.write(work)

    async def tell_end(self, name: tuple[str, str, str]) -> None:
        """Say that an execution has ended."""
        words = [end_word(name)]
        await self._database.write(lambda connection: self._database.say(connection, CHANNEL, words))

    async def listen(self, heard: Callable[[str], None]) -> None:
        """Hand over every word; with SQLite there is only one replica, and nothing to hear."""
        await self._database.listen(CHANNEL, heard)

    async def forget_ended(self, before: int, limit: int) -> int:
        """Delete executions that ended before a time."""
        columns = executions.c
        old = select(columns.key).where(columns.ended_at > 0, columns.ended_at < before)
        old = old.order_by(columns.ended_at).limit(limit)

        async def work(connection: AsyncConnection) -> int:
            keys = list((await connection.scalars(old)).all())
            if keys:
                await _forget(connection, keys)
            return len(keys)

        return await self._database.write(work)

    async def forget(self, key: int) -> None:
        """Delete one execution."""
        await self._database.write(lambda connection: _forget(connection, [key]))


async def _forget(connection: AsyncConnection, keys: Sequence[int]) -> None:
    await connection.execute(delete(chunks).where(chunks.c.execution.in_(keys)))
    await connection.execute(delete(nodes).where(nodes.c.execution.in_(keys)))
    await connection.execute(delete(executions).where(executions.c.key.in_(keys)))


def _insert_or_ignore(table: Table, dialect: str) -> Insert:
    return cast(Insert, insert_into(table, dialect).on_conflict_do_nothing())


def _upsert(table: Table, dialect: str) -> Insert:
    statement = insert_into(table, dialect)
    keys = [column.name for column in table.primary_key.columns]
    names = [column.name for column in table.columns]
    kept = {name: statement.excluded[name] for name in names if name not in keys}
    return cast(Insert, statement.on_conflict_do_update(index_elements=keys, set_=kept))


def _execution_values(row: ExecutionRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _EXECUTION_COLUMNS}


def _changed_values(row: ExecutionRow) -> dict[str, Any]:
    return {"row_key": row.key, **{name: getattr(row, name) for name in _CHANGING}}


def _event_values(chunk: EventChunk) -> dict[str, Any]:
    return {"shard": chunk.shard, "number": chunk.number, "payload": chunk.payload, "count": chunk.count}


def _execution_row(row: Row[Any]) -> ExecutionRow:
    return ExecutionRow(**dict(zip(_EXECUTION_COLUMNS, cast(Sequence[Any], row), strict=True)))


def _node_row(row: Row[Any]) -> NodeRow:
    values = dict(zip(_NODE_COLUMNS, cast(Sequence[Any], row), strict=True))
    del values["execution"]
    return cast(NodeRow, values)
