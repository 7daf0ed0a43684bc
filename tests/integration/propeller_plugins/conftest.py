"""One process plugin for all tests of a module, with the real flytekit; its fork server is warmed once."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.process.plugin import ProcessPlugin

from tests.flytekit_environment import flytekit_python as flytekit_python
from tests.integration.propeller_plugins.process_testing import Place, described


@pytest.fixture(scope="session")
def templates(flytekit_python: Path) -> dict[str, core.TaskTemplate]:
    """The templates of `samples/sample_tasks.py`."""
    return described(flytekit_python, "sample_tasks")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, flytekit_python: Path) -> Place:
    """A folder for a whole module."""
    return Place(tmp_path_factory.mktemp("process"), flytekit_python)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def plugin(place: Place) -> AsyncIterator[ProcessPlugin]:
    """An open plugin for a whole module."""
    made = place.plugin()
    await made.open()
    yield made
    await made.close()


@pytest.fixture(scope="session")
def fresh_name() -> Callable[[], str]:
    """Names of attempts that were not used before."""
    numbers = itertools.count()
    return lambda: f"x-n{next(numbers)}-0"
