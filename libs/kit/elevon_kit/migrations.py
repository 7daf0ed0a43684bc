"""Schema versions: Alembic brings a database up to date, and a service refuses to start on one that is not.

A service keeps its scripts in `<service>/store/migrations/versions/`. Alembic itself is loaded only when there is
something to migrate; checking reads the revisions out of the scripts.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping
from pathlib import Path

from elevon_core.errors import Internal
from sqlalchemy import Connection, inspect, text

from elevon_kit.database import Database
from elevon_kit.database_engines import POSTGRESQL, parse_url, writing_engine
from elevon_kit.database_errors import SchemaMismatch, translated
from elevon_kit.logging import get_logger
from elevon_kit.sqlalchemy_asyncio import AsyncConnection

log = get_logger("migrations")

ENVIRONMENT = Path(__file__).parent / "migration_environment"
VERSION_TABLE = "alembic_version"
ADVISORY_LOCK = 0x656C65766F6E  # "elevon": replicas that start together migrate one after the other


_CONSTANT = re.compile(
    r"""^(?P<name>\w+)\s*(?::[^=\n]+)?=\s*(?P<quote>["'])(?P<text>[^"'\n]*)(?P=quote)""", re.MULTILINE
)


class Migrations:
    """The schema versions of one service; `package` holds a folder `versions` with a single line of scripts."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.versions = Path(str(importlib.resources.files(package))) / "versions"

    def head(self) -> str:
        """Answer the revision that this version works with; raises Internal unless there is exactly one."""
        revisions = self.revisions()
        heads = sorted(set(revisions) - set(revisions.values()))
        if len(heads) != 1:
            raise Internal(f"{self.package} must have one newest revision, it has {heads}")
        return heads[0]

    def revisions(self) -> Mapping[str, str | None]:
        """Answer each script's revision with the one it comes after."""
        found: dict[str, str | None] = {}
        for path in sorted(self.versions.glob("*.py")):
            names = _constants(path)
            revision = names.get("revision")
            if revision is not None:
                found[revision] = names.get("down_revision")
        return found

    async def upgrade(self, url: str) -> str:
        """Bring the database to the newest revision and answer it; a database that is up to date is left alone.

        A SQLite file that does not exist is made. Raises SchemaMismatch for a database made by a newer version.
        """
        engine = writing_engine(parse_url(url), patient=True)
        try:
            with translated():
                async with engine.begin() as connection:
                    if engine.dialect.name == POSTGRESQL:
                        await connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
                    await self._upgrade(connection)
        finally:
            await engine.dispose()
        return self.head()

    async def _upgrade(self, connection: AsyncConnection) -> None:
        current = await connection.run_sync(current_revision)
        if current == self.head():
            return
        if current is not None and current not in self.revisions():
            raise self._newer(current)
        await connection.run_sync(self._run)
        log.info("schema migrated", package=self.package, before=current, now=self.head())

    def _run(self, connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", _escape(ENVIRONMENT))
        config.set_main_option("version_locations", _escape(self.versions))
        config.set_main_option("path_separator", "newline")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async def check(self, database: Database) -> None:
        """Raise SchemaMismatch, saying what to run, unless the database is at the newest revision."""
        async with database.snapshot() as connection:
            current = await connection.run_sync(current_revision)
        head = self.head()
        if current == head:
            return
        place = database.url.render_as_string(hide_password=True)
        if current is None:
            raise SchemaMismatch(f"the database {place} has no schema yet: run `elevon migrate`")
        if current not in self.revisions():
            raise self._newer(current)
        raise SchemaMismatch(f"the database {place} is at revision {current}, needed is {head}: run `elevon migrate`")

    def _newer(self, current: str) -> SchemaMismatch:
        return SchemaMismatch(
            f"the database is at revision {current}, which this version does not know (its own is {self.head()}): "
            "a newer version or another service made it; run that one, or restore a backup and run `elevon migrate`"
        )


def current_revision(connection: Connection) -> str | None:
    """Answer the revision a database is at, None when it was never migrated."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608  a constant
    return None if revision is None else str(revision)


def _constants(path: Path) -> dict[str, str]:
    """The texts that a script gives to names of its own; scripts are not run for it."""
    return {match["name"]: match["text"] for match in _CONSTANT.finditer(path.read_text(encoding="utf-8"))}


def _escape(path: Path) -> str:
    return str(path).replace("%", "%%")
