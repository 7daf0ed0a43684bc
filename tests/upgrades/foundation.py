"""Data that an early version has written, put into databases as that version had them.

`foundation.json` is made by `make_foundation.py`. It names files by the folder they were in; that name is replaced,
within serialized messages too, by that of another folder, whose name is padded to the same length.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from elevon_kit.database import Database
from elevon_kit.migrations import Migrations
from sqlalchemy import column, insert, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

FIXTURE = Path(__file__).parent / "foundation.json"
SERVICES = ("admin", "propeller", "catalog")
ROOT_LENGTH = 180


def migrations_of(service: str) -> Migrations:
    """The migrations of a service."""
    return Migrations(f"elevon_{service}.store.migrations")


def padded(folder: Path) -> Path:
    """A folder below another one whose path has the length that all data folders of the fixture have."""
    return folder / ("d" * (ROOT_LENGTH - len(str(folder)) - 1))


def revisions_of(migrations: Migrations) -> list[str]:
    """All revisions, the first one first."""
    after = {before: revision for revision, before in migrations.revisions().items()}
    line: list[str] = []
    while (following := after.get(line[-1] if line else None)) is not None:
        line.append(following)
    return line


async def step(migrations: Migrations, url: str, revision: str) -> None:
    """Upgrade to a revision, with the scripts up to it."""
    line = revisions_of(migrations)
    kept = set(line[: line.index(revision) + 1])
    with tempfile.TemporaryDirectory() as folder:
        earlier = Migrations(migrations.package)
        for script in migrations.versions.glob("*.py"):
            if not kept.isdisjoint(_revisions_in(script)):
                shutil.copy(script, folder)
        earlier.versions = Path(folder)
        await earlier.upgrade(url)


def _revisions_in(script: Path) -> set[str]:
    for line in script.read_text(encoding="utf-8").splitlines():
        if line.startswith("revision"):
            return {line.split('"')[1]}
    return set()


class Foundation:
    """The fixture, as if it had been made in another folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        assert len(str(root)) == ROOT_LENGTH
        self._data = json.loads(FIXTURE.read_text(encoding="utf-8"))
        self._old = self._data["root"]

    def write_files(self) -> None:
        """Write what was in the object store."""
        for name, content in self._data["files"].items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._value({"base64": content}))

    def revision(self, service: str) -> str:
        """The revision that the data was written at."""
        return str(self._data["databases"][service]["revision"])

    async def load(self, service: str, url: str) -> None:
        """Bring a database to that revision step by step, each table filled as soon as it exists."""
        migrations, left = migrations_of(service), dict(self._data["databases"][service]["tables"])
        for revision in revisions_of(migrations):
            await step(migrations, url, revision)
            await self._fill(url, left)
            if revision == self.revision(service):
                break
        assert not left

    async def _fill(self, url: str, left: dict[str, Any]) -> None:
        database = Database(url)
        await database.open()
        try:
            present = await database.write(_table_names)
            for name in [name for name in left if name in present]:
                content = left.pop(name)
                rows = [dict(zip(content["columns"], map(self._value, row), strict=True)) for row in content["rows"]]
                await database.write(partial(_insert, name=name, rows=rows))
        finally:
            await database.close()

    def _value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return base64.b64decode(value["base64"]).replace(self._old.encode(), str(self.root).encode())
        return value.replace(self._old, str(self.root)) if isinstance(value, str) else value


async def _table_names(connection: AsyncConnection) -> set[str]:
    from sqlalchemy import inspect

    return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def _insert(connection: AsyncConnection, name: str, rows: list[dict[str, Any]]) -> None:
    await connection.execute(text(f'DELETE FROM "{name}"'))
    await connection.execute(insert(table(name, *map(column, rows[0]))), rows)
    if connection.dialect.name == "postgresql" and "id" in rows[0]:
        sequence = f"pg_get_serial_sequence('{name}', 'id')"
        await connection.execute(text(f'SELECT setval({sequence}, (SELECT max(id) FROM "{name}"))'))
