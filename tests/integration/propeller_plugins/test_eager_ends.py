"""Eager workflows end, whatever the thread is at that looks after what they run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from elevon_propeller.plugins.contract import AttemptPhase
from elevon_propeller.plugins.process.plugin import ProcessPlugin

from tests.integration.propeller_plugins.process_testing import Place, Templates, described, plain, run

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def controlling(flytekit_python: Path) -> Templates:
    return described(flytekit_python, "controlling_tasks")


@pytest.fixture(params=[{}, {"PYTHONHASHSEED": "7"}], ids=["forked", "anew"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """Without a variable for the interpreter, and with one, which cannot be forked then."""
    return dict(request.param)


@pytest.mark.parametrize(
    "name",
    [
        "end_while_it_asks",
        "end_while_much_is_to_be_launched",
        "have_a_result_before_another_cannot_be_read",
        "see_a_call_that_cannot_be_launched",
        "see_a_result_that_cannot_be_shown",
    ],
)
async def test_what_has_its_result_ends_with_it(
    plugin: ProcessPlugin,
    place: Place,
    controlling: Templates,
    fresh_name: Callable[[], str],
    name: str,
    environment: dict[str, str],
) -> None:
    async with asyncio.timeout(100):
        report = await run(plugin, place.attempt(controlling[name], {}, fresh_name(), environment))
    assert report.phase is AttemptPhase.SUCCEEDED, report.error
    assert report.outputs is not None
    assert plain(report.outputs.literals["o0"]) is True


async def test_nobody_waits_for_a_thread_that_has_failed(
    plugin: ProcessPlugin,
    place: Place,
    controlling: Templates,
    fresh_name: Callable[[], str],
    environment: dict[str, str],
) -> None:
    task = controlling["wait_for_results_that_cannot_be_read"]
    async with asyncio.timeout(100):
        report = await run(plugin, place.attempt(task, {}, fresh_name(), environment))
    assert report.phase is AttemptPhase.RETRYABLE_FAILURE
    assert report.error is not None
    assert "Error in eager execution processor" in report.error.message
    assert "exit code 1" in report.error.message
