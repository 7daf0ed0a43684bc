"""The successor of a fork server: imports what was learned, proves that it is harmless, then takes over."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

from .kernel import (
    children_of_this_process,
    memory_in_use,
    receive_with_descriptors,
    send_with_descriptors,
    threads_that_survive_a_fork,
)
from .preloaded import Preloaded, reads_the_attempt
from .rehearsal import rehearse

_MOST_MEMORY = 2 * 1024**3
_LONGEST_REHEARSAL = 20


def try_modules(names: list[str], channel: socket.socket, preloaded: Preloaded) -> bool:
    """Import modules one by one and tell of each; answers False, and has said why, when one must not be shared."""
    for name in names:
        send_with_descriptors(channel, {"importing": name}, [])
        reason = _import(name, preloaded)
        if reason:
            send_with_descriptors(channel, {"rejected": name, "reason": reason}, [])
            return False
    send_with_descriptors(channel, {"importing": ""}, [])
    if not _survives_a_fork():
        return False
    send_with_descriptors(channel, {"ready": preloaded.modules}, [])
    return True


def _import(name: str, preloaded: Preloaded) -> str:
    """Import a module; answers why it must not be, or nothing."""
    if name in sys.modules:
        return ""
    variables: set[str] = set()
    environment, folder = dict(os.environ), os.getcwd()
    with _watching(variables):
        try:
            importlib.import_module(name)
        except BaseException as error:  # an import may also leave the interpreter
            return f"cannot be imported: {type(error).__name__}: {error}"
        finally:
            os.chdir(folder)
    reason = _harm(variables, environment)
    if not reason:
        preloaded.modules.append(name)
        preloaded.variables |= variables
    return reason


def _harm(variables: set[str], environment: dict[str, str]) -> str:
    reader = reads_the_attempt(variables)
    if reader:
        return f"reads {reader} when it is imported, which differs for every attempt"
    if dict(os.environ) != environment:
        return "changes the environment"
    threads = threads_that_survive_a_fork()
    if threads:
        return f"leaves threads running, which do not survive a fork: {', '.join(threads)}"
    if children_of_this_process():
        return "leaves a process running"
    if memory_in_use() > _MOST_MEMORY:
        return "takes too much memory to be kept for all attempts"
    return ""


@contextlib.contextmanager
def _watching(variables: set[str]) -> Iterator[None]:
    """Collect the names of the environment variables that are read."""
    kind: Any = type(os.environ)
    read = kind.__getitem__

    def watched(environment: Any, name: Any) -> Any:
        if isinstance(name, (str, bytes)):
            variables.add(os.fsdecode(name))
        return read(environment, name)

    kind.__getitem__ = watched
    try:
        yield
    finally:
        kind.__getitem__ = read


def _survives_a_fork() -> bool:
    """Whether a child of this process can do what attempts do, and ends in time."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_LONGEST_REHEARSAL)
            os._exit(0 if rehearse(threads=True) else 1)
        os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def take_over(channel: socket.socket, folder: str) -> list[int] | None:
    """Wait for the server to give up its place; answers its open files, or None when it ended without."""
    received = receive_with_descriptors(channel)
    if received is None:
        return None
    write_pid(folder)
    send_with_descriptors(channel, {"took": time.time()}, [])
    return received[1] if receive_with_descriptors(channel) is not None else None


def write_pid(folder: str) -> None:
    """Say in the server's folder which process the server is."""
    temporary = os.path.join(folder, f"pid.{os.getpid()}")
    with open(temporary, "w") as file:
        file.write(str(os.getpid()))
    os.replace(temporary, os.path.join(folder, "pid"))
