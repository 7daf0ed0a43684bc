"""Core-sleep ends exactly when its duration, counted from the recorded start, has passed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.clock import system_clock
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.plugins.core_sleep import CoreSleepPlugin

from tests.unit.propeller_plugins.conftest import TurnableClock


def seconds(value: float) -> core.Literal:
    literal = core.Literal()
    literal.scalar.primitive.duration.FromTimedelta(timedelta(seconds=value))
    return literal


def sleeper(attempt_of: Callable[..., Attempt], value: float, **more: object) -> Attempt:
    return attempt_of("core-sleep", {"for": core.DURATION}, {}, {"for": seconds(value)}, **more)


async def test_a_sleep_that_is_over_succeeds_at_once(attempt_of: Callable[..., Attempt], clock: TurnableClock) -> None:
    seen: list[Report] = []
    clock.turn(5)
    await CoreSleepPlugin(clock).start(sleeper(attempt_of, 5), seen.append)
    assert [report.phase for report in seen] == [AttemptPhase.SUCCEEDED]


async def test_a_restart_goes_on_where_the_sleep_was(attempt_of: Callable[..., Attempt], clock: TurnableClock) -> None:
    seen: list[Report] = []
    first = CoreSleepPlugin(clock)
    await first.start(sleeper(attempt_of, 100), seen.append)
    await first.close()
    clock.turn(99.99)
    await CoreSleepPlugin(clock).start(sleeper(attempt_of, 100), seen.append)
    assert [report.phase for report in seen] == [AttemptPhase.RUNNING, AttemptPhase.RUNNING]
    clock.turn(0.01)
    while seen[-1].phase is AttemptPhase.RUNNING:
        await asyncio.sleep(0.005)
    assert seen[-1].phase is AttemptPhase.SUCCEEDED
    assert seen[-1].outputs == core.LiteralMap()


async def test_thousands_sleep_at_once_and_all_wake(attempt_of: Callable[..., Attempt]) -> None:
    plugin, seen = CoreSleepPlugin(), list[Report]()
    started_at = system_clock()
    for number in range(5000):
        attempt = sleeper(attempt_of, 0.5, name=f"x-n{number}-0", started_at=started_at)
        await plugin.start(attempt, seen.append)
    while sum(report.phase is AttemptPhase.SUCCEEDED for report in seen) < 5000:
        await asyncio.sleep(0.05)
    assert min(report.occurred_at for report in seen if report.phase.is_final) >= started_at + timedelta(seconds=0.5)


async def test_an_aborted_sleep_never_reports_again(attempt_of: Callable[..., Attempt], clock: TurnableClock) -> None:
    plugin, seen = CoreSleepPlugin(clock), list[Report]()
    await plugin.start(sleeper(attempt_of, 0.001), seen.append)
    await plugin.abort("x-n0-0", "enough")
    clock.turn(1)
    await asyncio.sleep(0.02)
    assert [report.phase for report in seen] == [AttemptPhase.RUNNING]


@pytest.mark.parametrize(
    ("inputs", "outputs", "literals", "words"),
    [
        ({}, {}, {}, "exactly one input"),
        ({"a": core.DURATION, "b": core.DURATION}, {}, {}, "exactly one input"),
        ({"a": core.DURATION}, {"o0": core.DURATION}, {"a": seconds(1)}, "no outputs"),
        ({"a": core.INTEGER}, {}, {}, "is a duration"),
        ({"a": core.DURATION}, {}, {}, "missing or not a duration"),
        ({"a": core.DURATION}, {}, {"a": seconds(-1)}, "negative"),
    ],
)
async def test_any_other_shape_fails_for_good(
    attempt_of: Callable[..., Attempt],
    inputs: dict[str, int],
    outputs: dict[str, int],
    literals: dict[str, core.Literal],
    words: str,
) -> None:
    seen: list[Report] = []
    await CoreSleepPlugin().start(attempt_of("core-sleep", inputs, outputs, literals), seen.append)
    assert [report.phase for report in seen] == [AttemptPhase.PERMANENT_FAILURE]
    assert seen[0].error is not None
    assert seen[0].error.code == "BadTaskSpecification"
    assert words in seen[0].error.message
