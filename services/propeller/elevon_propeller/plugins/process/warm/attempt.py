"""What happens in the process of an attempt, from its fork to its end."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import sys
import time
from typing import Any, NoReturn

from . import ANEW, RUN
from .entry import run_entry_point
from .kernel import write_durably
from .preloaded import Preloaded
from .records import exit_record


def be_the_attempt(folder: str, spec: dict[str, Any], preloaded: Preloaded) -> NoReturn:
    """Become what the spec says."""
    started, before = time.time(), resource.getrusage(resource.RUSAGE_SELF)
    prepare(spec)
    arguments = spec["arguments"]
    if spec["entry"] and preloaded.unfit_for(spec) is None:
        code = run_entry_point(spec["entry"], arguments)
        spent = before.ru_utime + before.ru_stime
        usage = resource.getrusage(resource.RUSAGE_SELF)
        record = exit_record(code, started, usage, spent_before=spent)
        write_durably(os.path.join(folder, "exit.json"), record)
        os._exit(code)
    if spec["entry"]:
        arguments = [sys.executable, RUN, ANEW, spec["entry"], *arguments]
    try:
        os.execvpe(arguments[0], arguments, spec["environment"])  # noqa: S606  # running it is what was asked for
    except OSError as error:
        sys.stderr.write(f"cannot run {arguments[0]!r}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(126 if error.errno == errno.EACCES else 127)


def prepare(spec: dict[str, Any]) -> None:
    """Streams, environment, folder, signals and limits of a process that has just begun."""
    empty = os.open(os.devnull, os.O_RDONLY)
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for source, target in ((empty, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(empty)
    os.close(log)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(spec["environment"])
    os.chdir(spec["working_folder"])
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("500")  # when memory runs out, the attempt should go, not the server
    for name, value in spec["limits"].items():
        kind = getattr(resource, name)
        ceiling = resource.getrlimit(kind)[1]
        bounded = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
        resource.setrlimit(kind, (bounded, bounded))
