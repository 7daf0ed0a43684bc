"""Who carries out commands: however they come, none is left lying."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from elevon_propeller.engine.commands import FinalizeAttempt
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.runtime.actors import Actor
from elevon_propeller.runtime.executor import WORKERS, Executor
from hypothesis import given, settings
from hypothesis import strategies as st

ACTOR = cast("Actor", object())


def executor(done: list[str]) -> Executor:
    """One whose commands note their names and do nothing else."""
    nothing = cast("Any", None)
    made = Executor(
        nothing,
        nothing,
        nothing,
        EnginePolicy(),
        lambda: 0,
        lambda *_: None,
        data_limit=0,
        retries=nothing,
        catalog_retries=nothing,
    )

    async def note(_: Actor, command: FinalizeAttempt) -> None:
        done.append(command.name)

    made.delegate(FinalizeAttempt, note)
    return made


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2, WORKERS, WORKERS + 1]), st.integers(0, 3)), min_size=1, max_size=6))
def test_commands_that_come_just_when_workers_go_are_carried_out_too(bursts: list[tuple[int, int]]) -> None:
    async def play() -> None:
        done: list[str] = []
        made = executor(done)
        total = 0
        for size, rounds in bursts:
            for _ in range(size):
                made.submit(ACTOR, FinalizeAttempt("n0", str(total), "echo"))
                total += 1
            for _ in range(rounds):
                await asyncio.sleep(0)
        async with asyncio.timeout(10):
            while len(done) < total:
                await asyncio.sleep(0.001)
        assert sorted(done, key=int) == [str(number) for number in range(total)]
        await made.stop()

    asyncio.run(play())
