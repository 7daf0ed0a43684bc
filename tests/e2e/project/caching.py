"""Cached tasks for the end-to-end tests."""

import os
import time
import uuid
from pathlib import Path

from flytekit import task, workflow


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
