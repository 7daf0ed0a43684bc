"""The database port on both databases: grouping, isolation, durability, errors of the right kind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any

import pytest
from elevon_core.errors import AlreadyExists, InvalidArgument, Unavailable
from elevon_kit import sqlite_driver
from elevon_kit.database import Contention, Database, UniqueViolation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, event, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

METADATA = MetaData()
SHELF = Table("shelf", METADATA, Column("id", Integer, primary_key=True), Column("name", String, unique=True))
BOOK = Table("book", METADATA, Column("id", Integer, primary_key=True), Column("shelf", ForeignKey("shelf.id")))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    await database.write(lambda connection: connection.run_sync(METADATA.create_all))
    yield database
    await database.close()


def put(number: int, name: str | None = None) -> Any:
    async def work(connection: AsyncConnection) -> int:
        await connection.execute(insert(SHELF), {"id": number, "name": name or f"shelf {number}"})
        return number

    return work


async def numbers(database: Database) -> list[int]:
    async with database.reading() as connection:
        return list((await connection.execute(select(SHELF.c.id).order_by(SHELF.c.id))).scalars())


async def driver_of(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection


def count_commits(database: Database) -> list[str]:
    commits: list[str] = []
    assert database._writing is not None
    event.listen(database._writing.sync_engine, "commit", lambda _connection: commits.append("commit"))
    return commits


async def test_a_write_returns_its_result_and_is_seen(database: Database) -> None:
    assert await database.write(put(1)) == 1
    assert await numbers(database) == [1]


async def test_what_is_ready_together_shares_commits(database: Database) -> None:
    commits = count_commits(database)
    results = await asyncio.gather(*(database.write(put(number)) for number in range(100)))
    assert results == list(range(100))
    assert await numbers(database) == list(range(100))
    assert len(commits) == 1


async def test_a_group_has_a_limit(database_url: str) -> None:
    database = Database(database_url, group_size=10)
    await database.open()
    await database.write(lambda connection: connection.run_sync(METADATA.create_all))
    commits = count_commits(database)
    await asyncio.gather(*(database.write(put(number)) for number in range(25)))
    assert len(commits) == 3
    await database.close()


async def test_a_failure_is_undone_alone_and_only_its_callers(database: Database) -> None:
    async def half(connection: AsyncConnection) -> None:
        await put(50)(connection)
        raise ValueError("second thoughts")

    works = [put(1), half, put(2), put(1, "again"), put(3)]
    results = await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True)
    assert [results[0], results[2], results[4]] == [1, 2, 3]
    assert isinstance(results[1], ValueError)
    assert isinstance(results[3], UniqueViolation)
    assert await numbers(database) == [1, 2, 3]


async def test_a_failure_alone_is_undone(database: Database) -> None:
    async def half(connection: AsyncConnection) -> None:
        await put(50)(connection)
        raise ValueError("second thoughts")

    with pytest.raises(ValueError, match="second thoughts"):
        await database.write(half)
    with pytest.raises(UniqueViolation):
        await database.write(lambda connection: both(connection))
    assert await numbers(database) == []


async def both(connection: AsyncConnection) -> None:
    await put(1)(connection)
    await put(1, "other")(connection)


async def test_a_unique_violation_can_be_caught_where_it_arises(database: Database) -> None:
    async def put_if_absent(connection: AsyncConnection) -> bool:
        try:
            async with connection.begin_nested():
                await put(1)(connection)
        except AlreadyExists:
            return False
        return True

    answers = await asyncio.gather(*(database.write(put_if_absent) for _ in range(3)))
    assert answers == [True, False, False]
    assert await numbers(database) == [1]


@pytest.mark.parametrize("values", [{"id": 1, "name": "other"}, {"id": 2, "name": "shelf 1"}])
async def test_primary_and_unique_keys_are_alike(database: Database, values: dict[str, Any]) -> None:
    await database.write(put(1))

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(insert(SHELF), values)

    with pytest.raises(UniqueViolation):
        await database.write(work)


async def test_foreign_keys_hold(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(insert(BOOK), {"id": 1, "shelf": 99})

    with pytest.raises(IntegrityError):
        await database.write(work)


async def test_bad_sql_is_a_defect_and_harms_nobody_else(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT nonsense FROM nowhere"))

    results = await asyncio.gather(database.write(put(1)), database.write(work), return_exceptions=True)
    assert results[0] == 1
    assert isinstance(results[1], DBAPIError)
    assert await numbers(database) == [1]


async def test_a_snapshot_is_one_state(database: Database) -> None:
    await database.write(put(1))
    async with database.snapshot() as connection:
        before = (await connection.execute(select(func.count()).select_from(SHELF))).scalar()
        await database.write(put(2))
        after = (await connection.execute(select(func.count()).select_from(SHELF))).scalar()
    assert (before, after) == (1, 1)
    assert await numbers(database) == [1, 2]


@pytest.mark.parametrize("lend", [Database.reading, Database.snapshot])
async def test_a_reader_cannot_write(
    database: Database, lend: Callable[[Database], AbstractAsyncContextManager[AsyncConnection]]
) -> None:
    with pytest.raises(DBAPIError):
        async with lend(database) as connection:
            await put(1)(connection)
    assert await numbers(database) == []


async def test_only_a_snapshot_is_a_transaction(postgres_url: str) -> None:
    database = Database(postgres_url, readers=1)
    await database.open()
    seen = []
    for lend in (database.reading, database.snapshot, database.reading):
        async with lend() as connection:
            await connection.execute(text("SELECT 1"))
            seen.append((await driver_of(connection)).is_in_transaction())
    await database.close()
    assert seen == [False, True, False]


async def test_many_parameter_sets_at_once(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(insert(SHELF), [{"id": number, "name": str(number)} for number in range(1000)])

    await database.write(work)
    assert await numbers(database) == list(range(1000))


async def test_a_long_query_is_answered_too(database: Database) -> None:
    counting = text(
        "WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 200000)"
        " SELECT count(*), max(n) FROM counter"
    )
    async with database.reading() as connection:
        assert tuple((await connection.execute(counting)).one()) == (200_000, 200_000)
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1


async def test_a_query_whose_caller_goes_away_is_stopped(sqlite_url: str) -> None:
    database = Database(sqlite_url, readers=1)
    await database.open()
    endless = text("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), database.reading() as connection:
            await connection.execute(endless)
    await database.ping()
    await database.close()


async def test_a_caller_that_goes_away_takes_its_unstarted_work_along(database: Database) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(_connection: AsyncConnection) -> None:
        started.set()
        await release.wait()

    first = asyncio.create_task(database.write(slow))
    await started.wait()
    second = asyncio.create_task(database.write(put(2)))
    third = asyncio.create_task(database.write(put(3)))
    await asyncio.sleep(0)
    second.cancel()
    release.set()
    await asyncio.gather(first, third)
    assert second.cancelled()
    assert await numbers(database) == [3]


async def test_work_that_cancels_itself_fails_alone(database: Database) -> None:
    async def cancel(_connection: AsyncConnection) -> None:
        raise asyncio.CancelledError

    results = await asyncio.gather(
        database.write(put(1)), database.write(cancel), database.write(put(2)), return_exceptions=True
    )
    assert isinstance(results[1], asyncio.CancelledError)
    assert await numbers(database) == [1, 2]
    with pytest.raises(asyncio.CancelledError):
        await database.write(cancel)
    assert await database.write(put(3)) == 3


async def test_closing_finishes_what_was_given(database_url: str) -> None:
    database = Database(database_url)
    await database.open()
    await database.write(lambda connection: connection.run_sync(METADATA.create_all))
    writes = [asyncio.create_task(database.write(put(number))) for number in range(20)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*writes) == list(range(20))
    with pytest.raises(Unavailable, match="closed"):
        await database.write(put(99))
    with pytest.raises(Unavailable, match="closed"):
        await database.ping()
    await database.close()
    again = Database(database_url)
    await again.open()
    assert await numbers(again) == list(range(20))
    await again.close()


async def test_a_sqlite_commit_is_forced_to_the_disk(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    await database.open()

    async def pragma(connection: AsyncConnection) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [(await connection.execute(text(f"PRAGMA {name}"))).scalar() for name in names]

    assert await database.write(pragma) == ["wal", 2, 1]
    await database.close()


async def test_a_lock_of_another_process_is_waited_for(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    await database.open()
    await database.write(lambda connection: connection.run_sync(METADATA.create_all))
    other = sqlite3.connect(str(database.url.database), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    write = asyncio.create_task(database.write(put(1)))
    await asyncio.sleep(0.05)
    assert not write.done()
    other.execute("COMMIT")
    assert await write == 1
    other.close()
    await database.close()


async def test_work_runs_again_when_another_transaction_was_in_the_way(database: Database) -> None:
    attempts = {"first": 0, "always": 0}

    async def first(connection: AsyncConnection) -> str:
        attempts["first"] += 1
        if attempts["first"] == 1:
            raise Contention("in the way")
        await put(1)(connection)
        return "done"

    async def always(_connection: AsyncConnection) -> None:
        attempts["always"] += 1
        raise Contention("in the way")

    results = await asyncio.gather(database.write(first), database.write(always), return_exceptions=True)
    assert results[0] == "done"
    assert isinstance(results[1], Contention)
    assert (attempts["first"], attempts["always"]) == (2, 6)
    assert await numbers(database) == [1]


async def test_a_deadlock_of_two_processes_resolves_itself(postgres_url: str) -> None:
    one, other = Database(postgres_url), Database(postgres_url)
    await one.open()
    await other.open()
    await one.write(lambda connection: connection.run_sync(METADATA.create_all))
    await asyncio.gather(one.write(put(1)), one.write(put(2)))
    met = asyncio.Barrier(2)

    def rename(first: int, second: int, name: str) -> Any:
        runs = 0

        async def work(connection: AsyncConnection) -> str:
            nonlocal runs
            runs += 1
            await connection.execute(SHELF.update().where(SHELF.c.id == first), {"name": f"{name} {first}"})
            if runs == 1:
                await met.wait()
            await connection.execute(SHELF.update().where(SHELF.c.id == second), {"name": f"{name} {second}"})
            return name

        return work

    renamed = await asyncio.gather(one.write(rename(1, 2, "a")), other.write(rename(2, 1, "b")))
    assert list(renamed) == ["a", "b"]
    await one.close()
    await other.close()


@pytest.mark.parametrize("writes", [1, 3])
async def test_a_lost_connection_is_replaced(postgres_url: str, writes: int) -> None:
    database, other = Database(postgres_url), Database(postgres_url)
    await database.open()
    await database.write(lambda connection: connection.run_sync(METADATA.create_all))
    await other.open()
    others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = :name"
    async with other.reading() as connection:
        await connection.execute(text(f"SELECT pg_terminate_backend(pid) {others}"), {"name": database.url.database})
    answers = await asyncio.gather(*(database.write(put(number)) for number in range(writes)))
    assert answers == list(range(writes))
    assert await numbers(database) == answers
    await other.close()
    await database.close()


async def test_a_database_that_is_not_there_is_unavailable(unused_address: str) -> None:
    database = Database(f"postgresql+asyncpg://postgres@{unused_address}/elevon")
    with pytest.raises(Unavailable, match="out of reach"):
        await database.open()
    await database.close()


async def test_a_file_that_is_no_database_is_unavailable(sqlite_url: str) -> None:
    path = sqlite_url.removeprefix("sqlite+aiosqlite:///")
    with open(path, "wb") as file:
        file.write(b"this is not a database" * 100)
    database = Database(sqlite_url)
    with pytest.raises(Unavailable, match="not a database"):
        await database.open()


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="out of reach"):
        await Database(f"sqlite+aiosqlite:///{tmp_path}/file/x.db").open()


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "mysql://x/y", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "postgresql+psycopg://x/y"],
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match=r"database\.url"):
        Database(url)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(plan=st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=25), size=st.integers(1, 5))
async def test_exactly_what_succeeded_is_there(plan: list[tuple[int, bool]], size: int, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("plan")
    database = Database(f"sqlite+aiosqlite:///{path}/x.db", group_size=size)
    await database.open()
    await database.write(lambda connection: connection.run_sync(METADATA.create_all))

    def attempt(number: int, fails: bool) -> Any:
        async def work(connection: AsyncConnection) -> int:
            await put(number)(connection)
            if fails:
                raise ValueError(number)
            return number

        return work

    results = await asyncio.gather(*(database.write(attempt(*step)) for step in plan), return_exceptions=True)
    succeeded = [result for result in results if isinstance(result, int)]
    assert len(set(succeeded)) == len(succeeded)
    assert await numbers(database) == sorted(succeeded)
    assert set(succeeded) == {number for number, fails in plan if not fails}
    await database.close()


async def test_many_can_be_the_first_to_open_a_file(tmp_path: Path) -> None:
    for number in range(150):
        path = str(tmp_path / f"{number}.db")
        opened = await asyncio.gather(*(sqlite_driver.connect(path, writing=True) for _ in range(8)))
        assert {connection.raw.execute("PRAGMA journal_mode").fetchone()[0] for connection in opened} == {"wal"}
        for connection in opened:
            connection.raw.close()


async def test_a_file_that_stays_locked_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_driver, "BUSY_SECONDS", 0.05)
    path = str(tmp_path / "locked.db")
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            await sqlite_driver.connect(path, writing=True)
