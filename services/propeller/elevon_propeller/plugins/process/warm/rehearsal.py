"""Doing for nothing what every attempt does, so that it finds caches filled, late imports done and pages in place."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from typing import Any

from .entry import refresh_flytekit

_DOCSTRINGS = ("One line.", "One.\n\nArgs:\n    a: b\n", "One.\n\n:param a: b\n", "One.\n\nReturns\n-------\nint\n")
_MODULE = "elevon_rehearsal"
_CONTEXT = "_F_SS_C"
_SOURCE = """from flytekit import task

@task
def rehearse(number: int) -> float:
    '''Nothing.'''
    return 1.0
"""


def rehearse(*, threads: bool) -> bool:
    """Run a small task as an attempt would, and forget it; without threads in a process that is to be forked.

    Answers whether it went well. That it did not is no failure of the server: an attempt that needs it says so.
    """
    scratch = tempfile.mkdtemp(prefix="rehearsal-")
    kept = {name: getattr(sys, name) for name in ("argv", "stdout", "stderr")}
    path, folder = list(sys.path), os.getcwd()
    try:
        with open(os.devnull, "w") as nowhere, contextlib.suppress(Exception, SystemExit):
            sys.stdout = sys.stderr = nowhere
            os.chdir(scratch)
            with _no_threads() if not threads else contextlib.nullcontext():
                _perform(scratch)
        return os.path.exists(os.path.join(scratch, "out", "outputs.pb"))
    finally:
        os.chdir(folder)
        sys.path[:] = path
        sys.path_importer_cache.pop(scratch, None)
        sys.modules.pop(_MODULE, None)
        for name, value in kept.items():
            setattr(sys, name, value)
        shutil.rmtree(scratch, ignore_errors=True)


def _perform(scratch: str) -> None:
    entrypoint: Any = importlib.import_module("flytekit.bin.entrypoint")
    docstring: Any = importlib.import_module("flytekit.core.docstring")
    entities: Any = importlib.import_module("flytekit.core.context_manager").FlyteEntities
    known = len(entities.entities)
    for text in _DOCSTRINGS:
        docstring.Docstring(docstring=text)
    refresh_flytekit()
    with open(os.path.join(scratch, f"{_MODULE}.py"), "w") as file:
        file.write(_SOURCE)
    _write_inputs(os.path.join(scratch, "inputs.pb"))
    sys.path.insert(0, scratch)
    try:
        _set_context()
        entrypoint.execute_task_cmd.main(args=_arguments(scratch), prog_name="pyflyte-execute")
    finally:
        os.environ.pop(_CONTEXT, None)
        del entities.entities[known:]
        refresh_flytekit()


def _set_context() -> None:
    """Give the task the variable with the settings of its registration, as flytekit does."""
    configuration: Any = importlib.import_module("flytekit.configuration")
    settings = configuration.SerializationSettings(configuration.ImageConfig.auto(img_name="example.org/image:1"))
    os.environ[_CONTEXT] = settings.serialized_context


def _write_inputs(path: str) -> None:
    literals: Any = importlib.import_module("flyteidl.core.literals_pb2")
    inputs = literals.LiteralMap()
    inputs.literals["number"].scalar.primitive.integer = 1
    with open(path, "wb") as file:
        file.write(inputs.SerializeToString())


def _arguments(scratch: str) -> list[str]:
    options = {
        "inputs": "inputs.pb",
        "output-prefix": "out",
        "raw-output-data-prefix": "raw",
        "checkpoint-path": "check",
    }
    words = [word for name, place in options.items() for word in (f"--{name}", os.path.join(scratch, place))]
    resolver = "flytekit.core.python_auto_container.default_task_resolver"
    return [
        *words,
        "--prev-checkpoint",
        '""',
        "--resolver",
        resolver,
        "--",
        "task-module",
        _MODULE,
        "task-name",
        "rehearse",
    ]


@contextlib.contextmanager
def _no_threads() -> Iterator[None]:
    """Let flytekit run coroutines here instead of in a thread of its own."""
    runner: Any = importlib.import_module("flytekit.utils.asyn")._TaskRunner
    run_in_thread = runner.run

    def run_here(_: Any, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)

    runner.run = run_here
    try:
        yield
    finally:
        runner.run = run_in_thread
