"""Connections come without SQLAlchemy's object mapper, and whoever wants that later has it with the same classes."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import sys
import {module}
assert "sqlalchemy.ext.asyncio.engine" in sys.modules
print(sorted(name for name in sys.modules if name.partition(".orm")[0] == "sqlalchemy" and ".orm" in name))
"""
LATER = """
from elevon_kit.sqlalchemy_asyncio import AsyncConnection, AsyncEngine, create_async_engine
import sqlalchemy.ext.asyncio as whole
assert whole.AsyncSession and whole.create_async_engine is create_async_engine
assert (whole.AsyncConnection, whole.AsyncEngine) == (AsyncConnection, AsyncEngine)
print("same")
"""
BEFORE = "import sqlalchemy.ext.asyncio\n" + LATER


def printed(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("module", ["elevon_admin.app", "elevon_propeller.app", "elevon_catalog.app"])
def test_no_service_loads_the_mapper(module: str) -> None:
    assert printed(WITHOUT.format(module=module)) == "[]"


@pytest.mark.parametrize("program", [LATER, BEFORE])
def test_the_whole_package_has_the_same_classes(program: str) -> None:
    assert printed(program) == "same"
