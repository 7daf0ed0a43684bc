"""What plugins remember, in the engine's database."""

from __future__ import annotations

from elevon_kit.database import Database
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import delete, insert, select
from sqlalchemy.sql.dml import Delete

from elevon_propeller.store.tables import plugin_state


class SqlPluginStates:
    """The records of all plugins; see `PluginStates`. The database must be open before one is read or written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, plugin_id: str) -> SqlPluginState:
        """The records of one plugin."""
        return SqlPluginState(self._database, plugin_id)


class SqlPluginState:
    """The records of one plugin; see `PluginState`."""

    def __init__(self, database: Database, plugin_id: str) -> None:
        self._database = database
        self._plugin = plugin_id

    async def read(self, key: str) -> bytes | None:
        """The record of a key."""
        row = plugin_state.c
        statement = select(row.data).where(row.plugin == self._plugin, row.key == key)
        async with self._database.reading() as connection:
            found = await connection.scalar(statement)
        return None if found is None else bytes(found)

    async def write(self, key: str, data: bytes) -> None:
        """Keep a record instead of the one before."""
        values = {"plugin": self._plugin, "key": key, "data": data}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(self._delete(key))
            await connection.execute(insert(plugin_state), [values])

        await self._database.write(work)

    async def delete(self, key: str) -> None:
        """Forget a record."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(self._delete(key))

        await self._database.write(work)

    async def find(self, prefix: str) -> dict[str, bytes]:
        """The records whose keys begin with a prefix."""
        row = plugin_state.c
        statement = select(row.key, row.data).where(row.plugin == self._plugin, row.key.startswith(prefix))
        async with self._database.reading() as connection:
            found = (await connection.execute(statement)).all()
        return {each.key: bytes(each.data) for each in found}

    def _delete(self, key: str) -> Delete:
        return delete(plugin_state).where(plugin_state.c.plugin == self._plugin, plugin_state.c.key == key)
