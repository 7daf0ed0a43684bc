"""What plugins rely on to remember: in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from elevon_idl.core import v1 as core
from elevon_kit.database import Database
from elevon_propeller.app import MIGRATIONS
from elevon_propeller.plugins.state import MemoryPluginStates, PluginStates
from elevon_propeller.ports import Commit, ExecutionRow
from elevon_propeller.store.plugin_state import SqlPluginStates
from elevon_propeller.store.sql import SqlStore


def identifier(name: str) -> core.WorkflowExecutionIdentifier:
    return core.WorkflowExecutionIdentifier(project="p", domain="d", name=name)


async def opened(request: pytest.FixtureRequest, dialect: str) -> Database:
    url = request.getfixturevalue("sqlite_url" if dialect == "sqlite" else "postgres_url")
    await MIGRATIONS.upgrade(url)
    database = Database(url)
    await database.open()
    return database


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def states(request: pytest.FixtureRequest) -> AsyncIterator[PluginStates]:
    if request.param == "memory":
        yield MemoryPluginStates()
        return
    database = await opened(request, request.param)
    yield SqlPluginStates(database)
    await database.close()


async def test_what_is_written_is_read_until_it_is_deleted(states: PluginStates) -> None:
    state = states.of("connector-service")
    assert await state.read("x-n0-0") is None
    await state.write("x-n0-0", b"one", identifier("x"))
    await state.write("x-n0-0", b"two\x00", identifier("x"))
    assert await states.of("connector-service").read("x-n0-0") == b"two\x00"
    await state.delete("x-n0-0")
    await state.delete("x-n0-0")
    assert await state.read("x-n0-0") is None


async def test_plugins_do_not_see_each_other(states: PluginStates) -> None:
    await states.of("one").write("key", b"1")
    await states.of("two").write("key", b"2")
    await states.of("two").delete("key")
    assert await states.of("one").read("key") == b"1"
    assert await states.of("two").find("k") == {}


async def test_records_are_found_by_the_beginning_of_their_keys(states: PluginStates) -> None:
    state = states.of("one")
    for key in ("delete/a", "delete/b", "a"):
        await state.write(key, key.encode())
    assert await state.find("delete/") == {"delete/a": b"delete/a", "delete/b": b"delete/b"}


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_records_of_ended_executions_are_swept_away(request: pytest.FixtureRequest, dialect: str) -> None:
    database = await opened(request, dialect)
    states, store = SqlPluginStates(database), SqlStore(database)
    epochs = (await store.take_leases("a", 0, 10**15)).epochs
    rows = [
        ExecutionRow(key, 1, "p", "d", name, b"d" * 32, b"", b"", phase=1, accepted_at=1, ended_at=ended)
        for key, name, ended in ((1, "running", 0), (2, "ended", 7))
    ]
    await store.commit(Commit(leases={1: epochs[1]}, created=rows))
    state = states.of("connector-service")
    for name in ("running", "ended", "unknown"):
        await state.write(name, b"job", identifier(name))
    await state.write("routes/default", b"[]")
    assert await states.sweep() == 2
    assert set(await state.find("")) == {"running", "routes/default"}
    await database.close()
