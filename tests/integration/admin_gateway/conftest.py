"""One admin for all tests of a module that only read, or that write what they read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.admin_gateway.harness import World, world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The service with something of everything in it."""
    async with world(tmp_path_factory.mktemp("admin")) as found:
        yield found
