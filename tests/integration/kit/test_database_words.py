"""Words said in a transaction reach whoever listens, in whatever process, once it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from elevon_core.errors import Unavailable
from elevon_kit.database import Database
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url)
    await opened.open()
    yield opened
    await opened.close()


async def test_what_is_committed_is_heard_and_what_is_undone_is_not(database: Database) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = asyncio.create_task(database.listen("news", heard.put_nowait))
    assert await heard.get() == ""

    async def undone(connection: AsyncConnection) -> None:
        await database.say(connection, "news", ["never"])
        raise ValueError("undone")

    async def done(connection: AsyncConnection) -> None:
        await database.say(connection, "news", ["one", "two"])
        await database.say(connection, "other", ["for others"])

    with pytest.raises(ValueError, match="undone"):
        await database.write(undone)
    await database.write(done)
    assert [await heard.get(), await heard.get()] == ["one", "two"]
    listening.cancel()


async def test_who_listens_learns_that_the_connection_is_lost(database: Database) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = asyncio.create_task(database.listen("news", heard.put_nowait))
    await heard.get()
    listeners = "datname = current_database() AND query LIKE 'LISTEN%'"
    others = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listeners}"  # no input

    async def cut_off(connection: AsyncConnection) -> None:
        await connection.execute(text(others))

    await database.write(cut_off)
    with pytest.raises(Unavailable):
        await listening


async def test_nothing_is_said_on_sqlite(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    await database.open()
    heard: list[str] = []
    listening = asyncio.create_task(database.listen("news", heard.append))
    await database.write(lambda connection: database.say(connection, "news", ["one"]))
    assert not listening.done()
    assert heard == []
    listening.cancel()
    await database.close()
