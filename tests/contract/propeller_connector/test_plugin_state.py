"""What plugins rely on to remember: in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from elevon_kit.database import Database
from elevon_propeller.app import MIGRATIONS
from elevon_propeller.plugins.state import MemoryPluginStates, PluginStates
from elevon_propeller.store.plugin_state import SqlPluginStates

pytestmark = pytest.mark.schema(MIGRATIONS)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def states(request: pytest.FixtureRequest) -> AsyncIterator[PluginStates]:
    if request.param == "memory":
        yield MemoryPluginStates()
        return
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    await MIGRATIONS.upgrade(url)
    database = Database(url)
    await database.open()
    yield SqlPluginStates(database)
    await database.close()


async def test_what_is_written_is_read_until_it_is_deleted(states: PluginStates) -> None:
    state = states.of("connector-service")
    assert await state.read("x-n0-0") is None
    await state.write("x-n0-0", b"one")
    await state.write("x-n0-0", b"two\x00")
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
