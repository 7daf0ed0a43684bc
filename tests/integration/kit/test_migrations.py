"""Migrations on both databases: up to date, refused when not, and always saying what to do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from elevon_core.errors import Internal
from elevon_kit.database import Database, SchemaMismatch
from elevon_kit.migrations import ENVIRONMENT, Migrations
from sqlalchemy import text

SCRIPT = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {before!r}


def upgrade() -> None:
    {body}
"""
FIRST = 'op.create_table("thing", sa.Column("id", sa.Integer(), primary_key=True))'
SECOND = 'op.add_column("thing", sa.Column("name", sa.String(), nullable=True))'
HALF = 'op.create_table("half", sa.Column("id", sa.Integer()))'
BROKEN = f'{HALF}; op.add_column("nowhere", sa.Column("x", sa.Integer()))'

Write = Callable[[str, str | None, str], Path]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"shop_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / "packages" / name / "migrations" / "versions"
    folder.mkdir(parents=True)
    for part in (folder.parent.parent, folder.parent):
        (part / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    yield f"{name}.migrations"
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


@pytest.fixture
def write(package: str) -> Write:
    def script(revision: str, before: str | None, body: str) -> Path:
        path = Migrations(package).versions / f"{revision}.py"
        path.write_text(SCRIPT.format(revision=revision, before=before, body=body))
        return path

    return script


async def check(package: str, url: str) -> None:
    database = Database(url)
    await database.open()
    try:
        await Migrations(package).check(database)
    finally:
        await database.close()


async def test_an_empty_database_is_brought_up_to_date(package: str, write: Write, database_url: str) -> None:
    write("0001", None, FIRST)
    write("0002", "0001", SECOND)
    with pytest.raises(SchemaMismatch, match="no schema yet: run `elevon migrate`"):
        await check(package, database_url)
    assert await Migrations(package).upgrade(database_url) == "0002"
    await check(package, database_url)
    assert await Migrations(package).upgrade(database_url) == "0002"
    database = Database(database_url)
    await database.open()
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT id, name FROM thing"))).all() == []
    await database.close()


async def test_an_older_database_is_refused_then_migrated(package: str, write: Write, database_url: str) -> None:
    write("0001", None, FIRST)
    await Migrations(package).upgrade(database_url)
    write("0002", "0001", SECOND)
    with pytest.raises(SchemaMismatch, match="at revision 0001, needed is 0002: run `elevon migrate`"):
        await check(package, database_url)
    await Migrations(package).upgrade(database_url)
    await check(package, database_url)


async def test_a_newer_database_is_left_alone(package: str, write: Write, database_url: str) -> None:
    write("0001", None, FIRST)
    newest = write("0002", "0001", SECOND)
    await Migrations(package).upgrade(database_url)
    newest.unlink()
    with pytest.raises(SchemaMismatch, match="0002, which this version does not know"):
        await check(package, database_url)
    with pytest.raises(SchemaMismatch, match="0002, which this version does not know"):
        await Migrations(package).upgrade(database_url)


async def test_a_migration_that_fails_changes_nothing(package: str, write: Write, database_url: str) -> None:
    write("0001", None, FIRST)
    broken = write("0002", "0001", BROKEN)
    with pytest.raises(Exception, match="nowhere"):
        await Migrations(package).upgrade(database_url)
    broken.unlink()
    with pytest.raises(SchemaMismatch, match="no schema yet"):
        await check(package, database_url)
    await Migrations(package).upgrade(database_url)
    await check(package, database_url)


async def test_replicas_that_start_together_migrate_once(package: str, write: Write, database_url: str) -> None:
    write("0001", None, FIRST)
    write("0002", "0001", SECOND)
    assert await asyncio.gather(*(Migrations(package).upgrade(database_url) for _ in range(3))) == ["0002"] * 3
    await check(package, database_url)


def test_revisions_are_read_as_alembic_reads_them(package: str, write: Write) -> None:
    write("0001", None, FIRST)
    write("0002", "0001", SECOND)
    typed = write("0003", "0002", "pass")
    typed.write_text(typed.read_text().replace("revision =", "revision: str ="))
    migrations = Migrations(package)
    config = Config()
    config.set_main_option("script_location", str(ENVIRONMENT))
    config.set_main_option("version_locations", str(migrations.versions))
    scripts = ScriptDirectory.from_config(config)
    assert migrations.head() == scripts.get_current_head() == "0003"
    assert migrations.revisions() == {script.revision: script.down_revision for script in scripts.walk_revisions()}


def test_two_newest_revisions_are_a_defect(package: str, write: Write) -> None:
    write("0001", None, FIRST)
    write("0002a", "0001", SECOND)
    write("0002b", "0001", SECOND)
    with pytest.raises(Internal, match="must have one newest revision"):
        Migrations(package).head()
