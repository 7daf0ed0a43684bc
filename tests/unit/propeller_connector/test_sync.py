"""Synchronous jobs, at fake services."""

from __future__ import annotations

import asyncio
import itertools

from elevon_core.errors import Internal, Unavailable
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import AttemptPhase

from tests.unit.propeller_connector.conftest import Make, Sink, World, literals

Phase = core.TaskExecution


async def test_it_runs_within_the_call(world: World, attempt: Make) -> None:
    def double(header: connector.CreateRequestHeader, inputs: core.LiteralMap) -> connector.Resource:
        outputs = literals(o=2 * inputs.literals["x"].scalar.primitive.integer)
        answer = connector.Resource(phase=Phase.SUCCEEDED, outputs=outputs)
        answer.log_links.add(uri="http://logs")
        return answer

    plugin, sink = await world.plugin(), Sink()
    world.default.sync_script = double
    await plugin.start(attempt("ask", inputs=literals(x=21)), sink)
    final = await sink.end()
    assert (final.phase, final.outputs) == (AttemptPhase.SUCCEEDED, literals(o=42))
    assert final.logs[0].uri == "http://logs"
    assert [report.phase for report in sink.reports[:-1]] == [AttemptPhase.RUNNING]
    (header,) = world.default.headers
    assert header.template.type == "ask"
    assert header.max_dataset_size_bytes == 1000
    assert header.task_execution_metadata.task_execution_id.node_execution_id.node_id == "n0"


async def test_its_own_errors_count(world: World, attempt: Make) -> None:
    def fail(header: connector.CreateRequestHeader, inputs: core.LiteralMap) -> connector.Resource:
        error = connector.AgentError(
            code="Throttled", kind=connector.AgentError.RECOVERABLE, origin=core.ExecutionError.SYSTEM
        )
        return connector.Resource(phase=Phase.FAILED, message="try later", agent_error=error)

    plugin, sink = await world.plugin(), Sink()
    world.default.sync_script = fail
    await plugin.start(attempt("ask"), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.RETRYABLE_FAILURE
    assert final.error is not None
    assert (final.error.code, final.error.kind) == ("Throttled", core.ExecutionError.SYSTEM)
    assert "try later" in final.error.message


async def test_what_a_connector_raises_fails_the_attempt(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.fail("ExecuteTaskSync", Internal("a trace"))
    await plugin.start(attempt("ask"), sink)
    final = await sink.end()
    assert final.phase is AttemptPhase.RETRYABLE_FAILURE
    assert final.error is not None
    assert "a trace" in final.error.message


async def test_an_answer_without_an_end_is_nonsense(world: World, attempt: Make) -> None:
    for number, phase in enumerate((Phase.RUNNING, 77)):
        plugin, sink = await world.plugin(), Sink()
        world.default.sync_script = lambda *_, told=phase: connector.Resource(phase=told)
        await plugin.start(attempt("ask", name=f"x-n{number}-0"), sink)
        final = await sink.end()
        assert final.phase is AttemptPhase.PERMANENT_FAILURE
        assert final.error is not None
        assert final.error.code == "BadConnectorAnswer"


async def test_it_runs_again_when_the_answer_was_lost(world: World, attempt: Make) -> None:
    plugin, sink = await world.plugin(), Sink()
    world.default.fail("ExecuteTaskSync", Unavailable("connection lost"))
    await plugin.start(attempt("ask", outputs=()), sink)
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED
    assert any("connection lost" in report.reason for report in sink.reports)


async def test_an_abort_gives_the_call_up(world: World, attempt: Make) -> None:
    plugin, began, cancelled = await world.plugin(), asyncio.Event(), asyncio.Event()

    async def endless(header: connector.CreateRequestHeader, inputs: core.LiteralMap) -> connector.Resource:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return connector.Resource()

    world.default.execute_task_sync = endless  # type: ignore[method-assign]  # a fake that takes for ever
    await plugin.start(attempt("ask"), Sink())
    await began.wait()
    await plugin.abort("x-n0-0", "not wanted")
    assert cancelled.is_set()
    assert world.default.deleted == []


async def test_a_restart_runs_it_again(world: World, attempt: Make) -> None:
    plugin = await world.plugin()
    calls = itertools.count()
    execute, began = world.default.execute_task_sync, asyncio.Event()

    async def first_endless(header: connector.CreateRequestHeader, inputs: core.LiteralMap) -> connector.Resource:
        if next(calls) == 0:
            began.set()
            await asyncio.Event().wait()
        return await execute(header, inputs)

    world.default.execute_task_sync = first_endless  # type: ignore[method-assign]  # a fake that takes for ever once
    await plugin.start(attempt("ask", outputs=()), Sink())
    await began.wait()
    plugin, sink = await world.restarted(plugin), Sink()
    await plugin.start(attempt("ask", outputs=()), sink)
    assert (await sink.end()).phase is AttemptPhase.SUCCEEDED
