"""Cached tasks for the end-to-end tests."""

import functools
import os
import time
import uuid
from pathlib import Path

from flytekit import conditional, dynamic, map_task, task, workflow


@task(cache=True, cache_version="1")
def unique(n: int) -> str:
    return f"{n}-{uuid.uuid4()}"


@task(cache=True, cache_version="2")
def unique_two(n: int) -> str:
    return f"{n}-{uuid.uuid4()}"


@task(cache=True, cache_version="1", cache_serialize=True)
def alone(witness: str, n: int) -> str:
    Path(witness, f"{os.getpid()}-{time.time_ns()}").touch()
    time.sleep(2)
    return str(uuid.uuid4())


@workflow
def unique_wf(n: int) -> str:
    return unique(n=n)


@workflow
def unique_two_wf(n: int) -> str:
    return unique_two(n=n)


@workflow
def alone_wf(witness: str, n: int) -> str:
    return alone(witness=witness, n=n)


@task(cache=True, cache_version="1")
def scaled(n: int, factors: list[int]) -> int:
    return n * sum(factors)


@workflow
def scaled_wf(numbers: list[int], factors: list[int]) -> list[int]:
    return map_task(functools.partial(scaled, factors=factors))(n=numbers)


@dynamic
def scaled_within(numbers: list[int], factors: list[int]) -> list[int]:
    return map_task(functools.partial(scaled, factors=factors))(n=numbers)


@workflow
def choosing_wf(n: int) -> str:
    return conditional("sign").if_(n < 0).then(unique_two(n=n)).else_().then(unique(n=n))


@workflow
def parents_wf(numbers: list[int], factors: list[int], n: int) -> tuple[list[int], str]:
    return scaled_within(numbers=numbers, factors=factors), choosing_wf(n=n)
