"""An admin service on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_kit.migrations import Migrations

from tests.integration.admin_registry.harness import Admin, serving


@pytest.fixture
def schema() -> Migrations:
    """What admin would make of an empty database."""
    return MIGRATIONS


@pytest.fixture
async def admin(database_url: str) -> AsyncIterator[Admin]:
    """A service with the settings of a fresh installation, on SQLite and on PostgreSQL."""
    async with serving(database_url) as running:
        yield running
