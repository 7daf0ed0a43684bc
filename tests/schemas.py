"""Databases that hold the newest schema of a service and nothing else, for tests to begin with a copy.

Running all migrations costs more than most tests that need their result.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from elevon_kit.migrations import Migrations

from tests.postgres import PostgresServer


class Schemas:
    """What can be copied, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self._databases: dict[str, str] = {}

    def sqlite(self, migrations: Migrations) -> Path:
        """Answer a SQLite file with a schema; whoever wrote it has closed it, so there is nothing beside it."""
        package = migrations.package
        if package not in self._files:
            path = self._folder / f"{package}.db"
            upgrade(migrations, f"sqlite+aiosqlite:///{path}")
            self._files[package] = path
        return self._files[package]

    def postgres(self, server: PostgresServer, migrations: Migrations) -> str:
        """Answer the name of a database of the session's server with a schema."""
        package = migrations.package
        if package not in self._databases:
            name = server.create()
            upgrade(migrations, server.url(name))
            self._databases[package] = name
        return self._databases[package]


def upgrade(migrations: Migrations, url: str) -> None:
    """Migrate a database, in a thread: a loop may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrations.upgrade(url)).result()
