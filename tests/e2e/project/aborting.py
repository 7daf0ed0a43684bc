"""A workflow with something of everything that holds on until it is stopped, for the end-to-end tests."""

import functools
import os
import subprocess
import time
from datetime import timedelta
from pathlib import Path

from flytekit import LaunchPlan, dynamic, map_task, task, wait_for_input, workflow


@task
def hold(name: str, witness: str) -> str:
    """Note the process and one that it starts, then wait."""
    helper = subprocess.Popen(["sleep", "600"])
    note = Path(witness) / f".{name}-{os.getpid()}"
    note.write_text(f"{os.getpid()} {helper.pid}")
    note.rename(Path(witness) / f"{name}-{os.getpid()}")
    time.sleep(600)
    return name


@dynamic
def fan(witness: str) -> str:
    return hold(name="of-dynamic", witness=witness)


@workflow
def inner(name: str, witness: str) -> str:
    return hold(name=name, witness=witness)


inner_plan = LaunchPlan.get_or_create(inner, "aborting.inner_plan")


@workflow
def everything(witness: str) -> str:
    map_task(functools.partial(hold, witness=witness))(name=["of-map-0", "of-map-1"])
    fan(witness=witness)
    inner_plan(name="of-child", witness=witness)
    inner(name="of-sub-workflow", witness=witness)
    wait_for_input("never", timeout=timedelta(hours=1), expected_type=str)
    return hold(name="of-task", witness=witness)
