"""Tasks that look at what an attempt is given: names, checkpoints, decks."""

import os
import signal
import time
from pathlib import Path

from flytekit import Deck, current_context, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.file import FlyteFile


def wait_for(path: Path) -> None:
    """Wait until a test says go on."""
    while not path.exists():
        time.sleep(0.05)


@task
def meets(witness: str) -> FlyteFile:
    """Two of these run at once, one in each project."""
    project = os.environ["FLYTE_INTERNAL_EXECUTION_PROJECT"]
    Path(witness, project).touch()
    wait_for(Path(witness, "go"))
    Path("told.txt").write_text(project)
    return FlyteFile("told.txt")


@workflow
def meets_wf(witness: str) -> FlyteFile:
    return meets(witness=witness)


@task(retries=3)
def goes_on(witness: str) -> int:
    """Writes a checkpoint, dies, fails before it writes another, and ends with what the first attempt has kept."""
    checkpoint = current_context().checkpoint
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    Path(witness, f"attempt-{attempt}").touch()
    if attempt == 1:
        wait_for(Path(witness, "go"))
    kept = int(checkpoint.read() or b"0")
    Path(witness, f"read-{attempt}").write_text(str(kept))
    if attempt == 0:
        checkpoint.write(b"7")
        os.kill(os.getpid(), signal.SIGKILL)
    if attempt == 1:
        raise FlyteRecoverableException("before the next checkpoint")
    checkpoint.write(b"8")
    return kept


@workflow
def goes_on_wf(witness: str) -> int:
    return goes_on(witness=witness)


@task(enable_deck=True)
def shows(witness: str, fails: bool) -> int:
    Deck("figures", "<p>forty-two</p>")
    Deck.publish()
    wait_for(Path(witness, "go"))
    if fails:
        raise ValueError("after the deck")
    return 42


@workflow
def shows_wf(witness: str, fails: bool) -> int:
    return shows(witness=witness, fails=fails)


@task
def shows_nothing() -> int:
    return 1


@workflow
def shows_nothing_wf() -> int:
    return shows_nothing()
