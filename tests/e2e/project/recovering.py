"""Workflows that fail half way until a switch is thrown, for the end-to-end tests of recovery.

Every task notes its run in the folder `witness`; while there is no file `ok` in it, some fail.
"""

import functools
import time
from datetime import timedelta
from pathlib import Path

from flytekit import LaunchPlan, approve, conditional, dynamic, map_task, task, workflow


def note(witness: str, name: str) -> None:
    """One more run of something."""
    with (Path(witness) / name).open("a") as file:
        file.write("run\n")


def check(witness: str) -> None:
    """Fail until the switch is thrown."""
    if not (Path(witness) / "ok").exists():
        raise ValueError("not yet")


@task
def first(n: int, witness: str) -> int:
    note(witness, "first")
    return n + 1


@task
def large(n: int, witness: str) -> str:
    note(witness, "large")
    return "x" * 200_000


@task
def fragile(n: int, text: str, witness: str) -> int:
    note(witness, "fragile")
    check(witness)
    return n + len(text)


@task
def last(n: int, witness: str) -> int:
    note(witness, "last")
    return n * 2


@workflow
def inner(n: int, witness: str) -> int:
    return last(
        n=fragile(n=first(n=n, witness=witness), text=large(n=n, witness=witness), witness=witness), witness=witness
    )


@workflow
def half_way(n: int, witness: str) -> int:
    return inner(n=n, witness=witness)


def await_others(witness: str) -> None:
    """Let the others begin first."""
    deadline = time.monotonic() + 30
    while len(list(Path(witness).glob("element-*"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)


@task
def element(n: int, witness: str) -> int:
    note(witness, f"element-{n}")
    if n == 3:
        await_others(witness)
        check(witness)
    return n * 10


@task
def numbers(witness: str) -> list[int]:
    note(witness, "numbers")
    return list(range(10))


@task
def total(values: list[int], witness: str) -> int:
    note(witness, "total")
    return sum(values)


@workflow
def mapped(witness: str) -> int:
    return total(
        values=map_task(functools.partial(element, witness=witness))(n=numbers(witness=witness)), witness=witness
    )


inner_plan = LaunchPlan.get_or_create(inner, "recovering.inner_plan")


@workflow
def launching(n: int, witness: str) -> int:
    return last(n=inner_plan(n=n, witness=witness), witness=witness)


@dynamic
def fan(count: int, witness: str) -> int:
    note(witness, "fan")
    return total(values=[element(n=number, witness=witness) for number in range(count)], witness=witness)


@workflow
def dynamically(count: int, witness: str) -> int:
    return last(n=fan(count=count, witness=witness), witness=witness)


@workflow
def choosing(n: int, witness: str) -> int:
    approved = approve(first(n=n, witness=witness), "fine", timeout=timedelta(hours=1))
    return (
        conditional("which")
        .if_(approved > 0)
        .then(inner(n=approved, witness=witness))
        .else_()
        .then(last(n=approved, witness=witness))
    )
