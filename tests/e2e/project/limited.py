"""Launch plans of which only one execution may run at once, for the end-to-end tests."""

import fcntl
import time
from pathlib import Path

from flytekit import Annotations, LaunchPlan, task, workflow
from flytekit.models.concurrency import ConcurrencyPolicy


@task
def alone(witness: str, seconds: float) -> float:
    """Hold a lock of all executions; leaves `overlap` behind when another one has it."""
    began = time.time()
    with Path(witness, "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            Path(witness, "overlap").touch()
        time.sleep(seconds)
    return began


@workflow
def occupy(witness: str, seconds: float = 0.2) -> float:
    return alone(witness=witness, seconds=seconds)


for behavior in ("wait", "replace"):
    LaunchPlan.get_or_create(
        occupy,
        name=f"limited.{behavior}",
        concurrency=ConcurrencyPolicy(max_concurrency=1),
        annotations=Annotations({"elevon/concurrency": behavior}),
    )
