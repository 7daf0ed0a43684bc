"""Nodes that change what their tasks say of themselves."""

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

from flytekit import Resources, current_context, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.file import FlyteFile


def attempt() -> int:
    return int(os.environ["FLYTE_ATTEMPT_NUMBER"])


@task
def third_time() -> int:
    if attempt() < 2:
        raise FlyteRecoverableException(f"attempt {attempt()}")
    return attempt()


@task
def slow_at_first() -> int:
    if attempt() == 0:
        time.sleep(60)
    return attempt()


@task
def drawn() -> str:
    return uuid.uuid4().hex


@task(environment={"FROM_TASK": "task", "BOTH": "task"})
def seen() -> dict[str, str]:
    return {name: os.environ.get(name, "") for name in ("FROM_TASK", "FROM_EXECUTION", "BOTH")}


@task
def put() -> FlyteFile:
    assert current_context() is not None
    Path("put.txt").write_text("put")
    return FlyteFile("put.txt")


@workflow
def retried_wf() -> int:
    return third_time().with_overrides(retries=3)


@workflow
def timed_wf() -> int:
    return slow_at_first().with_overrides(timeout=timedelta(seconds=6), retries=1)


@workflow
def cached_wf() -> str:
    return drawn().with_overrides(cache=True, cache_version="of the node")


@workflow
def seen_wf() -> tuple[dict[str, str], FlyteFile]:
    return (
        seen().with_overrides(name="looks around", interruptible=True, requests=Resources(cpu="1", mem="1Gi")),
        put(),
    )


@task(timeout=timedelta(seconds=6), retries=1, interruptible=True)
def alone() -> int:
    if attempt() == 0:
        time.sleep(60)
    return attempt()
