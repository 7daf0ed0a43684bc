"""Echo copies inputs to outputs, and refuses what cannot be echoed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.plugins.echo import EchoPlugin

from tests.unit.propeller_plugins.conftest import TurnableClock


def integer(value: int) -> core.Literal:
    return core.Literal(scalar=core.Scalar(primitive=core.Primitive(integer=value)))


async def run(plugin: EchoPlugin, attempt: Attempt) -> Report:
    reports: list[Report] = []
    await plugin.start(attempt, reports.append)
    return reports[-1]


async def test_one_input_becomes_the_one_output_whatever_the_names(attempt_of: Callable[..., Attempt]) -> None:
    report = await run(EchoPlugin(), attempt_of("echo", {"a": core.INTEGER}, {"o0": core.INTEGER}, {"a": integer(7)}))
    assert report.phase is AttemptPhase.SUCCEEDED
    assert report.outputs == core.LiteralMap(literals={"o0": integer(7)})
    assert not report.has_outputs_file


async def test_several_inputs_keep_their_names(attempt_of: Callable[..., Attempt]) -> None:
    types = {"a": core.INTEGER, "b": core.INTEGER}
    report = await run(EchoPlugin(), attempt_of("echo", types, types, {"a": integer(1), "b": integer(2)}))
    assert report.outputs == core.LiteralMap(literals={"a": integer(1), "b": integer(2)})


async def test_nothing_in_nothing_out(attempt_of: Callable[..., Attempt]) -> None:
    report = await run(EchoPlugin(), attempt_of("echo", {}, {}))
    assert (report.phase, report.outputs) == (AttemptPhase.SUCCEEDED, core.LiteralMap())


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ({"a": core.INTEGER}, {}, "as many inputs as outputs"),
        ({"a": core.INTEGER, "b": core.INTEGER}, {"o0": core.INTEGER, "o1": core.INTEGER}, "names its outputs"),
        ({"a": core.INTEGER}, {"o0": core.STRING}, "cannot become output 'o0'"),
    ],
)
async def test_what_cannot_be_echoed_fails_for_good(
    attempt_of: Callable[..., Attempt], inputs: dict[str, int], outputs: dict[str, int], words: str
) -> None:
    report = await run(EchoPlugin(), attempt_of("echo", inputs, outputs))
    assert report.phase is AttemptPhase.PERMANENT_FAILURE
    assert report.error is not None
    assert report.error.code == "BadTaskSpecification"
    assert words in report.error.message


async def test_a_delay_is_counted_from_the_start_of_the_attempt(
    attempt_of: Callable[..., Attempt], clock: TurnableClock
) -> None:
    plugin = EchoPlugin(timedelta(seconds=10), clock)
    attempt = attempt_of("echo", {"a": core.INTEGER}, {"o0": core.INTEGER}, {"a": integer(7)})
    assert (await run(plugin, attempt)).phase is AttemptPhase.RUNNING
    await plugin.close()
    clock.turn(10)
    assert (await run(plugin, attempt)).phase is AttemptPhase.SUCCEEDED


async def test_an_aborted_echo_stays_silent(attempt_of: Callable[..., Attempt], clock: TurnableClock) -> None:
    plugin, seen = EchoPlugin(timedelta(milliseconds=1), clock), list[Report]()
    await plugin.start(attempt_of("echo", {}, {}), seen.append)
    await plugin.abort("x-n0-0", "not wanted")
    await asyncio.sleep(0.01)
    assert [report.phase for report in seen] == [AttemptPhase.RUNNING]
