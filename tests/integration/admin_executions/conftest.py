"""An admin service on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_kit.migrations import Migrations

from tests.integration.admin_executions.harness import Admin, serving


@pytest.fixture
def schema() -> Migrations:
    """What admin would make of an empty database."""
    return MIGRATIONS


@pytest.fixture
async def admin(database_url: str, tmp_path: Path) -> AsyncIterator[Admin]:
    """A service with a fake engine, on SQLite and on PostgreSQL."""
    async with serving(database_url, tmp_path / "blobs") as running:
        yield running
