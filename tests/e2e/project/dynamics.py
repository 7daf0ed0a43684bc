"""Dynamic tasks that yield nodes of every kind, for the end-to-end tests."""

import functools
import os
from pathlib import Path

from flytekit import LaunchPlan, conditional, dynamic, map_task, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@task
def double(a: int) -> int:
    return 2 * a


@task
def scale(a: int, factor: int) -> int:
    return a * factor


@task
def total(values: list[int]) -> int:
    return sum(values)


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@workflow
def below(a: int) -> int:
    return double(a=double(a=a))


below_plan = LaunchPlan.get_or_create(below, "dynamics.below_plan")


@dynamic
def chosen(a: int) -> int:
    """A conditional on what a node of the dynamic task makes."""
    doubled = double(a=a)
    return conditional("chosen").if_(doubled > 10).then(double(a=doubled)).else_().then(below(a=doubled))


@workflow
def chosen_wf(a: int) -> int:
    return double(a=chosen(a=a))


@dynamic
def mapped(count: int, factor: int) -> int:
    """A map task over what a node makes."""
    scaled = map_task(functools.partial(scale, factor=factor), concurrency=4)(a=numbers(count=count))
    return total(values=scaled)


@workflow
def mapped_wf(count: int, factor: int) -> int:
    return mapped(count=count, factor=factor)


@dynamic
def launched_map(count: int) -> list[int]:
    """A map over a launch plan."""
    return map_task(below_plan)(a=list(range(count)))


@workflow
def launched_map_wf(count: int) -> list[int]:
    return launched_map(count=count)


@dynamic
def deeper(depth: int) -> int:
    """Dynamic tasks within dynamic tasks, as deep as one likes."""
    if depth == 0:
        return double(a=1)
    return double(a=deeper(depth=depth - 1))


@workflow
def deeper_wf(depth: int) -> int:
    return deeper(depth=depth)


@dynamic(retries=2)
def second_time(witness: str) -> int:
    """The task itself is tried again; what it yields then has ids of its own."""
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    Path(witness, f"attempt-{attempt}").touch()
    if attempt == 0:
        raise FlyteRecoverableException("not yet")
    return double(a=attempt)


@workflow
def second_time_wf(witness: str) -> int:
    return second_time(witness=witness)


@dynamic
def ordered(witness: str) -> None:
    """Nodes in an order without data between them."""
    last, first = note(text="last", witness=witness), note(text="first", witness=witness)
    first >> last


@task
def note(text: str, witness: str) -> None:
    with Path(witness, "order").open("a") as file:
        file.write(text + "\n")


@workflow
def ordered_wf(witness: str) -> None:
    ordered(witness=witness)


@dynamic
def nothing(count: int) -> list[int]:
    """No nodes at all when the count is zero."""
    return [double(a=number) for number in range(count)]


@workflow
def nothing_wf(count: int) -> int:
    return total(values=nothing(count=count))


@task
def even_only(a: int) -> int:
    if a % 2:
        raise ValueError(f"{a} is odd")
    return a


@workflow
def thousand(values: list[int]) -> list[int | None]:
    return map_task(even_only, min_success_ratio=0.5, concurrency=20)(a=values)
