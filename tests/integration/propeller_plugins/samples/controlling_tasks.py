"""Tasks with the thread that looks after what an eager workflow runs, at moments that are hard to meet by chance."""

# mypy: ignore-errors
# Runs in the environment of flytekit, which mypy does not see.

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

from flytekit import task
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.python_function_task import EagerAsyncPythonFunctionTask
from flytekit.core.worker_queue import Controller, ItemStatus, WorkItem
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
        FlyteContextManager.current_context()
        self.shown.set()
        return self._context

    def execute(self, **_: Any) -> Any:
        """Refuse what is to be launched, after some thought."""
        self.asked.set()
        time.sleep(1)
        raise ValueError("refused")

    def sync_execution(self, execution: Any) -> Any:
        """Answer the execution, later; it has no outputs."""
        self.asked.set()
        run_sync(asyncio.sleep, 0.5)
        return execution

    def generate_console_url(self, execution: Any) -> str:
        """Answer no address."""
        return ""


class Unspeakable:
    """Is neither true nor false, as arrays are."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


def look_after(remote: Remote, execution: Any, count: int = 1) -> Controller:
    """Begin to look after calls of a task, which may have no execution."""
    settings = SimpleNamespace(version="v1", image_config=None)
    controller = Controller(remote=remote, ss=settings, tag="t", root_tag="t", exec_prefix="e")
    items = [WorkItem(entity=answer, input_kwargs={}, wf_exec=execution) for _ in range(count)]
    controller.entries[answer.name] = items
    return controller


@task
def answer() -> int:
    return 42


@task
def end_while_it_asks() -> bool:
    remote = Remote(WorkflowExecutionPhase.RUNNING)
    look_after(remote, remote.execution)
    return remote.asked.wait(60)


@task
def end_while_much_is_to_be_launched() -> bool:
    remote = Remote(WorkflowExecutionPhase.RUNNING)
    look_after(remote, None, count=60)
    return remote.asked.wait(60)


@task
def wait_for_results_that_cannot_be_read() -> bool:
    remote = Remote(WorkflowExecutionPhase.SUCCEEDED)
    look_after(remote, remote.execution)
    threading.Event().wait()
    return True


@task
def have_a_result_before_another_cannot_be_read() -> bool:
    async def result(controller: Controller) -> bool:
        context = FlyteContextManager.current_context().with_worker_queue(controller)
        with FlyteContextManager.with_context(context):
            return await EagerAsyncPythonFunctionTask.run_with_backend(SimpleNamespace(_task_function=at_once))

    async def at_once() -> bool:
        return True

    remote = Remote(WorkflowExecutionPhase.SUCCEEDED)
    found = asyncio.run(result(look_after(remote, remote.execution)))
    for thread in threading.enumerate():
        if thread.name == "controller-thread":
            thread.join(60)
    return found


@task
def see_a_call_that_cannot_be_launched() -> bool:
    remote = Remote(WorkflowExecutionPhase.RUNNING)
    look_after(remote, None)
    return remote.shown.wait(60)


@task
def see_a_result_that_cannot_be_shown() -> bool:
    remote = Remote(WorkflowExecutionPhase.SUCCEEDED)
    (item,) = look_after(remote, remote.execution).entries[answer.name]
    item.status, item.result = ItemStatus.SUCCESS, Unspeakable()
    return remote.shown.wait(60)
