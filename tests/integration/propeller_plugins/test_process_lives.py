"""The process plugin with a real flytekit: how attempts begin, wait for a place, end, and what is left of them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import AttemptPhase
from elevon_propeller.plugins.process import plugin as process_plugin
from elevon_propeller.plugins.process.plugin import ProcessPlugin

from tests.integration.propeller_plugins.process_testing import (
    Listener,
    Names,
    Place,
    Templates,
    appears,
    is_alive,
    plain,
    run,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_abort_ends_everything_an_attempt_started(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    listener, attempt = Listener(), place.attempt(templates["with_children"], {"folder": str(tmp_path)}, fresh_name())
    await plugin.start(attempt, listener)
    await appears(tmp_path / "ready")
    pids = [int((tmp_path / name).read_text()) for name in ("near", "far", "forked")]
    assert all(is_alive(pid) for pid in pids)
    await listener.until(lambda report: report.phase is AttemptPhase.RUNNING)
    await plugin.abort(attempt.name, "not wanted")
    assert not any(is_alive(pid) for pid in pids)
    assert [report.phase for report in listener.reports] == [AttemptPhase.RUNNING]


async def test_what_a_finished_task_leaves_running_is_ended(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    listener, attempt = Listener(), place.attempt(templates["with_children"], {"folder": str(tmp_path)}, fresh_name())
    await plugin.start(attempt, listener)
    await appears(tmp_path / "ready")
    (tmp_path / "go").touch()
    assert (await listener.final()).phase is AttemptPhase.SUCCEEDED
    assert not any(is_alive(int((tmp_path / name).read_text())) for name in ("near", "far", "forked"))


async def test_abort_kills_what_ignores_the_request(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    listener, attempt = Listener(), place.attempt(templates["ignore_signals"], {"folder": str(tmp_path)}, fresh_name())
    await plugin.start(attempt, listener)
    await appears(tmp_path / "ready")
    await listener.until(lambda report: report.phase is AttemptPhase.RUNNING)
    await plugin.abort(attempt.name, "not wanted")
    assert [report.phase for report in listener.reports] == [AttemptPhase.RUNNING]


async def test_unknown_names_are_fine(plugin: ProcessPlugin) -> None:
    await plugin.abort("never-heard-of", "no reason")
    await plugin.finalize("never-heard-of")


async def test_finalize_removes_all_but_the_log(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    attempt = place.attempt(templates["double"], {"number": 1}, fresh_name())
    await run(plugin, attempt)
    folder = place.folder / "processes"
    assert (folder / "attempts" / attempt.name).exists()
    await plugin.finalize(attempt.name)
    assert not (folder / "attempts" / attempt.name).exists()
    assert (folder / "logs" / f"{attempt.name}.log").exists()


async def test_logs_of_what_is_forgotten_go(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    attempts = [place.attempt(templates["double"], {"number": 1}, fresh_name()) for _ in range(2)]
    logs = [place.folder / "processes" / "logs" / f"{attempt.name}.log" for attempt in attempts]
    for attempt in attempts:
        await run(plugin, attempt)
        await plugin.finalize(attempt.name)
    await plugin.forget([attempts[0].name, "never-heard-of"])
    assert [log.exists() for log in logs] == [False, True]
    await plugin.forget([attempts[0].name])


async def test_old_logs_go_while_it_runs(
    place: Place, templates: Templates, fresh_name: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_plugin, "PRUNE_EVERY_SECONDS", 0.05)
    plugin = place.plugin()
    await plugin.open()
    kept, silent, old = (place.attempt(templates["nothing"], {}, fresh_name()) for _ in range(3))
    logs = {each.name: place.folder / "processes" / "logs" / f"{each.name}.log" for each in (kept, silent, old)}
    for attempt in (kept, silent, old):
        await run(plugin, attempt)
    for attempt in (kept, old):
        await plugin.finalize(attempt.name)
    for attempt in (silent, old):
        os.utime(logs[attempt.name], (0, 0))
    async with asyncio.timeout(30):
        while logs[old.name].exists():
            await asyncio.sleep(0.02)
    assert logs[kept.name].exists()
    assert logs[silent.name].exists()
    await plugin.finalize(silent.name)
    await plugin.close()


async def test_a_second_start_reports_to_the_new_sink(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    first, second = Listener(), Listener()
    attempt = place.attempt(templates["guarded"], {"folder": str(tmp_path), "patience": 60.0}, fresh_name())
    await plugin.start(attempt, first)
    await appears(tmp_path / "starts")
    await plugin.start(attempt, second)
    (tmp_path / "go").touch()
    assert (await second.final()).phase is AttemptPhase.SUCCEEDED
    assert not any(report.phase.is_final for report in first.reports)
    assert len((tmp_path / "starts").read_text().split()) == 1
    third = Listener()
    await plugin.start(attempt, third)
    assert third.reports[-1].phase is AttemptPhase.SUCCEEDED


async def test_more_attempts_than_slots_wait_in_line(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    listeners = []
    for number in range(20):
        listeners.append(Listener())
        await plugin.start(place.attempt(templates["double"], {"number": number}, fresh_name()), listeners[-1])
    reports = await asyncio.gather(*(listener.final() for listener in listeners))
    answers = [plain(report.outputs.literals["o0"]) for report in reports if report.outputs is not None]
    assert answers == [2 * number for number in range(20)]
    queued = [listener.reports[0] for listener in listeners if listener.reports[0].phase is AttemptPhase.QUEUED]
    assert len(queued) == 16
    assert "waiting for one of 4 places" in queued[0].reason


async def test_eager_workflows_take_no_place_from_what_they_wait_for(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    eager = core.TaskTemplate()
    eager.CopyFrom(templates["guarded"])
    eager.metadata.is_eager = True
    waiting = [Listener() for _ in range(5)]
    for listener in waiting:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        inputs = {"folder": str(folder), "patience": 60.0}
        await plugin.start(place.attempt(eager, inputs, fresh_name()), listener)
        await appears(folder / "starts")
    report = await run(plugin, place.attempt(templates["double"], {"number": 2}, fresh_name()))
    assert report.phase is AttemptPhase.SUCCEEDED
    for folder in tmp_path.iterdir():
        (folder / "go").touch()
    assert {(await listener.final()).phase for listener in waiting} == {AttemptPhase.SUCCEEDED}


async def test_an_attempt_in_line_can_be_aborted(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    inputs = {"folder": str(tmp_path), "patience": 60.0}
    busy = [place.attempt(templates["guarded"], inputs, fresh_name()) for _ in range(4)]
    last, listener = place.attempt(templates["guarded"], inputs, fresh_name()), Listener()
    for attempt in busy:
        await plugin.start(attempt, Listener())
    await plugin.start(last, listener)
    await listener.until(lambda report: report.phase is AttemptPhase.QUEUED)
    await plugin.abort(last.name, "not wanted")
    (tmp_path / "go").touch()
    assert [report.phase for report in listener.reports] == [AttemptPhase.QUEUED]
    for attempt in busy:
        await plugin.abort(attempt.name, "over")
