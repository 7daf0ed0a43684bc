"""The process plugin with a real flytekit: what it runs, with which interpreter, files, secrets and limits."""

from __future__ import annotations

import os
import stat
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from elevon_core.errors import FailedPrecondition
from elevon_idl.core import v1 as core
from elevon_kit.blobs_obstore import ObjectBlobStore
from elevon_propeller.plugins.contract import AttemptPhase
from elevon_propeller.plugins.process.plugin import ProcessPlugin

from tests.integration.propeller_plugins.process_testing import (
    Listener,
    Names,
    Place,
    Templates,
    appears,
    described,
    plain,
    run,
    with_command,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_any_program_runs_as_a_container_task(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    task = with_command(templates["nothing"], "sh", "-c", "echo hello from $FLYTE_INTERNAL_TASK_NAME; exit 0")
    report = await run(plugin, place.attempt(task, {}, fresh_name()))
    assert report.phase is AttemptPhase.SUCCEEDED
    assert "hello from sample_tasks.nothing" in Path(report.logs[0].uri.removeprefix("file://")).read_text()


async def test_a_program_that_fails_shows_its_last_words(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    task = with_command(templates["double"], "sh", "-c", "echo goodbye >&2; exit 7")
    report = await run(plugin, place.attempt(task, {"number": 1}, fresh_name()))
    assert report.phase is AttemptPhase.RETRYABLE_FAILURE
    assert report.error is not None
    assert report.error.code == "Error"
    assert "exit code 7" in report.error.message
    assert "goodbye" in report.error.message


async def test_an_interpreter_of_an_image_is_replaced(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    task = with_command(templates["nothing"], "/opt/venv/bin/python3", "-c", "import flytekit, sys; print(sys.prefix)")
    report = await run(plugin, place.attempt(task, {}, fresh_name()))
    assert report.phase is AttemptPhase.SUCCEEDED
    assert str(place.python.parent.parent) in Path(report.logs[0].uri.removeprefix("file://")).read_text()


async def test_variables_only_a_new_interpreter_reads_are_heeded(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    attempt = place.attempt(templates["double"], {"number": 4}, fresh_name(), {"PYTHONHASHSEED": "7"})
    report = await run(plugin, attempt)
    assert report.outputs is not None
    assert plain(report.outputs.literals["o0"]) == 8


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["no-such-program"], "CommandNotFound", "'no-such-program'"),
        (["/opt/tool/bin/tool"], "CommandNotFound", "'/opt/tool/bin/tool'"),
        ([], "BadTaskSpecification", "neither command nor args"),
        (["sh", "-c", "{{.inputs.absent}}"], "FailedToBuildResource", "absent"),
        (
            ["pyflyte-fast-execute", "--additional-distribution", "file:///no/code.tar.gz", "--", "pyflyte-execute"],
            "DistributionNotFound",
            "/no/code.tar.gz",
        ),
    ],
)
async def test_what_cannot_run_here_is_refused_with_a_reason(
    plugin: ProcessPlugin,
    place: Place,
    templates: Templates,
    fresh_name: Names,
    words: list[str],
    code: str,
    hint: str,
) -> None:
    report = await run(plugin, place.attempt(with_command(templates["nothing"], *words), {}, fresh_name()))
    assert report.phase is AttemptPhase.PERMANENT_FAILURE
    assert report.error is not None
    assert report.error.code == code
    assert hint in report.error.message


async def test_a_task_type_without_a_container_is_refused(
    plugin: ProcessPlugin, place: Place, fresh_name: Names
) -> None:
    report = await run(plugin, place.attempt(core.TaskTemplate(type="strange"), {}, fresh_name()))
    assert report.phase is AttemptPhase.PERMANENT_FAILURE
    assert report.error is not None
    assert report.error.code == "UnsupportedTaskType"


async def test_a_name_taken_by_another_attempt_is_not_adopted(
    place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    mine = place.attempt(templates["guarded"], {"folder": str(tmp_path), "patience": 60.0}, fresh_name())
    stranger = place.attempt(templates["double"], {"number": 2}, mine.name)
    stranger.execution_id.project = "other"
    made = place.plugin(warm_start=False)
    await made.open()
    listener = Listener()
    await made.start(mine, listener)
    await appears(tmp_path / "starts")
    report = await run(made, stranger)
    await made.finalize(stranger.name)
    await made.close()
    assert report.phase is AttemptPhase.RETRYABLE_FAILURE
    assert report.error is not None
    assert (report.error.code, report.error.kind) == ("NameCollision", core.ExecutionError.SYSTEM)
    await made.open()
    again = await run(made, stranger)
    assert again.error is not None
    assert again.error.message == report.error.message
    await made.finalize(stranger.name)
    (tmp_path / "go").touch()
    assert (await run(made, mine)).phase is AttemptPhase.SUCCEEDED
    await made.finalize(mine.name)
    assert (await run(made, stranger)).phase is AttemptPhase.SUCCEEDED
    await made.close()
    assert len((tmp_path / "starts").read_text().split()) == 1


async def test_fast_registered_code_is_unpacked_into_the_working_folder(
    plugin: ProcessPlugin, place: Place, fresh_name: Names, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "shipped_tasks.py").write_text(
        "from flytekit import dynamic, task\n"
        "import shipped_module\n"
        "@task\n"
        "def where() -> str:\n    return shipped_module.__file__\n"
        "@dynamic\n"
        "def more() -> str:\n    return where()\n"
    )
    (code / "shipped_module.py").write_text("")
    archive = tmp_path / "fast0123.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for file in code.iterdir():
            tar.add(file, file.name)
    tasks = described(place.python, "shipped_tasks", f"file://{archive}", folder=code)
    for _ in range(2):  # the second time from the cache
        attempt = place.attempt(tasks["where"], {}, fresh_name())
        report = await run(plugin, attempt)
        assert report.phase is AttemptPhase.SUCCEEDED, report.error
        assert report.outputs is not None
        found = plain(report.outputs.literals["o0"])
        assert found == str(place.folder / "processes" / "attempts" / attempt.name / "work" / "shipped_module.py")
        assert "--dest-dir" in attempt.task.container.args
    assert not Path("/root/shipped_tasks.py").exists()
    report = await run(plugin, place.attempt(tasks["more"], {}, fresh_name()))
    assert report.futures is not None, report.error
    args = list(report.futures.tasks[0].container.args)
    assert args[args.index("--additional-distribution") + 1] == f"file://{archive}"
    assert args[args.index("--dest-dir") + 1] == "/root"


async def test_broken_files_fail_the_attempt_that_wrote_them(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    broken = "mkdir -p {{.outputPrefix}} && printf 'broken\\377' > {{.outputPrefix}}"
    outputs = with_command(templates["double"], "sh", "-c", f"{broken}/outputs.pb")
    report = await run(plugin, place.attempt(outputs, {"number": 1}, fresh_name()))
    assert report.error is not None
    assert (report.phase, report.error.code) == (AttemptPhase.RETRYABLE_FAILURE, "OutputsFileBadFormat")
    errors = with_command(templates["double"], "sh", "-c", f"{broken}/error.pb")
    report = await run(plugin, place.attempt(errors, {"number": 1}, fresh_name()))
    assert report.error is not None
    assert (report.phase, report.error.code) == (AttemptPhase.RETRYABLE_FAILURE, "ErrorFileBadFormat")
    assert report.error.kind == core.ExecutionError.SYSTEM


async def test_outputs_of_the_wrong_type_fail_for_good(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    wrong = core.LiteralMap()
    wrong.literals["o0"].scalar.primitive.string_value = "words"
    await ObjectBlobStore().write(f"file://{tmp_path}/wrong.pb", wrong.SerializeToString())
    words = f"mkdir -p {{{{.outputPrefix}}}} && cp {tmp_path}/wrong.pb {{{{.outputPrefix}}}}/outputs.pb"
    report = await run(
        plugin, place.attempt(with_command(templates["double"], "sh", "-c", words), {"number": 1}, fresh_name())
    )
    assert report.error is not None
    assert (report.phase, report.error.code) == (AttemptPhase.PERMANENT_FAILURE, "OutputsTypeMismatch")
    assert "o0 is str, int is expected" in report.error.message


async def test_missing_outputs_are_noticed(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    task = with_command(templates["double"], "true")
    report = await run(plugin, place.attempt(task, {"number": 1}, fresh_name()))
    assert report.error is not None
    assert (report.phase, report.error.code) == (AttemptPhase.RETRYABLE_FAILURE, "OutputsNotFound")


async def test_secrets_reach_those_who_ask(
    place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "key").write_text("hush\n")
    made = place.plugin(secrets_folder=tmp_path, warm_start=False)
    await made.open()
    task = with_command(templates["nothing"], "sh", "-c", 'test "$_FSEC_GROUP_KEY" = hush')
    task.security_context.secrets.add(group="group", key="key")
    assert (await run(made, place.attempt(task, {}, fresh_name()))).phase is AttemptPhase.SUCCEEDED
    (tmp_path / "group" / "more").write_text("whisper")
    both = with_command(task, "sh", "-c", 'test "$_FSEC_GROUP_KEY $_FSEC_GROUP_MORE" = "hush whisper"')
    of_execution = core.SecurityContext(secrets=[core.Secret(group="group", key="more")])
    attempt = replace(place.attempt(both, {}, fresh_name()), security_context=of_execution)
    assert (await run(made, attempt)).phase is AttemptPhase.SUCCEEDED
    task.security_context.secrets.add(group="group", key="other")
    report = await run(made, place.attempt(task, {}, fresh_name()))
    assert report.error is not None
    assert (report.phase, report.error.code) == (AttemptPhase.PERMANENT_FAILURE, "SecretNotFound")
    await made.close()


async def test_limits_bind_the_task(place: Place, templates: Templates, fresh_name: Names) -> None:
    made = place.plugin(limits={"open_files": 64}, warm_start=False)
    await made.open()
    task = with_command(templates["nothing"], "sh", "-c", 'test "$(ulimit -n)" = 64')
    assert (await run(made, place.attempt(task, {}, fresh_name()))).phase is AttemptPhase.SUCCEEDED
    await made.close()


async def test_a_python_that_is_none_is_named(place: Place, tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="absent/python"):
        await place.plugin(python=tmp_path / "absent" / "python").open()


async def test_a_python_without_flytekit_says_what_to_do(
    place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {os.path.realpath(place.python)} -S "$@"\n')
    bare.chmod(bare.stat().st_mode | stat.S_IXUSR)
    made = place.plugin(python=bare, warm_start=False)
    await made.open()
    report = await run(made, place.attempt(templates["double"], {"number": 1}, fresh_name()))
    assert report.error is not None
    assert (report.phase, report.error.code) == (AttemptPhase.PERMANENT_FAILURE, "FlytekitNotFound")
    assert "plugins.process.python" in report.error.message
    task = with_command(templates["nothing"], "true")
    assert (await run(made, place.attempt(task, {}, fresh_name()))).phase is AttemptPhase.SUCCEEDED
    await made.close()


async def test_modules_to_preload_are_there_before_the_task_asks_for_them(
    place: Place, flytekit_python: Path, fresh_name: Names
) -> None:
    heavy = described(flytekit_python, "heavy_tasks")
    for preload, known in (["pandas", "no_such_module"], 1.0), ([], 0.0):
        plugin = place.plugin(preload=preload)
        await plugin.open()
        report = await run(plugin, place.attempt(heavy["look"], {}, fresh_name()))
        await plugin.close()
        assert report.outputs is not None, report
        seen = report.outputs.literals["o0"].map.literals
        assert plain(seen["known"]) == known
        assert plain(seen["sum"]) == 3.0


async def test_a_variable_preloaded_libraries_read_gets_an_interpreter_of_its_own(
    place: Place, flytekit_python: Path, fresh_name: Names
) -> None:
    heavy = described(flytekit_python, "heavy_tasks")
    plugin = place.plugin(preload=["pandas"])
    await plugin.open()
    report = await run(plugin, place.attempt(heavy["look"], {}, fresh_name(), {"OMP_NUM_THREADS": "1"}))
    await plugin.close()
    assert report.outputs is not None, report
    assert plain(report.outputs.literals["o0"].map.literals["known"]) == 0.0


async def test_what_was_never_finalized_is_told_after_a_restart(
    place: Place, templates: Templates, fresh_name: Names
) -> None:
    first, attempt = place.plugin(), place.attempt(templates["nothing"], {}, fresh_name())
    await first.open()
    await run(first, attempt)
    assert attempt.name not in {each.name for each in await first.leftovers()}
    await first.close()
    (place.folder / "processes" / "attempts" / "never-launched").mkdir()
    second = place.plugin()
    await second.open()
    (found,) = (each for each in await second.leftovers() if each.name == attempt.name)
    assert (found.project, found.domain, found.execution) == ("flytesnacks", "development", "x")
    assert (found.node_id, found.number) == (attempt.node_id, 0)
    await second.finalize(found.name)
    assert attempt.name not in os.listdir(place.folder / "processes" / "attempts")
    assert "never-launched" not in os.listdir(place.folder / "processes" / "attempts")
    await second.close()


async def test_the_latest_checkpoint_that_was_written_is_handed_on(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "_dst_cp").touch()
    show = with_command(templates["double"], "/bin/echo", "before: {{.prevCheckpointPrefix}}")
    for folders, told in ((["second", "first"], tmp_path / "first"), (["second"], '""'), ([], '""')):
        attempt = place.attempt(show, {"number": 1}, fresh_name())
        earlier = tuple(f"file://{tmp_path / folder}" for folder in folders)
        report = await run(plugin, replace(attempt, paths=replace(attempt.paths, earlier_checkpoints=earlier)))
        assert f"before: {told}\n" in Path(report.logs[0].uri.removeprefix("file://")).read_text()
