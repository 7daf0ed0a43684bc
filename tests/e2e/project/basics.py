"""Tasks and workflows for the end-to-end tests; only flytekit is imported here."""

import os
import signal
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd
from flytekit import task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.file import FlyteFile


@dataclass
class Pair:
    """Two numbers."""

    left: int
    right: int


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def pair(a: int, b: int) -> Pair:
    return Pair(left=a, right=b)


@task
def total(p: Pair, frame: pd.DataFrame, note: FlyteFile) -> str:
    with open(note) as opened:
        return f"{opened.read()}{p.left + p.right + int(frame['x'].sum())}"


@task
def table(n: int) -> pd.DataFrame:
    return pd.DataFrame({"x": list(range(n))})


@task
def note(text: str) -> FlyteFile:
    path = Path("note.txt")
    path.write_text(text)
    return FlyteFile(str(path))


@workflow
def mixed(a: int, b: int = 2, text: str = "total: ") -> str:
    return total(p=pair(a=add(a=a, b=b), b=b), frame=table(n=4), note=note(text=text))


@task(retries=3)
def recovers(witness: str) -> int:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    Path(witness, f"attempt-{attempt}").touch()
    if attempt < 2:
        raise FlyteRecoverableException(f"attempt {attempt} did not work")
    return attempt


@task(retries=3)
def wrong(witness: str) -> int:
    Path(witness, f"attempt-{os.environ['FLYTE_ATTEMPT_NUMBER']}").touch()
    if witness:
        raise ValueError("this value is wrong for ever")
    return 0


@task(retries=1)
def never_recovers(vain: bool = True) -> int:
    if vain:
        raise FlyteRecoverableException("again in vain")
    return 0


@task
def killed(witness: str) -> int:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    Path(witness, f"attempt-{attempt}").touch()
    if attempt == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return attempt


@task(retries=1, timeout=timedelta(seconds=5))
def slow_once(witness: str) -> int:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    Path(witness, f"attempt-{attempt}").touch()
    if attempt == 0:
        time.sleep(60)
    return attempt


@workflow
def recovers_wf(witness: str) -> int:
    return recovers(witness=witness)


@workflow
def wrong_wf(witness: str) -> int:
    return wrong(witness=witness)


@workflow
def never_recovers_wf() -> int:
    return never_recovers()


@workflow
def killed_wf(witness: str) -> int:
    return killed(witness=witness)


@workflow
def slow_once_wf(witness: str) -> int:
    return slow_once(witness=witness)


@task
def long(witness: str, seconds: int) -> int:
    Path(witness, "started").touch()
    for _ in range(seconds * 10):
        time.sleep(0.1)
    Path(witness, "finished").touch()
    return seconds


@workflow
def long_wf(witness: str, seconds: int = 60) -> int:
    return long(witness=witness, seconds=seconds)


@task
def traced(witness: str) -> int:
    Path(witness, "traceparent").write_text(os.environ.get("TRACEPARENT", ""))
    return 1


@workflow
def traced_wf(witness: str) -> int:
    return add(a=traced(witness=witness), b=1)
