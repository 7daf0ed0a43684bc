"""A catalog on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from elevon_catalog.app import MIGRATIONS
from elevon_catalog.settings import ValueSettings
from elevon_kit.migrations import Migrations

from tests.integration.catalog.harness import Catalog, serving


@pytest.fixture
def schema() -> Migrations:
    """What the catalog would make of an empty database."""
    return MIGRATIONS


@pytest.fixture
async def catalog(database_url: str, tmp_path: Path) -> AsyncIterator[Catalog]:
    """A catalog on SQLite and on PostgreSQL; values up to 100 bytes stay in the row."""
    values = ValueSettings(inline_bytes=100, inline_total_bytes=1000)
    async with serving(database_url, tmp_path / "blobs", values=values) as running:
        yield running
