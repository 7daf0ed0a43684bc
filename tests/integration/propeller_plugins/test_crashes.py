"""Whatever is killed and whenever: no attempt runs twice at a time, no result is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import AttemptPhase
from elevon_propeller.plugins.process.plugin import ProcessPlugin

from tests.integration.propeller_plugins.driver import Job
from tests.integration.propeller_plugins.process_testing import (
    Listener,
    Place,
    Templates,
    appears,
    is_alive,
    plain,
    run,
)

NAME = "x-n0-0"


@pytest.fixture
def place(tmp_path: Path, flytekit_python: Path) -> Iterator[Place]:
    """A folder for one test; what still runs in it afterwards is ended."""
    made = Place(tmp_path, flytekit_python)
    yield made
    for pid in server_pids(made):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    """Where guarded tasks leave traces."""
    folder = tmp_path / "witness"
    folder.mkdir()
    return folder


def server_pids(place: Place) -> list[int]:
    found = [int(file.read_text()) for file in (place.folder / "processes" / "servers").glob("*/pid")]
    return [pid for pid in found if is_alive(pid)]


async def until_dead(*pids: int) -> None:
    while any(is_alive(pid) for pid in pids):
        await asyncio.sleep(0.01)


def starts(witness: Path) -> list[int]:
    file = witness / "starts"
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


def guarded(witness: Path) -> dict[str, Any]:
    return {"folder": str(witness), "patience": 100.0}


@contextmanager
def driving(job: Job) -> Iterator[Any]:
    """A driver that is killed in the end."""
    process = job.start()
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def opened(place: Place, **settings: Any) -> AsyncIterator[ProcessPlugin]:
    plugin = place.plugin(**settings)
    await plugin.open()
    try:
        yield plugin
    finally:
        await plugin.close()


async def test_a_running_attempt_is_found_again_after_a_crash(
    place: Place, templates: Templates, witness: Path
) -> None:
    with driving(Job(place, {}, [(NAME, templates["guarded"], guarded(witness))])):
        await appears(witness / "starts")
    listener = Listener()
    async with opened(place) as plugin:
        await plugin.start(place.attempt(templates["guarded"], guarded(witness)), listener)
        await listener.until(lambda report: report.phase is AttemptPhase.RUNNING)
        (witness / "go").touch()
        report = await listener.final()
    assert report.phase is AttemptPhase.SUCCEEDED
    assert report.outputs is not None
    assert plain(report.outputs.literals["o0"]) == "went"
    assert len(starts(witness)) == 1


async def test_an_attempt_that_ended_while_nobody_looked_is_not_run_again(
    place: Place, templates: Templates, witness: Path
) -> None:
    with driving(Job(place, {}, [(NAME, templates["guarded"], guarded(witness))])):
        await appears(witness / "starts")
    (witness / "go").touch()
    await appears(place.folder / "processes" / "attempts" / NAME / "exit.json")
    (server,) = server_pids(place)
    os.kill(server, signal.SIGKILL)
    async with opened(place) as plugin:
        report = await run(plugin, place.attempt(templates["guarded"], guarded(witness)))
    assert report.phase is AttemptPhase.SUCCEEDED
    assert len(starts(witness)) == 1


async def test_after_the_grace_attempts_are_ended_and_run_again(
    place: Place, templates: Templates, witness: Path
) -> None:
    settings = {"grace": 0.3}
    with driving(Job(place, settings, [(NAME, templates["guarded"], guarded(witness))])):
        await appears(witness / "starts")
        (server,) = server_pids(place)
    await until_dead(server, *starts(witness))
    async with opened(place) as plugin:
        listener = Listener()
        await plugin.start(place.attempt(templates["guarded"], guarded(witness)), listener)
        await listener.until(lambda report: report.phase is AttemptPhase.RUNNING)
        (witness / "go").touch()
        assert (await listener.final()).phase is AttemptPhase.SUCCEEDED
    assert len(starts(witness)) == 2
    assert not (witness / "overlap").exists()


async def test_attempts_die_with_their_fork_server_and_a_new_one_takes_over(
    place: Place, templates: Templates, witness: Path
) -> None:
    async with opened(place) as plugin:
        listener = Listener()
        await plugin.start(place.attempt(templates["guarded"], guarded(witness)), listener)
        await appears(witness / "starts")
        (server,) = server_pids(place)
        os.kill(server, signal.SIGKILL)
        report = await listener.final()
        assert report.phase is AttemptPhase.RETRYABLE_FAILURE
        assert report.error is not None
        assert (report.error.code, report.error.kind) == ("Interrupted", core.ExecutionError.SYSTEM)
        assert not any(is_alive(pid) for pid in starts(witness))
        (witness / "go").touch()
        again = await run(plugin, place.attempt(templates["guarded"], guarded(witness), "x-n0-1"))
        assert again.phase is AttemptPhase.SUCCEEDED
    assert not (witness / "overlap").exists()


async def test_when_both_are_killed_nothing_of_the_attempt_survives_the_next_start(
    place: Place, templates: Templates, witness: Path
) -> None:
    inputs = {"folder": str(witness)}
    with driving(Job(place, {}, [(NAME, templates["with_children"], inputs)])) as driver:
        await appears(witness / "ready")
        (server,) = server_pids(place)
        os.kill(driver.pid, signal.SIGSTOP)  # it must not get to clean up
        os.kill(server, signal.SIGKILL)
    children = [int((witness / name).read_text()) for name in ("near", "far", "forked")]
    assert any(is_alive(pid) for pid in children)
    for file in witness.iterdir():
        file.unlink()
    async with opened(place) as plugin:
        listener = Listener()
        await plugin.start(place.attempt(templates["with_children"], inputs), listener)
        await listener.until(lambda report: report.phase is AttemptPhase.RUNNING)
        assert not any(is_alive(pid) for pid in children)
        (witness / "go").touch()
        assert (await listener.final()).phase is AttemptPhase.SUCCEEDED


async def test_an_attempt_started_before_a_crash_can_be_aborted(
    place: Place, templates: Templates, witness: Path
) -> None:
    with driving(Job(place, {}, [(NAME, templates["guarded"], guarded(witness))])):
        await appears(witness / "starts")
    async with opened(place) as plugin:
        assert all(is_alive(pid) for pid in starts(witness))
        await plugin.abort(NAME, "not wanted")
        assert not any(is_alive(pid) for pid in starts(witness))
        await plugin.finalize(NAME)
    assert not (place.folder / "processes" / "attempts" / NAME).exists()


async def test_attempts_of_a_dead_server_can_be_aborted(place: Place, templates: Templates, witness: Path) -> None:
    with driving(Job(place, {}, [(NAME, templates["with_children"], {"folder": str(witness)})])) as driver:
        await appears(witness / "ready")
        os.kill(driver.pid, signal.SIGSTOP)
        os.kill(server_pids(place)[0], signal.SIGKILL)
    children = [int((witness / name).read_text()) for name in ("near", "far", "forked")]
    async with opened(place, warm_start=False) as plugin:
        await plugin.abort(NAME, "not wanted")
    assert not any(is_alive(pid) for pid in children)


async def test_attempts_outlive_a_restart_in_good_order(place: Place, templates: Templates, witness: Path) -> None:
    attempt = place.attempt(templates["guarded"], guarded(witness))
    async with opened(place) as plugin:
        await plugin.start(attempt, Listener())
        await appears(witness / "starts")
    async with opened(place) as plugin:
        (witness / "go").touch()
        assert (await run(plugin, attempt)).phase is AttemptPhase.SUCCEEDED
    assert len(starts(witness)) == 1


async def test_attempts_end_with_the_service_when_so_configured(
    place: Place, templates: Templates, witness: Path
) -> None:
    attempt = place.attempt(templates["guarded"], guarded(witness))
    async with opened(place, keep_running=False) as plugin:
        await plugin.start(attempt, Listener())
        await appears(witness / "starts")
    assert not any(is_alive(pid) for pid in starts(witness))
    await until_dead(*server_pids(place))
    (witness / "go").touch()
    async with opened(place) as plugin:
        assert (await run(plugin, attempt)).phase is AttemptPhase.SUCCEEDED
    assert len(starts(witness)) == 2
    assert not (witness / "overlap").exists()


async def test_an_idle_server_leaves_with_the_service(place: Place, templates: Templates) -> None:
    async with opened(place) as plugin:
        await run(plugin, place.attempt(templates["double"], {"number": 1}))
        assert len(server_pids(place)) == 1
    await until_dead(*server_pids(place))


async def test_a_stopped_server_is_replaced(place: Place, templates: Templates, witness: Path) -> None:
    with driving(Job(place, {}, [(NAME, templates["guarded"], guarded(witness))])):
        await appears(witness / "starts")
        (server,) = server_pids(place)
        os.kill(server, signal.SIGSTOP)
    async with opened(place, start_timeout=timedelta(seconds=5)):
        assert not is_alive(server)
    async with opened(place) as plugin:  # a new one needs longer to start on a busy machine
        (witness / "go").touch()
        report = await run(plugin, place.attempt(templates["guarded"], guarded(witness)))
    assert report.phase is AttemptPhase.SUCCEEDED
    assert not (witness / "overlap").exists()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
async def test_any_order_of_crashes_ends_well(place: Place, templates: Templates, witness: Path, seed: int) -> None:
    chance = random.Random(seed)
    folders = [witness / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
    attempts = [
        (f"x-n{number}-0", templates["guarded"], {"folder": str(folder), "patience": 0.2 * (number + 1)})
        for number, folder in enumerate(folders)
    ]
    for _ in range(4):
        with driving(Job(place, {"slots": 3}, attempts)) as driver:
            await asyncio.sleep(chance.uniform(0.5, 3.0))
            victims = chance.choice(["driver", "server", "both"])
            for pid in server_pids(place) if victims != "driver" else []:
                os.kill(pid, signal.SIGKILL)
            if victims == "server":
                await asyncio.sleep(chance.uniform(0, 0.3))
            driver.kill()
    async with opened(place, slots=3) as plugin:
        listeners = [Listener() for _ in attempts]
        for (name, task, inputs), listener in zip(attempts, listeners, strict=True):
            await plugin.start(place.attempt(task, inputs, name), listener)
        reports = await asyncio.gather(*(listener.final() for listener in listeners))
    ends = {(report.phase, report.error.code if report.error else "") for report in reports}
    assert ends <= {(AttemptPhase.SUCCEEDED, ""), (AttemptPhase.RETRYABLE_FAILURE, "Interrupted")}
    assert not any((folder / "overlap").exists() for folder in folders)
