"""Two process plugins on one folder, as two propellers on one machine have them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from elevon_idl.core import v1 as core
from elevon_kit.blobs_obstore import ObjectBlobStore
from elevon_propeller.plugins.clock import system_clock
from elevon_propeller.plugins.contract import Attempt, AttemptPaths, AttemptPhase, Report
from elevon_propeller.plugins.process.plugin import ProcessPlugin
from elevon_propeller.plugins.process.servers import ForkServers
from elevon_propeller.plugins.settings import ProcessSettings

SETTINGS = ProcessSettings(
    python=Path(sys.executable), warm_start=False, grace=timedelta(seconds=20), kill_grace=timedelta(seconds=0.2)
)


def attempt(folder: Path, command: str) -> Attempt:
    """An attempt that runs a shell command."""
    return Attempt(
        name="x-n0-0",
        execution_id=core.WorkflowExecutionIdentifier(project="p", domain="d", name="x"),
        workflow_name="w",
        node_id="n0",
        spec_node_id="n0",
        number=0,
        task=core.TaskTemplate(type="container", container=core.Container(args=["sh", "-c", command])),
        inputs=core.LiteralMap(),
        paths=AttemptPaths(f"file://{folder}/data", f"file://{folder}/data/0", f"file://{folder}/raw"),
        started_at=system_clock(),
    )


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[ProcessPlugin, ProcessPlugin]]:
    plugins = tuple(ProcessPlugin(SETTINGS, ObjectBlobStore(), tmp_path) for _ in range(2))
    for plugin in plugins:
        await plugin.open()
    yield plugins[0], plugins[1]
    for plugin in plugins:
        await plugin.close()


async def ended(plugin: ProcessPlugin, given: Attempt) -> Report:
    """How an attempt ends."""
    final: asyncio.Future[Report] = asyncio.get_running_loop().create_future()

    def report(seen: Report) -> None:
        if seen.phase.is_final and not final.done():
            final.set_result(seen)

    await plugin.start(given, report)
    return await final


async def test_both_start_one_server(tmp_path: Path) -> None:
    replicas = [ForkServers(tmp_path / "servers", SETTINGS) for _ in range(2)]
    for each in replicas:
        await each.open()
    first, second = await asyncio.gather(*(each.for_python(Path(sys.executable)) for each in replicas))
    assert (first.identity, first.pid) == (second.identity, second.pid)
    for each in replicas:
        await each.close(kill=True)


async def test_a_server_launches_nothing_that_comes_late(tmp_path: Path) -> None:
    servers = ForkServers(tmp_path / "servers", SETTINGS)
    await servers.open()
    server = await servers.for_python(Path(sys.executable))
    answer = await server.client.launch("late", tmp_path, {}, time.monotonic() - 1)
    assert answer["state"] == "late"
    assert list(tmp_path.glob("lock")) == []
    await servers.close(kill=True)


async def test_what_one_replica_has_not_begun_in_time_only_the_other_runs(
    pair: tuple[ProcessPlugin, ProcessPlugin], tmp_path: Path
) -> None:
    former, owner = pair
    given = attempt(tmp_path, f"echo ran >> {tmp_path}/witness")
    heard: list[Report] = []
    await former.start(replace(given, until=lambda: time.monotonic() - 1), heard.append)
    report = await ended(owner, given)
    assert report.phase is AttemptPhase.SUCCEEDED
    await owner.finalize(given.name)
    await former.detach(given.name)
    assert (tmp_path / "witness").read_text() == "ran\n"
    assert [each.phase.is_final for each in heard] == [False] * len(heard)


async def test_what_one_replica_has_begun_the_other_sees_to_its_end(
    pair: tuple[ProcessPlugin, ProcessPlugin], tmp_path: Path
) -> None:
    former, owner = pair
    given = attempt(tmp_path, f"echo ran >> {tmp_path}/witness; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done")
    runs = asyncio.Event()
    await former.start(given, lambda seen: runs.set() if seen.phase is AttemptPhase.RUNNING else None)
    await runs.wait()
    await former.detach(given.name)
    finding = asyncio.create_task(ended(owner, given))
    (tmp_path / "go").touch()
    assert (await finding).phase is AttemptPhase.SUCCEEDED
    assert (tmp_path / "witness").read_text() == "ran\n"
    await owner.finalize(given.name)
