"""Map tasks for the end-to-end tests."""

import fcntl
import functools
import os
import time
import uuid
from pathlib import Path

from flytekit import LaunchPlan, map_task, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@task
def square(n: int) -> int:
    return n * n


@workflow
def squares(values: list[int]) -> list[int]:
    return map_task(square)(n=values)


@task
def odd_only(n: int) -> int:
    if n % 2 == 0:
        raise ValueError(f"{n % 4} is left")
    return n


@workflow
def half(values: list[int]) -> list[int | None]:
    return map_task(odd_only, min_success_ratio=0.5)(n=values)


@workflow
def mostly(values: list[int]) -> list[int | None]:
    return map_task(odd_only, min_success_ratio=0.6)(n=values)


@task
def crowded(witness: str, n: int) -> int:
    """How many run at the same time, this one included."""
    mine = Path(witness, f"{n}.running")
    mine.touch()
    time.sleep(0.3)
    count = len(list(Path(witness).glob("*.running")))
    mine.unlink()
    return count


@workflow
def by_twos(witness: str, values: list[int]) -> list[int]:
    return map_task(functools.partial(crowded, witness=witness), concurrency=2)(n=values)


@task
def scaled(n: int, factors: list[int], offset: int) -> int:
    return n * sum(factors) + offset


@workflow
def partly_bound(values: list[int], factors: list[int], offset: int) -> list[int]:
    return map_task(functools.partial(scaled, factors=factors, offset=offset))(n=values)


@task(cache=True, cache_version="1")
def unique(n: int) -> str:
    return f"{n}-{uuid.uuid4()}"


@workflow
def remembered(values: list[int]) -> list[str]:
    return map_task(unique)(n=values)


@task(retries=2)
def third_time(witness: str, n: int) -> int:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    Path(witness, f"{n}-{attempt}").touch()
    if n == 3 and attempt < 2:
        raise FlyteRecoverableException("not yet")
    return attempt


@workflow
def stubborn(witness: str, values: list[int]) -> list[int]:
    return map_task(functools.partial(third_time, witness=witness))(n=values)


@task
def slow(witness: str, n: int) -> int:
    """Hold a lock; a second attempt that runs at the same time leaves an `overlap` behind."""
    with Path(witness, f"{n}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            Path(witness, f"{n}.overlap").touch()
        time.sleep(0.4)
    return n + 1


@workflow
def slowly(witness: str, values: list[int]) -> list[int]:
    return map_task(functools.partial(slow, witness=witness))(n=values)


@task
def forever(witness: str, n: int) -> int:
    Path(witness, f"{n}.started").touch()
    if n == 0:
        raise ValueError("one is enough")
    time.sleep(600)
    Path(witness, f"{n}.finished").touch()
    return n


@workflow
def hopeless(witness: str, values: list[int]) -> list[int]:
    return map_task(functools.partial(forever, witness=witness))(n=values)


@workflow
def squared(n: int) -> int:
    return square(n=n)


squared_plan = LaunchPlan.get_or_create(squared, "mapping.squared_plan")


@workflow
def squares_by_plan(values: list[int]) -> list[int]:
    return map_task(squared_plan)(n=values)
