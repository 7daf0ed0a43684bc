"""Letting eager workflows end, whatever the thread is at that looks after what they run.

flytekit calls that thread's object a controller. There are three ways in which it leaves its process behind for ever:

* at the end of the process flytekit stops the loops of all threads before it waits for this one, which may be waiting
  for its loop, as it does while it writes the deck;
* calls that came while it asked after earlier ones have no execution yet, and showing them in the deck fails;
* when it fails it calls `exit`, which ends no more than the thread: the workflow waits for executions that nobody looks
  after.
"""

from __future__ import annotations

import copy
import os
import sys
import threading
from typing import Any, NoReturn

_MODULE = "flytekit.core.worker_queue"


def mend_controllers() -> None:
    """Show only calls that have executions, and end the process when a controller fails.

    Executions that had begun are found again by the next attempt: their names are made of what is called.
    """
    module, controller = _controllers()
    if controller is not None:
        module.exit = _leave
        controller.render_html = _shows_executions(controller.render_html)


def end_controllers() -> None:
    """Wait for the controllers while what they need still works."""
    module, kind = _controllers()
    if kind is None:
        return
    module.exit = sys.exit  # what the workflow came to is decided
    for thread in threading.enumerate():
        controller = getattr(getattr(thread, "_target", None), "__self__", None)
        if isinstance(controller, kind):
            controller.stopping_condition.set()
            thread.join()


def _controllers() -> tuple[Any, Any]:
    """flytekit's module and class; none in versions that do without."""
    module = sys.modules.get(_MODULE)
    kind = getattr(module, "Controller", None)
    return module, kind if hasattr(kind, "render_html") else None


def _shows_executions(render: Any) -> Any:
    def shown(controller: Any) -> Any:
        known = copy.copy(controller)
        known.entries = {
            name: [item for item in items if item.wf_exec is not None] for name, items in controller.entries.items()
        }
        return render(known)

    return shown


def _leave(code: int) -> NoReturn:
    if threading.current_thread() is threading.main_thread():  # the handler of signals, which is to end as ever
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
