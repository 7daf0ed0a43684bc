"""Running flytekit's commands in a forked interpreter as their console scripts would."""

from __future__ import annotations

import atexit
import importlib
import os
import random
import sys
import tempfile
import threading
import traceback
import types
from typing import Any

from .controllers import end_controllers, mend_controllers

ENTRY_POINTS = {"pyflyte-execute": "execute_task_cmd", "pyflyte-map-execute": "map_execute_task_cmd"}
"""The functions behind flytekit's commands."""


def call_entry_point(entry: str, arguments: list[str]) -> None:
    """Call the function behind flytekit's command, mended; it ends by raising SystemExit, as click has it."""
    module = importlib.import_module("flytekit.bin.entrypoint")
    mend_controllers()
    getattr(module, ENTRY_POINTS[entry]).main(args=arguments, prog_name=entry)


def run_entry_point(entry: str, arguments: list[str]) -> int:
    """Run flytekit's command as its console script would; answers the exit code."""
    code = 0
    try:
        forget_the_server(entry, arguments)
        call_entry_point(entry, arguments)
    except SystemExit as leaving:
        code = exit_code(leaving)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    return wind_down(code)


def exit_code(leaving: SystemExit) -> int:
    """The exit code of sys.exit, as the interpreter would choose it."""
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    sys.stderr.write(f"{leaving.code}\n")
    return 1


def wind_down(code: int) -> int:
    """What the interpreter does at its end: wait for threads, run what was registered, write out what was printed."""
    try:
        end_controllers()
        threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter itself calls
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as leaving:
        code = exit_code(leaving)
    except BaseException:
        traceback.print_exc()
    return code


def forget_the_server(entry: str, arguments: list[str]) -> None:
    """Make a forked interpreter look like one that has just started for this command."""
    scripts = os.path.join(sys.prefix, "bin")
    sys.argv = [os.path.join(scripts, entry), *arguments]
    main = types.ModuleType("__main__")
    main.__file__ = sys.argv[0]
    sys.modules["__main__"] = main
    added = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.path[:] = [scripts, *added, *sys.path]
    tempfile.tempdir = None
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # else every attempt would draw the same numbers
    sys.stdout = os.fdopen(1, "w", 1, "utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
    refresh_flytekit()


def refresh_flytekit() -> None:
    """Let flytekit read again what it read from the server's environment when it was imported."""
    loggers = importlib.import_module("flytekit.loggers")
    context: Any = importlib.import_module("flytekit.core.context_manager")
    persistence: Any = importlib.import_module("flytekit.core.data_persistence")
    if any(name.startswith("FLYTE_SDK_") for name in os.environ):
        loggers.initialize_global_loggers()
    scratch = tempfile.mkdtemp(prefix="flyte-")
    provider = persistence.FileAccessProvider(os.path.join(scratch, "sandbox"), os.path.join(scratch, "raw"))
    persistence.default_local_file_access_provider = provider
    context.default_local_file_access_provider = provider
    context.FlyteContextManager.initialize()
