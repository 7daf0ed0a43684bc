"""Eager workflows end, whatever the thread is at that looks after what they run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import AttemptPhase
from elevon_propeller.plugins.process.plugin import ProcessPlugin

from tests.integration.propeller_plugins.process_testing import Place, described, plain, run

pytestmark = pytest.mark.asyncio(loop_scope="module")

Templates = dict[str, core.TaskTemplate]


@pytest.fixture(scope="module")
def controlling(flytekit_python: Path) -> Templates:
    return described(flytekit_python, "controlling_tasks")


@pytest.mark.parametrize(("name", "answer"), [("end_while_it_asks", 42), ("see_a_call_that_cannot_be_launched", True)])
async def test_what_has_its_result_ends_with_it(
    plugin: ProcessPlugin, place: Place, controlling: Templates, name: str, answer: int
) -> None:
    async with asyncio.timeout(30):
        report = await run(plugin, place.attempt(controlling[name], {}, f"x-{name}-0"))
    assert report.phase is AttemptPhase.SUCCEEDED, report.error
    assert report.outputs is not None
    assert plain(report.outputs.literals["o0"]) == answer


async def test_nobody_waits_for_a_thread_that_has_failed(
    plugin: ProcessPlugin, place: Place, controlling: Templates
) -> None:
    task = controlling["wait_for_results_that_cannot_be_read"]
    async with asyncio.timeout(30):
        report = await run(plugin, place.attempt(task, {}, "x-fail-0"))
    assert report.phase is AttemptPhase.RETRYABLE_FAILURE
    assert report.error is not None
    assert "Error in eager execution processor" in report.error.message
    assert "exit code 1" in report.error.message
