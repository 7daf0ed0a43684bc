"""Random keys that every replica shares."""

from __future__ import annotations

from elevon_kit.database import Database
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import select

from elevon_admin.store.execution_tables import secrets
from elevon_admin.store.versioned import insert_missing


async def shared_secret(database: Database, name: str, proposal: bytes) -> bytes:
    """The secret of this name: the proposal of whoever came first."""

    async def work(connection: AsyncConnection) -> bytes:
        statement = insert_missing(connection.dialect.name, secrets)
        await connection.execute(statement.values(name=name, value=proposal))
        found = await connection.execute(select(secrets.c.value).where(secrets.c.name == name))
        return bytes(found.scalar_one())

    return await database.write(work)
