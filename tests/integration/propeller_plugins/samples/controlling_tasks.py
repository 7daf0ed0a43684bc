"""Tasks with the thread that looks after what an eager workflow runs, at moments that are hard to meet by chance."""

# mypy: ignore-errors
# Runs in the environment of flytekit, which mypy does not see.

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

from flytekit import task
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.worker_queue import Controller, WorkItem
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.utils.asyn import run_sync


class Remote:
    """Knows one execution; asking for it takes a while on a loop of the thread that asks."""

    def __init__(self, phase: int) -> None:
        self.asked, self.shown = threading.Event(), threading.Event()
        self.execution = SimpleNamespace(id=SimpleNamespace(name="x"), closure=SimpleNamespace(phase=phase))
        self._context = FlyteContextManager.current_context().new_builder().build()

    @property
    def config(self) -> Any:
        """Answer a platform that is not looked at."""
        return SimpleNamespace(platform=SimpleNamespace(endpoint="none"))

    @property
    def _ctx(self) -> Any:
        """Answer the context, which is asked for when the deck is to be written."""
        self.shown.set()
        return self._context

    def execute(self, **_: Any) -> Any:
        """Refuse what is to be launched."""
        FlyteContextManager.current_context()
        raise ValueError("refused")

    def sync_execution(self, execution: Any) -> Any:
        """Answer the execution, later; it has no outputs."""
        self.asked.set()
        run_sync(asyncio.sleep, 0.5)
        return execution

    def generate_console_url(self, execution: Any) -> str:
        """Answer no address."""
        return ""


def look_after(remote: Remote, execution: Any) -> None:
    """Begin to look after a call of a task, which may have no execution."""
    item = WorkItem(entity=answer, input_kwargs={})
    item.wf_exec = execution
    settings = SimpleNamespace(version="v1", image_config=None)
    controller = Controller(remote=remote, ss=settings, tag="t", root_tag="t", exec_prefix="e")
    controller.entries[item.entity.name] = [item]


@task
def answer() -> int:
    return 42


@task
def end_while_it_asks() -> int:
    remote = Remote(WorkflowExecutionPhase.RUNNING)
    look_after(remote, remote.execution)
    remote.asked.wait(10)
    return 42


@task
def wait_for_results_that_cannot_be_read() -> int:
    remote = Remote(WorkflowExecutionPhase.SUCCEEDED)
    look_after(remote, remote.execution)
    threading.Event().wait()
    return 42


@task
def see_a_call_that_cannot_be_launched() -> bool:
    remote = Remote(WorkflowExecutionPhase.RUNNING)
    look_after(remote, None)
    return remote.shown.wait(10)
