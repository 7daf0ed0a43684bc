"""What is known of an attempt, and what is written down of its end."""

from __future__ import annotations

import os
import resource
import signal
import time
from typing import TYPE_CHECKING, Any

from .kernel import kill_group, out_of_memory_kills

if TYPE_CHECKING:
    from .frames import Connection


class Attempt:
    """One attempt that is alive, or whose last processes are being waited for.

    Without a `folder` its end is not recorded, so that it is run again. `waiting` are the requests to be answered then.
    """

    def __init__(self, name: str, folder: str, pid: int) -> None:
        self.name = name
        self.folder = folder
        self.pid = pid
        self.started = time.time()
        self.kills_before = out_of_memory_kills()
        self.status: int | None = None
        self.usage: resource.struct_rusage | None = None
        self.stopped = ""
        self.kill_at: float | None = None
        self.waiting: list[tuple[Connection, int]] = []

    def stop(self, reason: str, grace: float) -> None:
        """Ask it to end; whatever is left after so many seconds is to be killed at `kill_at`."""
        if self.status is None and self.kill_at is None:
            self.stopped = reason or "stopped"
            self.kill_at = time.monotonic() + grace
            kill_group(self.pid, signal.SIGTERM)

    def record(self) -> dict[str, Any]:
        """What exit.json says; `code` is negative for a signal."""
        status = self.status or 0
        killed_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        starved = killed_by == signal.SIGKILL and not self.stopped and out_of_memory_kills() > self.kills_before
        code = -killed_by if killed_by else os.WEXITSTATUS(status)
        return exit_record(code, self.started, self.usage, stopped=self.stopped, out_of_memory=starved)


def exit_record(
    code: int,
    started: float,
    usage: resource.struct_rusage | None,
    *,
    stopped: str = "",
    out_of_memory: bool = False,
    spent_before: float = 0.0,
) -> dict[str, Any]:
    """The content of exit.json; times are seconds since 1970, `spent_before` seconds that are not the attempt's."""
    return {
        "code": code,
        "stopped": stopped,
        "out_of_memory": out_of_memory,
        "started": started,
        "ended": time.time(),
        "cpu_seconds": round(max(0.0, usage.ru_utime + usage.ru_stime - spent_before), 3) if usage else 0.0,
        "peak_memory_kib": usage.ru_maxrss if usage else 0,
    }
