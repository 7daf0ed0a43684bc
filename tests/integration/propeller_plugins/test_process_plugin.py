"""The process plugin with a real flytekit: what tasks do, and what is reported of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import AttemptPhase
from elevon_propeller.plugins.process.plugin import ProcessPlugin

from tests.integration.propeller_plugins.process_testing import (
    Listener,
    Names,
    Place,
    Templates,
    described,
    plain,
    run,
    with_command,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_task_succeeds_with_outputs_and_a_log(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    listener, attempt = Listener(), place.attempt(templates["double"], {"number": 21}, fresh_name())
    await plugin.start(attempt, listener)
    report = await listener.final()
    assert report.phase is AttemptPhase.SUCCEEDED
    assert report.outputs is not None
    assert plain(report.outputs.literals["o0"]) == 42
    assert report.has_outputs_file
    assert [seen.phase for seen in listener.reports] == [AttemptPhase.RUNNING, AttemptPhase.SUCCEEDED]
    (log,) = report.logs
    assert log.name == "Task Log"
    assert "doubling 21" in Path(log.uri.removeprefix("file://")).read_text()


async def test_a_task_without_outputs_succeeds(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    report = await run(plugin, place.attempt(templates["nothing"], {}, fresh_name()))
    assert (report.phase, report.outputs) == (AttemptPhase.SUCCEEDED, core.LiteralMap())


async def test_an_exception_is_the_users_and_final(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    report = await run(plugin, place.attempt(templates["refuse"], {"number": 1}, fresh_name()))
    assert report.phase is AttemptPhase.PERMANENT_FAILURE
    assert report.error is not None
    assert report.error.code == "USER:RuntimeError"
    assert report.error.kind == core.ExecutionError.USER
    assert "ValueError: 1 is refused" in report.error.message


async def test_a_recoverable_exception_may_be_tried_again(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    report = await run(plugin, place.attempt(templates["try_again"], {"number": 1}, fresh_name()))
    assert report.phase is AttemptPhase.RETRYABLE_FAILURE
    assert report.error is not None
    assert (report.error.code, report.error.kind) == ("USER:Recoverable", core.ExecutionError.USER)


async def test_a_task_that_cannot_be_imported_is_the_users_failure(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    task = core.TaskTemplate()
    task.CopyFrom(templates["double"])
    words = ["absent_module" if word == "sample_tasks" else word for word in task.container.args]
    report = await run(plugin, place.attempt(with_command(task, *words), {"number": 1}, fresh_name()))
    assert report.phase is AttemptPhase.PERMANENT_FAILURE
    assert report.error is not None
    assert "absent_module" in report.error.message


async def test_sys_exit_is_retried_at_the_users_expense_with_the_log(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    report = await run(plugin, place.attempt(templates["leave"], {"code": 3}, fresh_name()))
    assert report.phase is AttemptPhase.RETRYABLE_FAILURE
    assert report.error is not None
    assert (report.error.code, report.error.kind) == ("Error", core.ExecutionError.USER)
    assert "exit code 3" in report.error.message
    assert "leaving early" in report.error.message


@pytest.mark.parametrize("number", [9, 15])
async def test_a_killed_task_was_interrupted(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, number: int
) -> None:
    report = await run(plugin, place.attempt(templates["kill_myself"], {"number": number}, fresh_name()))
    assert report.phase is AttemptPhase.RETRYABLE_FAILURE
    assert report.error is not None
    assert (report.error.code, report.error.kind) == ("Interrupted", core.ExecutionError.SYSTEM)
    assert f"signal {number}" in report.error.message


async def test_outputs_over_the_limit_fail_for_good(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    report = await run(plugin, place.attempt(templates["big"], {"megabytes": 2}, fresh_name()))
    assert report.phase is AttemptPhase.PERMANENT_FAILURE
    assert report.error is not None
    assert report.error.code == "OutputSizeExceeded"


async def test_outputs_of_every_kind_fit_the_interface(
    plugin: ProcessPlugin, place: Place, flytekit_python: Path, fresh_name: Names
) -> None:
    task = described(flytekit_python, "kinds_of_values")["all_kinds"]
    report = await run(plugin, place.attempt(task, {}, fresh_name()))
    assert report.phase is AttemptPhase.SUCCEEDED, report.error
    assert report.outputs is not None
    assert len(report.outputs.literals) == 18


async def test_a_deck_is_found(plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names) -> None:
    attempt = place.attempt(templates["decked"], {"number": 1}, fresh_name())
    report = await run(plugin, attempt)
    assert (report.phase, report.deck_uri) == (AttemptPhase.SUCCEEDED, attempt.paths.deck)


async def test_a_dynamic_task_answers_its_futures(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    report = await run(plugin, place.attempt(templates["fan_out"], {"count": 3}, fresh_name()))
    assert report.phase is AttemptPhase.SUCCEEDED, report.error
    assert report.futures is not None
    assert len(report.futures.nodes) == 3


async def test_a_map_task_item_takes_its_place_in_the_list(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    index = {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "FLYTE_K8S_ARRAY_INDEX", "FLYTE_K8S_ARRAY_INDEX": "2"}
    report = await run(plugin, place.attempt(templates["squares"], {"number": [1, 2, 3]}, fresh_name(), index))
    assert report.phase is AttemptPhase.SUCCEEDED, report.error
    assert report.outputs is not None
    assert plain(report.outputs.literals["o0"]) == 9


async def test_the_environment_is_made_from_nothing(
    plugin: ProcessPlugin,
    place: Place,
    templates: Templates,
    fresh_name: Names,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leaks")
    attempt = place.attempt(templates["look_around"], {}, fresh_name(), {"MINE": "yes"})
    report = await run(plugin, attempt)
    assert report.outputs is not None
    seen = plain(report.outputs.literals["o0"])
    assert "AWS_SECRET_ACCESS_KEY" not in seen
    assert (seen["MINE"], seen["FLYTE_ATTEMPT_NUMBER"], seen["FLYTE_INTERNAL_EXECUTION_ID"]) == ("yes", "0", "x")
    assert seen["PATH"].startswith(str(place.python.parent))
    own = str(place.folder / "processes" / "attempts" / attempt.name)
    assert all(seen[name].startswith(own) for name in ("HOME", "TMPDIR", "cwd"))
    assert seen["main"].endswith("/pyflyte-execute")
    assert seen["files"] == ""


async def test_nothing_leaks_from_one_attempt_to_the_next(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    for word in ("first", "second"):
        report = await run(plugin, place.attempt(templates["remember"], {"word": word}, fresh_name()))
        assert report.outputs is not None
        assert plain(report.outputs.literals["o0"]) == "nothing"


async def test_attempts_draw_different_numbers(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    drawn = [await run(plugin, place.attempt(templates["draw"], {}, fresh_name())) for _ in range(3)]
    assert len({report.outputs.SerializeToString() for report in drawn if report.outputs is not None}) == 3
