"""Databases that admin finds migrated."""

from __future__ import annotations

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_kit.migrations import Migrations


@pytest.fixture
def schema() -> Migrations:
    """What admin would make of an empty database."""
    return MIGRATIONS
