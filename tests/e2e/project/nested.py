"""Workflows that start others, and tasks that make workflows, for the end-to-end tests."""

import time
from pathlib import Path

from flytekit import LaunchPlan, dynamic, reference_launch_plan, task, workflow


@task
def double(a: int) -> int:
    return 2 * a


@task
def total(values: list[int]) -> int:
    return sum(values)


@task
def note(text: str, witness: str) -> str:
    with Path(witness).open("a") as file:
        file.write(text + "\n")
    return text


@task
def fail(a: int) -> int:
    if a >= 0:
        raise ValueError(f"{a} is no good")
    return a


@task
def linger(witness: str, seconds: int) -> int:
    with Path(witness).open("a") as file:
        file.write("began\n")
    for _ in range(seconds * 10):
        time.sleep(0.1)
    with Path(witness).open("a") as file:
        file.write("ended\n")
    return seconds


@workflow
def child(a: int, extra: int = 1) -> int:
    return double(a=double(a=a))


child_plan = LaunchPlan.get_or_create(child, "nested.child_plan", default_inputs={"a": 7})


@workflow
def parent(a: int = 3) -> tuple[int, int]:
    first = child_plan(a=a)
    return first, child_plan(a=double(a=first))


@workflow
def failing_child(a: int) -> int:
    return fail(a=a)


failing_plan = LaunchPlan.get_or_create(failing_child, "nested.failing_plan")


@workflow
def parent_of_failure(a: int = 3) -> int:
    return failing_plan(a=a)


@workflow
def slow_child(witness: str, seconds: int) -> int:
    return linger(witness=witness, seconds=seconds)


slow_plan = LaunchPlan.get_or_create(slow_child, "nested.slow_plan")


@workflow
def slow_parent(witness: str, seconds: int) -> int:
    return slow_plan(witness=witness, seconds=seconds)


@workflow
def slow_grandparent(witness: str, seconds: int) -> int:
    return LaunchPlan.get_or_create(slow_parent, "nested.slow_parent_plan")(witness=witness, seconds=seconds)


@dynamic
def fan(count: int) -> int:
    return total(values=[double(a=number) for number in range(count)])


@workflow
def fan_wf(count: int = 4) -> int:
    return fan(count=count)


@dynamic
def fan_of_fans(count: int) -> int:
    return total(values=[fan(count=number + 1) for number in range(count)])


@workflow
def fan_of_fans_wf(count: int = 3) -> int:
    return double(a=fan_of_fans(count=count))


@dynamic
def launches(a: int) -> list[int]:
    return [child_plan(a=a), child(a=a + 1)]


@workflow
def launches_wf(a: int = 2) -> list[int]:
    return launches(a=a)


@dynamic
def plain(a: int) -> int:
    return a


@workflow
def plain_wf(a: int = 5) -> int:
    return plain(a=a)


@dynamic
def failing_fan(count: int) -> int:
    return total(values=[fail(a=number) for number in range(count)])


@workflow
def failing_fan_wf(count: int = 2) -> int:
    return failing_fan(count=count)


@dynamic
def unlaunchable(a: int) -> int:
    return absent_plan(a=a)


@reference_launch_plan(project="flytesnacks", domain="development", name="nested.absent", version="none")
def absent_plan(a: int) -> int:
    return 0


@workflow
def unlaunchable_wf(a: int = 1) -> int:
    return unlaunchable(a=a)


@dynamic(cache=True, cache_version="1")
def cached_fan(count: int, witness: str) -> str:
    return note(text=f"made {count}", witness=witness)


@workflow
def cached_fan_wf(count: int, witness: str) -> str:
    return cached_fan(count=count, witness=witness)


@dynamic
def lingering(witness: str, count: int, seconds: int) -> list[int]:
    return [linger(witness=witness, seconds=seconds) for _ in range(count)]


@workflow
def lingering_wf(witness: str, count: int, seconds: int) -> list[int]:
    return lingering(witness=witness, count=count, seconds=seconds)
