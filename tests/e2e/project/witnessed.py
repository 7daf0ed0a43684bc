"""Tasks that leave traces, so that a test can tell what ran when."""

import fcntl
import os
import time
from pathlib import Path

from flytekit import task, workflow
from flytekit.core.context_manager import FlyteContextManager


def leave_traces(witness: str, step: str) -> None:
    """Hold a lock for as long as the attempt runs; a second one that runs at once leaves an `overlap` behind."""
    name = os.environ["FLYTE_INTERNAL_EXECUTION_ID"]
    attempt = os.environ["FLYTE_ATTEMPT_NUMBER"]
    assert FlyteContextManager.current_context() is not None
    with Path(witness, f"{name}-{step}-{attempt}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            Path(witness, f"{name}-{step}-{attempt}.overlap").touch()
        time.sleep(0.2)


@task
def first(witness: str, n: int) -> int:
    leave_traces(witness, "first")
    return n + 1


@task
def second(witness: str, n: int) -> int:
    leave_traces(witness, "second")
    return n * 2


@task
def third(witness: str, n: int, m: int) -> int:
    leave_traces(witness, "third")
    return n + m


@workflow
def chain(witness: str, n: int) -> int:
    one = first(witness=witness, n=n)
    two = second(witness=witness, n=one)
    return third(witness=witness, n=one, m=two)
