"""The processes a server forks: how they begin, and how their ends are noticed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from .kernel import (
    CHILD_SUBREAPER,
    PARENT_DEATH_SIGNAL,
    ask_kernel,
    children_of_this_process,
    kill_group,
    write_durably,
)
from .records import Attempt
from .spares import Spares


class Family:
    """The attempts that are alive, by name and by process.

    `on_end` is told of every attempt of which nothing runs any more, with the record of its end; `let_go` closes, in a
    child, what is the server's.
    """

    def __init__(self, on_end: Callable[[Attempt, dict[str, Any]], None], let_go: Callable[[], None]) -> None:
        self._on_end = on_end
        self._let_go = let_go
        self.attempts: dict[str, Attempt] = {}
        self.by_pid: dict[int, Attempt] = {}
        self.ending: list[Attempt] = []

    def add(self, attempt: Attempt) -> None:
        """Look after an attempt whose process has begun."""
        self.attempts[attempt.name] = self.by_pid[attempt.pid] = attempt

    def fork(self, work: Callable[[], None]) -> int:
        """Fork a process that does some work and ends; answers its id."""
        server = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # which a child must not take for the server's
        try:
            pid = os.fork()
            if pid == 0:
                self._become(server, work)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        return pid

    def fork_with_channel(self, work: Callable[[socket.socket], None]) -> tuple[int, socket.socket]:
        """The same, with a channel to the process, whose near end is answered as well."""
        near, far = socket.socketpair()

        def begin() -> None:
            near.close()
            work(far)

        try:
            pid = self.fork(begin)
        except BaseException:
            near.close()
            raise
        finally:
            far.close()
        return pid, near

    def _become(self, server: int, work: Callable[[], None]) -> NoReturn:
        """In a child: let go of all that is the server's, lead a group that dies with it, do the work."""
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            self._let_go()
            os.setsid()
            ask_kernel(PARENT_DEATH_SIGNAL, signal.SIGKILL)
            ask_kernel(CHILD_SUBREAPER, 1)
            if os.getppid() == server:
                work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def reap(self, spares: Spares) -> None:
        """Take note of the children that have ended."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            spares.died(pid)
            attempt = self.by_pid.pop(pid, None)
            if attempt is not None:
                attempt.status, attempt.usage = status, usage
                kill_group(pid, signal.SIGKILL)
                self.ending.append(attempt)
        if self.ending:
            self._finish(spares)

    def _finish(self, spares: Spares) -> None:
        """Kill what ended attempts left behind; when nothing is left, they have ended.

        An attempt adopts its own descendants while it lives; orphans come to this process only by its death. So every
        child that is not an attempt belongs to one that has ended. Their deaths wake the loop.
        """
        orphans = children_of_this_process() - set(self.by_pid) - spares.pids
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not orphans:
            ended, self.ending = self.ending, []
            for attempt in ended:
                del self.attempts[attempt.name]
                self._on_end(attempt, _recorded(attempt))


def _recorded(attempt: Attempt) -> dict[str, Any]:
    """The record of an end, which is on disk as well unless the attempt is to be run again."""
    record = attempt.record()
    if attempt.folder:
        path = os.path.join(attempt.folder, "exit.json")
        try:
            if attempt.stopped or not os.path.exists(path):
                write_durably(path, record)
        except OSError:
            traceback.print_exc()
    return record
