"""One control plane for all end-to-end tests that do not break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.features import register_features
from tests.e2e.harness import Plane


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane with SQLite, shared by the tests that leave it as it is."""
    started = Plane(tmp_path_factory.mktemp("plane"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def features(plane: Plane) -> Plane:
    """The shared control plane with all feature projects registered."""
    register_features(plane)
    return plane
