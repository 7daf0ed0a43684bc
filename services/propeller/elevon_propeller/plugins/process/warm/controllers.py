"""Letting eager workflows end, whatever the thread is at that looks after what they run.

flytekit calls that thread's object a controller. There are ways in which it leaves its process behind for ever:

* at the end of the process flytekit stops the loops of all threads before it waits for this one, which may be waiting
  for its loop, as it does while it writes the deck;
* calls that came while it asked after earlier ones have no execution yet, and showing them in the deck fails, as does
  showing some kinds of results;
* when it fails it calls `exit`, which ends no more than the thread: the workflow waits for executions that nobody looks
  after.
"""

from __future__ import annotations

import copy
import html
import os
import sys
import threading
from typing import Any, NoReturn

_QUEUE = "flytekit.core.worker_queue"
_TASKS = "flytekit.core.python_function_task"


def mend_controllers() -> None:
    """Have decks show what they can, and the process end when a controller fails; does nothing where there is none.

    Executions that had begun are found again by the next attempt: their names are made of what is called.
    """
    queue: Any = sys.modules.get(_QUEUE)
    controller: Any = getattr(queue, "Controller", None)
    workflow: Any = getattr(sys.modules.get(_TASKS), "EagerAsyncPythonFunctionTask", None)
    wanted = ((controller, "render_html"), (controller, "launch_execution"), (workflow, "run_with_backend"))
    if all(hasattr(kind, name) for kind, name in wanted):
        controller.render_html = _shows_what_it_can(controller.render_html)
        controller.launch_execution = _unless_it_is_over(controller.launch_execution)
        workflow.run_with_backend = _decides(workflow.run_with_backend, queue)
        queue.exit = _leave


def end_controllers() -> None:
    """Wait for the controllers while what they need still works."""
    kind: Any = getattr(sys.modules.get(_QUEUE), "Controller", None)
    for thread in threading.enumerate() if kind is not None else ():
        controller = getattr(getattr(thread, "_target", None), "__self__", None)
        stopping = getattr(controller, "stopping_condition", None)
        if isinstance(controller, kind) and stopping is not None:
            stopping.set()
            thread.join()


def _shows_what_it_can(render: Any) -> Any:
    def shown(controller: Any) -> str:
        known = copy.copy(controller)
        entries = list(controller.entries.items())  # at once: another thread may be adding to them
        known.entries = {name: [item for item in items if item.wf_exec is not None] for name, items in entries}
        try:
            return str(render(known))
        except Exception as error:  # such as of an array that is asked whether it is true
            return f"<p>{html.escape(f'This cannot be shown: {error}')}</p>"

    return shown


def _unless_it_is_over(launch: Any) -> Any:
    def launched(controller: Any, *arguments: Any, **named: Any) -> Any:
        stopping = getattr(controller, "stopping_condition", None)
        if stopping is not None and stopping.is_set():
            raise RuntimeError("the workflow ends: nothing is launched any more")
        return launch(controller, *arguments, **named)

    return launched


def _decides(run: Any, queue: Any) -> Any:
    """From when a workflow has its result, no failure of its controller changes it."""

    async def decided(*arguments: Any, **named: Any) -> Any:
        try:
            return await run(*arguments, **named)
        finally:
            queue.exit = sys.exit

    return decided


def _leave(code: int) -> NoReturn:
    if threading.current_thread() is threading.main_thread():  # the handler of signals, which is to end as ever
        sys.exit(code)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
