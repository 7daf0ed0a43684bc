"""Look at an installation and say, in words, what would keep it from working."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from elevon_core.errors import ElevonError

from elevon.front_door import UNAVAILABLE_BODY
from elevon.layout import Layout, holder_of, try_lock
from elevon.settings import StandaloneSettings

ENOUGH_DISK_BYTES = 1024**3
"""Below this the data folder counts as nearly full."""

LONGEST_HEALTH_ANSWER = 64 * 1024

PROBE = "import sys, flytekit; print(sys.version.split()[0], flytekit.__version__)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `ok`, what was seen, and what to do when it is not right."""

    subject: str
    ok: bool
    seen: str
    remedy: str = ""


def examine(settings: StandaloneSettings) -> list[Finding]:
    """Look at everything `elevon up` needs; changes nothing."""
    return [
        python_of_elevon(),
        python_of_tasks(settings.python.expanduser()),
        data_folder(Layout(settings.data_dir.expanduser().resolve())),
        disk(settings.data_dir.expanduser().resolve()),
        port(settings),
        *service_settings(settings),
        *client_environment(settings),
    ]


def show(findings: list[Finding]) -> int:
    """Print the findings; returns 1 when one of them needs attention."""
    for finding in findings:
        typer.echo(f"{'ok     ' if finding.ok else 'PROBLEM'} {finding.subject}: {finding.seen}")
        if not finding.ok:
            typer.echo(f"        {finding.remedy}")
    problems = sum(not finding.ok for finding in findings)
    typer.echo("nothing is wrong" if problems == 0 else f"{problems} to mend")
    return 1 if problems else 0


def python_of_elevon() -> Finding:
    """The interpreter this runs on."""
    seen = f"{sys.version.split()[0]} at {sys.executable}"
    return Finding("Python", sys.version_info >= (3, 11), seen, "Elevon needs Python 3.11 or later")


def python_of_tasks(python: Path) -> Finding:
    """The interpreter that tasks run with must be there and must have flytekit."""
    subject = "Python for tasks"
    if not python.is_file():
        return Finding(subject, False, f"{python} does not exist", "name it with --python /path/to/venv/bin/python")
    try:
        probe = subprocess.run([str(python), "-c", PROBE], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603  # the user named this interpreter
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(subject, False, f"{python} does not run: {error}", "name another one with --python")
    if probe.returncode != 0:
        reason = probe.stderr.strip().splitlines()[-1:] or ["no message"]
        remedy = f"install it there: {python} -m pip install flytekit"
        return Finding(subject, False, f"{python} cannot import flytekit ({reason[0]})", remedy)
    version, flytekit = probe.stdout.splitlines()[-1].split()
    return Finding(subject, True, f"{version} with flytekit {flytekit} at {python}")


def data_folder(layout: Layout) -> Finding:
    """The data folder must be writable; whether a control plane runs on it is worth knowing."""
    subject = "data folder"
    root = layout.root
    remedy = "choose another one with --data-dir"
    existing = next(path for path in (root, *root.parents) if path.exists())
    if not existing.is_dir():
        return Finding(subject, False, f"{existing} is not a folder", remedy)
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(subject, False, f"{existing} is not writable", remedy)
    if existing != root:
        return Finding(subject, True, f"{root} will be made")
    try:
        return Finding(subject, True, f"{root}, {occupant(root / 'lock')}")
    except OSError as error:
        return Finding(subject, False, f"{root / 'lock'} cannot be opened: {error.strerror}", remedy)


def occupant(lock: Path) -> str:
    """Who uses the folder of this lock, in words."""
    if not lock.exists():
        return "free"
    with lock.open("a+") as held:
        if try_lock(held):
            return "free"
        holder = holder_of(held)
    return f"in use by process {holder}" if holder is not None else "in use by services that have not ended yet"


def disk(folder: Path) -> Finding:
    """Databases and data need room."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    remedy = "make room, or choose another folder with --data-dir"
    return Finding("disk", free >= ENOUGH_DISK_BYTES, f"{free / 1024**3:.1f} GiB free at {existing}", remedy)


def port(settings: StandaloneSettings) -> Finding:
    """The one port must be free, or answered by a control plane."""
    place = f"{settings.port} on {settings.host}"
    try:
        listen_once(settings.host, settings.port)
    except OSError as error:
        remedy = f"stop what listens on port {settings.port}, or choose another one with --port"
        if error.errno != errno.EADDRINUSE:
            return Finding(
                "port", False, f"{place} cannot be used: {error.strerror}", "choose another --port or --host"
            )
        if answers(settings):
            return Finding("port", True, f"{place} is answered by a control plane")
        return Finding("port", False, f"{place} is taken, and not by a control plane", remedy)
    return Finding("port", True, f"{place} is free")


def listen_once(host: str, port: int) -> None:
    """Listen on an address for a moment. Raises OSError when that is not possible."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen()


def answers(settings: StandaloneSettings) -> bool:
    """True when the listener on the port is a control plane: it answers the health check as Elevon does."""
    request = f"GET /healthcheck HTTP/1.1\r\nHost: {settings.host}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((settings.host, settings.port), timeout=2) as connection:
            connection.sendall(request.encode())
            with connection.makefile("rb") as answer:
                said = answer.read(LONGEST_HEALTH_ANSWER)
                return b"SERVING" in said or UNAVAILABLE_BODY in said
    except OSError:
        return False


def service_settings(settings: StandaloneSettings) -> Iterator[Finding]:
    """Each service must understand its section of the settings file, and its variables."""
    from elevon_admin.settings import AdminSettings
    from elevon_catalog.settings import CatalogSettings
    from elevon_propeller.settings import PropellerSettings

    arguments = ("--config", str(settings.config)) if settings.config is not None else ()
    where = str(settings.config) if settings.config is not None else "defaults"
    for kind in (CatalogSettings, PropellerSettings, AdminSettings):
        subject = f"settings of {kind.service}"
        try:
            kind.load(arguments)
        except ElevonError as error:
            seen = error.message.removeprefix(f"{subject}: ")
            yield Finding(subject, False, seen, "docs/settings.md tells all settings with their rules")
        else:
            yield Finding(subject, True, where)


def client_environment(settings: StandaloneSettings) -> Iterator[Finding]:
    """Variables of flytekit in this shell that would lead it elsewhere."""
    url = os.environ.get("FLYTE_PLATFORM_URL")
    if url is None:
        return
    expected = f"{settings.public_host}:{settings.port}"
    remedy = f"export FLYTE_PLATFORM_URL={expected}"
    yield Finding("FLYTE_PLATFORM_URL", url.removeprefix("dns:///") == expected, url, remedy)
    insecure = os.environ.get("FLYTE_PLATFORM_INSECURE", "").lower() in ("true", "1", "t")
    yield Finding("FLYTE_PLATFORM_INSECURE", insecure, str(insecure), "export FLYTE_PLATFORM_INSECURE=true")
