"""The life of asynchronous jobs, at fake services."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from elevon_core.errors import (
    DeadlineExceeded,
    ElevonError,
    Internal,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.connector.service import NonsenseAnswer
from elevon_propeller.plugins.contract import AttemptPhase

from tests.unit.propeller_connector.conftest import Make, Sink, World, eventually, literals

Phase = core.TaskExecution
JOB = b"job-1"


def resource(phase: Phase.Phase.ValueType, message: str = "", **values: int) -> connector.Resource:
    made = connector.Resource(phase=phase, message=message)
    if values:
        made.outputs.CopyFrom(literals(**values))
    return made


async def test_a_job_is_made_followed_and_its_outputs_are_taken(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    assert plugin.task_types == {"query", "ask", "train"}
    await plugin.start(attempt(), sink)
    await sink.until(lambda report: report.phase is AttemptPhase.QUEUED)
    running = resource(Phase.RUNNING, "half way")
    running.log_links.add(uri="http://logs/1", name="Job")
    running.custom_info["page"] = 3
    world.default.set(JOB, running)
    seen = await sink.says("half way")
    assert seen.phase is AttemptPhase.RUNNING
    assert [log.uri for log in seen.logs] == ["http://logs/1"]
    assert seen.custom_info is not None
    assert seen.custom_info["page"] == 3
    world.default.set(JOB, resource(Phase.SUCCEEDED, "done", o=7))
    final = await sink.end()
    assert (final.phase, final.outputs, final.reason) == (AttemptPhase.SUCCEEDED, literals(o=7), "done")
    await plugin.finalize("x-n0-0")
    assert "job/x-n0-0" not in world.state.records
    (created,) = world.default.created
    assert created.output_prefix == "s3://m/x/n0/data/0"
    assert world.other.created == []


async def test_each_message_is_told_once(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.script = lambda _: resource(Phase.RUNNING, "one")
    await plugin.start(attempt(), sink)
    await eventually(lambda: len(world.default.looked_at) > 3)
    world.default.set(JOB, resource(Phase.RUNNING, "two"))
    await sink.says("two")
    world.default.set(JOB, resource(Phase.SUCCEEDED, o=1))
    await sink.end()
    assert [report.reason for report in sink.reports] == ["one", "two", ""]


async def test_outputs_may_lie_in_a_file(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.script = lambda _: resource(Phase.SUCCEEDED)
    await world.blobs.write("s3://m/x/n0/data/0/outputs.pb", literals(o=5).SerializeToString())
    await plugin.start(attempt(), sink)
    final = await sink.end()
    assert final.outputs == literals(o=5)
    assert final.has_outputs_file


async def test_an_error_document_wins_over_the_connectors_success(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.script = lambda _: resource(Phase.SUCCEEDED)
    document = core.ErrorDocument(error=core.ContainerError(code="USER:Bad", message="no"))
    await world.blobs.write("s3://m/x/n0/data/0/error.pb", document.SerializeToString())
    await plugin.start(attempt(), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.PERMANENT_FAILURE
    assert final.error is not None
    assert final.error.code == "USER:Bad"


async def test_a_restart_goes_on_with_the_job_it_has(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    await plugin.start(attempt(), Sink())
    await eventually(lambda: "job/x-n0-0" in world.state.records)
    plugin, sink = await world.restarted(plugin), Sink()
    world.default.set(JOB, resource(Phase.SUCCEEDED, o=1))
    await plugin.start(attempt(), sink)
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED
    assert len(world.default.created) == 1


async def test_a_job_stays_with_its_endpoint_when_routes_change(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    await plugin.start(attempt(), Sink())
    await eventually(lambda: "job/x-n0-0" in world.state.records)
    plugin, sink = await world.restarted(plugin, task_types={"query": "other"}), Sink()
    world.default.set(JOB, resource(Phase.SUCCEEDED, o=1))
    await plugin.start(attempt(), sink)
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED
    assert world.other.created == []


async def test_closing_sees_a_creation_to_its_end(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    create, began, may_end = world.default.create_task, asyncio.Event(), asyncio.Event()

    async def slow(request: connector.CreateTaskRequest) -> bytes:
        began.set()
        await may_end.wait()
        return await create(request)

    world.default.create_task = slow  # type: ignore[method-assign]  # a slower fake
    await plugin.start(attempt(), Sink())
    await began.wait()
    closing = asyncio.create_task(plugin.close())
    await asyncio.sleep(0)
    may_end.set()
    await closing
    assert len(world.default.created) == 1
    assert "job/x-n0-0" in world.state.records


async def test_the_same_request_is_sent_again_when_the_answer_was_lost(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    create, requests = world.default.create_task, []

    async def forgetful(request: connector.CreateTaskRequest) -> bytes:
        requests.append(request.SerializeToString(deterministic=True))
        if len(requests) == 1:
            raise DeadlineExceeded("too slow")
        return await create(request)

    world.default.create_task = forgetful  # type: ignore[method-assign]  # a fake that answers too late
    await plugin.start(attempt(), sink)
    world.default.script = lambda _: resource(Phase.SUCCEEDED, o=1)
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED
    assert requests[0] == requests[1]
    assert "too slow" in sink.reports[0].reason


@pytest.mark.parametrize(
    ("error", "phase", "code", "kind"),
    [
        (Internal("failed to create"), AttemptPhase.RETRYABLE_FAILURE, "TaskFailedWithError", "USER"),
        (NotFound("no connector"), AttemptPhase.RETRYABLE_FAILURE, "TaskFailedWithError", "USER"),
        (InvalidArgument("no table"), AttemptPhase.PERMANENT_FAILURE, "TaskFailedWithError", "USER"),
        (
            ResourceExhausted("Sent message larger than max (9 vs. 1)"),
            AttemptPhase.PERMANENT_FAILURE,
            "TaskFailedWithError",
            "USER",
        ),
        (NonsenseAnswer("cannot be read"), AttemptPhase.PERMANENT_FAILURE, "BadConnectorAnswer", "SYSTEM"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ElevonError) else None,
)
async def test_a_refused_creation_fails_the_attempt(
    world: World, attempt: Make, error: ElevonError, phase: AttemptPhase, code: str, kind: str
) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.fail("CreateTask", error)
    await plugin.start(attempt(), sink)
    final = await sink.end()
    assert final.phase is phase
    assert final.error is not None
    assert (final.error.code, core.ExecutionError.ErrorKind.Name(final.error.kind)) == (code, kind)
    assert error.message in final.error.message
    assert "'default' at default:1" in final.error.message


async def test_too_many_unanswered_creations_are_a_system_failure(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(max_failures=2), Sink()
    world.default.fail("CreateTask", *[DeadlineExceeded("slow")] * 2)
    await plugin.start(attempt(), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.RETRYABLE_FAILURE
    assert final.error is not None
    assert (final.error.code, final.error.kind) == ("ConnectorUnavailable", core.ExecutionError.SYSTEM)


async def test_looks_that_fail_are_forgotten_once_one_succeeds(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(max_failures=2), Sink()
    for _ in range(3):
        world.default.fail("GetTask", Internal("hiccup"))
        looks = len(world.default.looked_at)
        if not sink.reports:
            await plugin.start(attempt(), sink)
        await eventually(partial(_more_looks, world, looks))
    world.default.set(JOB, resource(Phase.SUCCEEDED, o=1))
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED


async def test_a_job_that_cannot_be_looked_at_is_deleted_and_fails(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(max_failures=3), Sink()
    world.default.fail("GetTask", *[Internal("a trace")] * 3)
    await plugin.start(attempt(), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.PERMANENT_FAILURE
    assert final.error is not None
    assert (final.error.code, final.error.kind) == ("AutoRefreshCacheFailed", core.ExecutionError.USER)
    assert "3 times in a row" in final.error.message
    assert "a trace" in final.error.message
    assert world.default.deleted == []
    await plugin.finalize("x-n0-0")
    await eventually(lambda: world.default.deleted)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (connector.Resource(phase=77), "77"),  # type: ignore[arg-type]  # a phase there is not
        (connector.Resource(state=99), "99"),  # type: ignore[arg-type]  # a state there is not
    ],
)
async def test_nonsense_fails_for_good_says_so_and_the_job_is_deleted(
    world: World, attempt: Make, answer: connector.Resource, words: str
) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.script = lambda _: answer
    await plugin.start(attempt(), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.PERMANENT_FAILURE
    assert final.error is not None
    assert final.error.code == "BadConnectorAnswer"
    assert words in final.error.message
    assert "default:1" in final.error.message
    await plugin.finalize("x-n0-0")
    await eventually(lambda: world.default.deleted)


async def test_throttling_is_waited_for(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(max_failures=1), Sink()
    world.default.fail("CreateTask", ResourceExhausted("slow down"))
    world.default.fail("GetTask", ResourceExhausted("slow down please"))
    world.default.script = lambda _: resource(Phase.SUCCEEDED, o=1)
    await plugin.start(attempt(), sink)
    assert (await sink.says("slow down")).phase is AttemptPhase.QUEUED
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED


async def test_a_task_waits_for_a_service_that_is_away(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.leave()
    await plugin.start(attempt(), sink)
    waiting = await sink.says("cannot be reached since")
    assert waiting.phase is AttemptPhase.QUEUED
    assert "default:1" in waiting.reason
    assert "away" in waiting.reason
    world.default.come_back()
    world.default.script = lambda _: resource(Phase.SUCCEEDED, o=1)
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED


async def test_a_job_goes_on_when_its_service_comes_back(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.script = lambda _: resource(Phase.RUNNING, "working")
    await plugin.start(attempt(), sink)
    await sink.says("working")
    world.default.leave()
    assert (await sink.says("cannot be reached since")).phase is AttemptPhase.RUNNING
    world.default.set(JOB, resource(Phase.SUCCEEDED, o=1))
    world.default.come_back()
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED
    assert len(world.default.created) == 1


async def test_patience_ends(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(patience=timedelta(milliseconds=50)), Sink()
    world.default.leave()
    await plugin.start(attempt(), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.RETRYABLE_FAILURE
    assert final.error is not None
    assert (final.error.code, final.error.kind) == ("ConnectorUnavailable", core.ExecutionError.SYSTEM)
    assert "default:1" in final.error.message


async def test_an_outage_seen_in_answers_is_an_outage_too(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.script = lambda _: resource(Phase.SUCCEEDED, o=1)
    world.default.fail("GetTask", Unavailable("behind a proxy"))
    await plugin.start(attempt(), sink)
    assert "behind a proxy" in (await sink.says("cannot be reached")).reason
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED


async def test_a_job_whose_endpoint_is_gone_from_the_settings_fails(world: World, attempt: Make) -> None:
    plugin = await world.plugin(task_types={"query": "other"})
    await plugin.start(attempt(), Sink())
    await eventually(lambda: "job/x-n0-0" in world.state.records)
    await plugin.close()
    world.opened.remove(plugin)
    record = world.state.records["job/x-n0-0"].replace(b'"other"', b'"former"')
    world.state.records["job/x-n0-0"] = record
    plugin, sink = await world.plugin(), Sink()
    await plugin.start(attempt(), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.RETRYABLE_FAILURE
    assert final.error is not None
    assert "'former', which is not configured any more" in final.error.message


async def test_a_broken_record_counts_as_none(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.state.records["job/x-n0-0"] = b"\xff"
    world.default.script = lambda _: resource(Phase.SUCCEEDED, o=1)
    await plugin.start(attempt(), sink)
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED


async def test_another_attempts_job_is_not_taken_over(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    await plugin.start(attempt(), Sink())
    await eventually(lambda: "job/x-n0-0" in world.state.records)
    plugin, sink = await world.restarted(plugin), Sink()
    await plugin.start(attempt(number=1), sink)
    final = await sink.end()
    assert final.error is not None
    assert final.error.code == "NameCollision"


async def test_a_container_finds_its_files(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.script = lambda _: resource(Phase.SUCCEEDED, o=1)
    container = core.Container(args=["run", "{{.input}}", "{{ .taskTemplatePath }}"])
    await plugin.start(attempt(template=core.TaskTemplate(container=container)), sink)
    await sink.end()
    arguments = list(world.default.created[0].template.container.args)
    assert arguments == ["run", "s3://m/x/n0/data/inputs.pb", "s3://m/x/n0/data/task.pb"]
    assert await world.blobs.read(arguments[1]) == literals(x=1).SerializeToString(deterministic=True)
    assert core.TaskTemplate.FromString(await world.blobs.read(arguments[2])).container == container


async def test_arguments_that_cannot_be_rendered_fail_for_good(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    container = core.Container(args=["{{.inputs.y}}"])
    await plugin.start(attempt(template=core.TaskTemplate(container=container)), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.PERMANENT_FAILURE
    assert final.error is not None
    assert final.error.code == "FailedToBuildResource"
    assert world.default.created == []


def _more_looks(world: World, before: int) -> bool:
    return len(world.default.looked_at) > before
