"""Eager workflows, which are clients of the control plane, for the end-to-end tests."""

import asyncio
import time
from pathlib import Path

from flytekit import LaunchPlan, eager, task, workflow
from flytekit.exceptions.eager import EagerException


@task
def double(a: int) -> int:
    return 2 * a


@task
async def awaited(a: int) -> int:
    return a + 1


@task
def fails(a: int) -> int:
    if a >= 0:
        raise ValueError(f"{a} is no good")
    return a


@task
def linger(witness: str, seconds: int) -> int:
    Path(witness, "began").touch()
    for _ in range(seconds * 10):
        time.sleep(0.1)
    Path(witness, "ended").touch()
    return seconds


@workflow
def fourfold(a: int) -> int:
    return double(a=double(a=a))


fourfold_plan = LaunchPlan.get_or_create(fourfold, "eagerly.fourfold_plan")


@eager
async def sums(a: int) -> int:
    """Tasks and workflows, at the same time and after one another."""
    one, two = await asyncio.gather(awaited(a=a), awaited(a=a + 1))
    if one + two > 4:
        return fourfold_plan(a=one) + fourfold(a=two)
    return double(a=one)


@eager
async def inner(a: int) -> int:
    return double(a=a) + 1


@eager
async def outer(a: int) -> int:
    """An eager workflow within an eager workflow."""
    return double(a=await inner(a=a))


@eager
async def failing(a: int) -> int:
    return double(a=fails(a=a))


@eager
async def forgiving(a: int) -> int:
    """A failure is an exception like any other."""
    try:
        return fails(a=a)
    except EagerException:
        return double(a=a)


@eager
async def lingering(witness: str, seconds: int) -> int:
    return linger(witness=witness, seconds=seconds)


@eager
async def lingering_below(witness: str, seconds: int) -> int:
    return await lingering(witness=witness, seconds=seconds)
