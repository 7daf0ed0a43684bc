"""What `make_fixtures.py` serializes: one of each thing that flytekit's authors can write."""

# mypy: ignore-errors
# (flytekit is not among the dependencies: only the bytes made of this module are needed by the tests)

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import typing

from flytekit import (
    LaunchPlan,
    approve,
    conditional,
    dynamic,
    map_task,
    reference_task,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from flytekit.types.error import FlyteError
from flytekit.types.file import FlyteFile


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    tags: list[str]


@task
def square(n: int) -> int:
    return n * n


@task
def add(a: int, b: int = 3) -> int:
    return a + b


@task
def sum_up(values: list[int]) -> int:
    return sum(values)


@task
def sum_some(values: list[int | None]) -> int:
    return sum(value or 0 for value in values)


@task
def paint(colour: Colour, note: str | None = None) -> Point:
    return Point(x=1, tags=[colour.value, note or ""])


@task
def label(text: str) -> typing.NamedTuple("Labelled", text=str, size=int):
    return text, len(text)


@task
def lookup(values: dict[str, list[int]]) -> FlyteFile:
    return FlyteFile(str(values))


@task
def clean_up(n: int, err: FlyteError | None = None) -> None:
    print(n, err)


@task
def nothing() -> None:
    pass


@workflow
def chain(n: int = 2) -> int:
    return add(a=square(n=n), b=7)


@workflow
def branches(n: int) -> int:
    first = square(n=n)
    inner = conditional("inner").if_((first > 10) & (n < 3)).then(add(a=first, b=n)).else_().then(square(n=first))
    return (
        conditional("outer")
        .if_(first == 4)
        .then(square(n=n))
        .elif_((inner > 100) | (first <= 0))
        .then(add(a=first, b=inner))
        .else_()
        .fail("neither")
    )


@workflow
def nested_branches(n: int) -> int:
    first = square(n=n)
    return (
        conditional("outer")
        .if_(n == 4)
        .then(
            conditional("inner")
            .if_(first > 10)
            .then(add(a=first, b=n))
            .elif_(n < 0)
            .then(square(n=first))
            .else_()
            .fail("no inner")
        )
        .elif_(n == 5)
        .then(chain(n=first))
        .else_()
        .then(add(a=first, b=1))
    )


@workflow
def maps(ns: list[int], b: int) -> int:
    squared = map_task(square)(n=ns)
    added = map_task(functools.partial(add, b=b), concurrency=2)(a=squared)
    tolerant = map_task(add, min_success_ratio=0.5)(a=added, b=[1, 2, 3])
    return sum_some(values=tolerant)


@workflow
def gates(n: int) -> int:
    given = wait_for_input("given", timeout=datetime.timedelta(hours=1), expected_type=int)
    pause = sleep(datetime.timedelta(seconds=1))
    agreed = approve(square(n=n), "agreed", timeout=datetime.timedelta(hours=2))
    result = add(a=agreed, b=given)
    pause >> result
    return result


@workflow
def nested(n: int) -> tuple[int, int]:
    return chain(n=n), nested_inner(n=n)


@workflow
def nested_inner(n: int) -> int:
    return chain(n=square(n=n))


chain_plan = LaunchPlan.get_or_create(chain, "chain_plan", default_inputs={"n": 5})
fixed_plan = LaunchPlan.get_or_create(branches, "fixed_plan", fixed_inputs={"n": 5})


@workflow
def plans(n: int) -> int:
    first = chain_plan(n=n)
    second = chain_plan()
    return add(a=first, b=sum_up(values=[second, fixed_plan()]))


@workflow
def mapped_plans(ns: list[int]) -> int:
    return sum_up(values=map_task(chain_plan)(n=ns))


@workflow(on_failure=clean_up)
def guarded(n: int) -> int:
    return square(n=n)


@dynamic
def fan_out(n: int) -> int:
    return sum_up(values=[square(n=i) for i in range(n)] + [chain(n=n)])


@reference_task(project="elsewhere", domain="development", name="there.twice", version="v9")
def twice(n: int) -> int:
    return 2 * n


@workflow
def shapes(text: str, n: int) -> tuple[int, list[str], str, FlyteFile]:
    point = paint(colour=Colour.RED, note=text)
    quiet = paint(colour="blue")
    labelled = label(text=point.tags[0])
    total = add(a=point.x, b=labelled.size)
    values = lookup(values={"a": [n, total], "b": []})
    last = nothing()
    twice(n=n) >> last
    labelled >> last
    return fan_out(n=n), quiet.tags, labelled.text, values
