"""What every Launcher does: the fake, and the service itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_admin.domain.entities import EntityKey
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.scheduled_executions import StoredTick, TickStatus, creation_request
from elevon_admin.domain.timetables import Tick
from elevon_admin.schedule_ports import Launcher
from elevon_admin.scheduling import AdminLauncher
from elevon_admin.store.schedules_memory import MemoryLauncher
from elevon_core.errors import AlreadyExists

from tests.integration.admin_executions.harness import DOMAIN, PROJECT, serving
from tests.integration.admin_registry.harness import defaults

pytestmark = pytest.mark.schema(MIGRATIONS)

TICK = StoredTick(1, EntityKey(PROJECT, DOMAIN, "w", "v1"), Tick(10**18, 10**18), 10**18, 1, TickStatus.DUE)


@pytest.fixture(params=["memory", "service"])
async def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Launcher]:
    if request.param == "memory":
        yield MemoryLauncher()
        return
    async with serving(request.getfixturevalue("sqlite_url"), tmp_path) as admin:
        await admin.register("w", default_inputs=defaults(a=1))
        executions = admin.app.executions
        yield AdminLauncher(executions.launching.launch, executions.execution_queries._executions)


async def test_a_tick_is_launched_once(launcher: Launcher) -> None:
    assert not await launcher.exists(TICK.execution)
    assert await launcher.create(creation_request(TICK)) == TICK.execution
    with pytest.raises(AlreadyExists):
        await launcher.create(creation_request(TICK))
    assert await launcher.exists(TICK.execution)
    assert not await launcher.exists(ExecutionKey(PROJECT, DOMAIN, "other"))
