"""The `elevon` command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from elevon_core.errors import ElevonError

from elevon.commands import automation, cache, executions, get, logs, retention, signals

if TYPE_CHECKING:
    from elevon.control_plane import ControlPlane
    from elevon.settings import StandaloneSettings

application = typer.Typer(
    name="elevon", help="Elevon: a control plane for tasks and workflows.", no_args_is_help=True, add_completion=True
)

for listing in (automation.schedules, automation.ticks, automation.receivers, automation.deliveries):
    get.application.command()(listing)
application.add_typer(get.application)
application.add_typer(signals.application)
application.add_typer(cache.application)
application.add_typer(retention.application)
for command in (
    executions.describe,
    executions.watch,
    logs.logs,
    executions.terminate,
    executions.recover,
    executions.relaunch,
    retention.delete,
):
    application.command()(command)

Config = Annotated[
    Path | None, typer.Option(help="Settings file (YAML) for all services.", exists=True, dir_okay=False)
]
DataDir = Annotated[Path | None, typer.Option(help="Folder for databases, data and logs.")]
Python = Annotated[Path | None, typer.Option(help="Python interpreter that has the tasks' packages.")]


@application.command()
def up(
    port: Annotated[int | None, typer.Option(help="The one port for gRPC and HTTP; 30080 by default.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; loopback by default.")] = None,
    data_dir: DataDir = None,
    python: Python = None,
    connector: Annotated[
        list[str] | None,
        typer.Option(help="A connector service, host:port or name=host:port; may be given several times."),
    ] = None,
    config: Config = None,
    propellers: Annotated[
        int | None, typer.Option(help="Replicas of propeller; more than one need PostgreSQL.", min=1, max=8)
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Delete what the data folder holds, then start.")] = False,
) -> None:
    """Run the control plane here, until Ctrl-C; a second start resumes what was running."""
    settings = load(
        config,
        port=port,
        host=host,
        data_dir=data_dir,
        python=python,
        connectors=connector or None,
        propellers=propellers,
    )
    tasks_python = settings.python.expanduser()
    if not (tasks_python.is_file() and os.access(tasks_python, os.X_OK)):
        fail(f"there is no Python for tasks at {tasks_python}: name one with --python /path/to/venv/bin/python")
    sys.exit(asyncio.run(run(settings, reset)))


@application.command()
def doctor(
    data_dir: DataDir = None,
    python: Python = None,
    port: Annotated[int | None, typer.Option(help="The port that `elevon up` would use.")] = None,
    config: Config = None,
) -> None:
    """Say what is wrong with this installation, in words."""
    from elevon.doctor import examine, show

    sys.exit(show(examine(load(config, data_dir=data_dir, python=python, port=port))))


@application.command()
def migrate(
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Bring the databases of all services up to date; the control plane must not run."""
    from elevon.migrate import migrate_all

    settings = load(config, data_dir=data_dir)
    try:
        asyncio.run(migrate_all(settings))
    except ElevonError as error:
        fail(error.message)
    except OSError as error:
        fail(f"{settings.data_dir} cannot be the data folder: {error}")


@application.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(installed("elevon"))


def load(config: Path | None, **flags: object) -> StandaloneSettings:
    """Read the settings, or say what is wrong with them and end."""
    from elevon.settings import StandaloneSettings

    try:
        return StandaloneSettings.load(config, **flags)
    except ElevonError as error:
        fail(error.message)


def fail(message: str) -> NoReturn:
    """Say what went wrong and end."""
    typer.echo(f"elevon: {message}", err=True)
    sys.exit(1)


async def run(settings: StandaloneSettings, reset: bool) -> int:
    """Run the control plane until a signal asks it to stop, which it may do at any time; returns the exit code.

    A second signal ends the services without waiting for them to drain: nothing is lost by that, they resume as after a
    crash.
    """
    from elevon.control_plane import CannotListen, ControlPlane
    from elevon.layout import FolderInUse
    from elevon.processes import ServiceFailed

    stop, at_once = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda: (at_once if stop.is_set() else stop).set())
    plane = ControlPlane(settings, restarted=lambda name, code: typer.echo(f"{name} ended ({code}); started again"))
    try:
        await until_set(stop, bring_up(plane, reset))
        await stop.wait()
        typer.echo("draining…")
    except (FolderInUse, ServiceFailed, CannotListen) as error:
        typer.echo(f"elevon: {error}", err=True)
        return 1
    except ElevonError as error:
        typer.echo(f"elevon: {error.message}", err=True)
        return 1
    except OSError as error:
        typer.echo(f"elevon: {plane.layout.root} cannot be the data folder: {error}", err=True)
        return 1
    finally:
        await drained(plane, at_once)
    return 1 if at_once.is_set() else 0


async def drained(plane: ControlPlane, at_once: asyncio.Event) -> None:
    """Stop the control plane in good order, until that is to be cut short."""
    draining, hurry = asyncio.ensure_future(plane.stop()), asyncio.ensure_future(at_once.wait())
    await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        typer.echo("ending at once: what ran is resumed with the next start")
        await plane.kill()
    hurry.cancel()
    await draining


async def bring_up(plane: ControlPlane, reset: bool) -> None:
    """Take the folder, start everything, and say so."""
    from elevon.control_plane import LOCK_SECONDS
    from elevon.layout import FolderInUse

    began = time.monotonic()
    while True:
        try:
            plane.acquire(reset=reset, seconds=0)
            break
        except FolderInUse as error:
            if not error.ending or time.monotonic() - began > LOCK_SECONDS:
                raise
        await asyncio.sleep(0.05)
    await plane.start()
    welcome(plane.settings, plane.port, time.monotonic() - began)


async def until_set(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do the work, but give it up when `stop` is set before it is done."""
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait((working,))
        return
    working.result()


def welcome(settings: StandaloneSettings, port: int, seconds: float) -> None:
    """Print the ready line, which begins with `ready`, and what a client needs to know."""
    address = f"{settings.public_host}:{port}"
    typer.echo(f"ready: Elevon answers on {address} (gRPC and HTTP) after {seconds:.1f} s")
    typer.echo(f"  data and logs   {settings.data_dir.expanduser().resolve()}")
    typer.echo(f"  tasks run with  {settings.python}")
    for connector in settings.connectors:
        typer.echo(f"  connector       {connector}")
    typer.echo(f"  flytekit        export FLYTE_PLATFORM_URL={address} FLYTE_PLATFORM_INSECURE=true")
    typer.echo(f"  HTTP API        http://{address}/healthcheck")
    typer.echo("  stop            Ctrl-C; what runs is resumed at the next start")
    sys.stdout.flush()


def main() -> None:
    """Run the command; what cannot be written is said in one line, and not at all when nobody reads it any more."""
    open_what_is_closed()
    try:
        try:
            application()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        give_up_output()
        sys.exit(1)
    except OSError as error:
        give_up_output()
        fail(": ".join(filter(None, (error.filename, error.strerror))) or str(error))


def open_what_is_closed() -> None:
    """Let a command that was started without an output write to nowhere; Python has None in its place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # open until the end


def give_up_output() -> None:
    """Send what is still to be written to nowhere: Python would try it once more as it ends, and complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
