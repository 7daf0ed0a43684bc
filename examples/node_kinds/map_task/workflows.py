"""Array nodes: one task for every item of a list; some may fail, few run at a time, some inputs are shared."""

import functools

from flytekit import map_task, task, workflow


@task
def divide(number: int, by: int) -> float:
    if number == 0:
        raise ValueError("zero has no place here")
    return number / by


@task
def add(values: list[float | None]) -> float:
    return sum(value for value in values if value is not None)


@workflow
def shares(numbers: list[int], by: int = 2) -> float:
    halves = map_task(functools.partial(divide, by=by), concurrency=4, min_success_ratio=0.5)(number=numbers)
    return add(values=halves)
