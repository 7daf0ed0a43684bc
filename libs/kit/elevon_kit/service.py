"""From settings to a process: start, say so, wait for a signal, drain, end with an exit code that means something."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Protocol, TypeVar

from elevon_core.errors import ElevonError, InvalidArgument

from elevon_kit.collections_apart import collections_apart
from elevon_kit.database_errors import SchemaMismatch
from elevon_kit.logging import configure_logging, get_logger
from elevon_kit.open_files import allow_open_files
from elevon_kit.settings import ServiceSettings
from elevon_kit.telemetry import configure_telemetry

log = get_logger("service")

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_SETTINGS = 2
EXIT_SCHEMA = 3


class App(Protocol):
    """What a service's `build` answers; an attribute `http_address` is published too when there is one."""

    @property
    def grpc_address(self) -> str:
        """Host and port of the gRPC server, once started."""
        ...

    async def start(self) -> None:
        """Open everything and listen; returns when requests are served."""
        ...

    async def stop(self) -> None:
        """Drain and close everything; called once, also after a start that failed half-way."""
        ...


S = TypeVar("S", bound=ServiceSettings)
Build = Callable[[S], Awaitable[App]]


def run_service(
    service: str,
    settings_type: type[S],
    build: Build[S],
    arguments: Sequence[str] | None = None,
    *,
    remembers: bool = False,
) -> int:
    """Run a service until SIGTERM or SIGINT and answer its exit code, for `sys.exit`.

    0 after a drain, 1 when something failed, 2 for bad settings, 3 for a schema that needs `elevon migrate`. A second
    signal ends the process at once. A service that `remembers` much for long has its garbage collected apart from that.
    """
    try:
        settings = settings_type.load(sys.argv[1:] if arguments is None else arguments)
        telemetry = configure_telemetry(settings.telemetry, service)
    except InvalidArgument as error:
        sys.stderr.write(f"elevon-{service}: {error.message}\n")
        return EXIT_SETTINGS
    configure_logging(settings.log, service)
    allow_open_files()
    try:
        return asyncio.run(_run(service, settings, build, remembers=remembers))
    except KeyboardInterrupt:
        return EXIT_FAILED
    finally:
        telemetry.stop()


async def _run(service: str, settings: S, build: Build[S], *, remembers: bool) -> int:
    stop = _listen_for_signals()
    if settings.ready_file is not None:
        settings.ready_file.unlink(missing_ok=True)  # what a former process said is not true any more
    app: App | None = None
    code = EXIT_OK
    try:
        app = await build(settings)
        if await _start(app, stop):
            # What start-up made lives as long as the process, and next to none of it is garbage, half a megabyte: later
            # collections need not look at it, and one now would cost a tenth of a second.
            gc.freeze()
            gc.enable()  # the entry point turns it off while it imports
            give_back_memory()
            announce(app, settings.ready_file)
            with collections_apart() if remembers else nullcontext():
                await stop.wait()
        log.info("stopping", service=service)
    except SchemaMismatch as error:
        log.error("wrong schema", reason=error.message)
        code = EXIT_SCHEMA
    except ElevonError as error:
        log.error("cannot start", reason=error.message)
        code = EXIT_SETTINGS if isinstance(error, InvalidArgument) else EXIT_FAILED
    except Exception as error:
        log.error("cannot start", exc_info=error)
        code = EXIT_FAILED
    return await _stop(app, code)


async def _start(app: App, stop: asyncio.Event) -> bool:
    """Start unless a signal comes first; tells whether the service is up."""
    starting = asyncio.create_task(app.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
        return False
    starting.result()
    return True


async def _stop(app: App | None, code: int) -> int:
    if app is None:
        return code
    try:
        await app.stop()
    except Exception as error:
        log.error("did not stop cleanly", exc_info=error)
        return code or EXIT_FAILED
    log.info("stopped")
    return code


def _listen_for_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


def announce(app: App, ready_file: Path | None) -> None:
    """Log the bound addresses and put them as one JSON line into the ready file, which appears as a whole."""
    addresses = {"grpc": app.grpc_address}
    http = getattr(app, "http_address", "")
    if http:
        addresses["http"] = http
    log.info("ready", **addresses)
    if ready_file is None:
        return
    ready_file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=ready_file.parent, delete=False) as file:
        file.write(json.dumps({"event": "ready", **addresses, "pid": os.getpid()}) + "\n")
    os.replace(file.name, ready_file)


def give_back_memory() -> None:
    """Hand what starting up needed and no longer uses back to the system, where the C library can (glibc)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
