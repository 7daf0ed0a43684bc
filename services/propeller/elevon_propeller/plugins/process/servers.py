"""The fork servers of this machine: found again, started, spoken to, let go."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from elevon_core.errors import FailedPrecondition
from elevon_kit.logging import get_logger

from elevon_propeller.plugins.process import warm
from elevon_propeller.plugins.process.client import ForkServerClient, ServerLost
from elevon_propeller.plugins.settings import ProcessSettings

log = get_logger("fork servers")

_LONGEST_SOCKET_PATH = 100
LEAVING_SECONDS = 5.0
"""How long a server that is told to leave may take to be gone."""


@dataclass(frozen=True, slots=True)
class ForkServer:
    """A server that answered: `key` names its folder, `identity` this very process; `trouble` is why it is not warm."""

    key: str
    identity: str
    pid: int
    flytekit: str
    trouble: str
    client: ForkServerClient


class ForkServers:
    """One server for each Python; `folder` holds a folder for each."""

    def __init__(self, folder: Path, settings: ProcessSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._servers: dict[str, ForkServer] = {}
        self._starting: dict[str, asyncio.Task[ForkServer]] = {}
        self._spawning: set[asyncio.Future[None]] = set()

    async def open(self) -> None:
        """Connect to the servers that an earlier process left running; those of no use any more are let go."""
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        for folder in sorted(self._folder.iterdir()):
            if not _is_alive(folder):
                continue
            server = await self._adopt(folder)
            if server is not None and folder.name not in self._keys_in_use():
                await self._let_go(server, kill=False)

    async def for_python(self, python: Path) -> ForkServer:
        """The server of a Python, started if need be.

        Raises FailedPrecondition when it cannot be started: the Python is absent or is none.
        """
        key = self._key(python)
        server = self._servers.get(key)
        if server is not None and server.client.is_connected:
            return server
        task = self._starting.get(key)
        if task is None:
            task = self._starting[key] = asyncio.create_task(self._start(python, key), name=f"fork server {key}")
            task.add_done_callback(lambda _: self._starting.pop(key, None))
        return await asyncio.shield(task)

    def known(self, key: str, identity: str) -> ForkServer | None:
        """The connected server that is this very process."""
        server = self._servers.get(key)
        return server if server is not None and server.identity == identity and server.client.is_connected else None

    async def reconnect(self, key: str, identity: str) -> ForkServer | None:
        """The same, after a try to connect again; None means that this process is dead."""
        server = self.known(key, identity)
        folder = self._folder / key
        if server is None and key not in self._starting and await asyncio.to_thread(_dies_or_stays, folder):
            await self._adopt(folder)
        return server or self.known(key, identity)

    async def close(self, *, kill: bool) -> None:
        """Say goodbye to all; with `kill` returns when they and their attempts are gone."""
        starting = dict(self._starting)
        for task in starting.values():
            task.cancel()
        await asyncio.gather(*starting.values(), *self._spawning, return_exceptions=True)
        await asyncio.gather(*(self._dismiss(self._folder / key) for key in starting if key not in self._servers))
        await asyncio.gather(*(self._let_go(server, kill=kill) for server in list(self._servers.values())))

    # -- the life of a server

    async def _start(self, python: Path, key: str) -> ForkServer:
        folder = self._folder / key
        if _is_alive(folder):
            server = await self._adopt(folder)
            if server is not None:
                return server
            # One that is leaving answers nobody any more and holds its lock until it has left.
            await _gone(folder, LEAVING_SECONDS)
        await self._spawn_to_the_end(python, folder)
        server = await self._adopt(folder)
        if server is None:
            raise FailedPrecondition(f"the fork server of {python} does not answer; see {folder / 'log'}")
        log.info("fork server is warm", python=str(python), pid=server.pid, trouble=server.trouble)
        return server

    async def _spawn_to_the_end(self, python: Path, folder: Path) -> None:
        """Spawn a server, and if cancelled meanwhile let `close` find it."""
        spawning = asyncio.ensure_future(asyncio.to_thread(self._spawn, python, folder))
        self._spawning.add(spawning)
        spawning.add_done_callback(self._spawning.discard)
        await asyncio.shield(spawning)

    def _spawn(self, python: Path, folder: Path) -> None:
        """Spawn a server, unless another replica on this machine has just done so: they share folder and server."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "spawning").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_alive(folder):
                self._spawn_alone(python, folder)

    def _spawn_alone(self, python: Path, folder: Path) -> None:
        shutil.rmtree(folder / "tmp", ignore_errors=True)
        for name in ("home", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        socket, identity = _socket_path(folder), uuid.uuid4().hex
        (folder / "server.json").write_text(json.dumps({"identity": identity, "python": str(python)}))
        options = {
            "--folder": folder,
            "--socket": socket,
            "--identity": identity,
            "--grace": self._settings.grace.total_seconds(),
            "--kill-grace": self._settings.kill_grace.total_seconds(),
            "--spares": self._settings.spares,
        }
        words = [str(word) for option in options.items() for word in option]
        command = [str(python), warm.RUN, *words, "--preload", *self._settings.preload]
        try:
            with (folder / "log").open("ab") as output:
                subprocess.run(  # noqa: S603  # the command is configuration
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=self._environment(python, folder),
                    cwd=folder,
                    start_new_session=True,
                    timeout=self._settings.start_timeout.total_seconds(),
                    check=True,
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise FailedPrecondition(
                f"the Python of the tasks, {python}, cannot be started: {error}{_last_words(folder / 'log')}; "
                "set plugins.process.python to the interpreter of an environment with flytekit"
            ) from error

    def _environment(self, python: Path, folder: Path) -> dict[str, str]:
        environment = {name: os.environ[name] for name in self._settings.inherited_variables if name in os.environ}
        environment.setdefault("LANG", "C.UTF-8")
        environment |= self._shared_variables()
        environment["PATH"] = f"{python.parent}{os.pathsep}{self._settings.path}"
        environment["HOME"] = str(folder / "home")
        environment["TMPDIR"] = str(folder / "tmp")
        environment["FLYTE_INTERNAL_EXECUTION_ID"] = "none"  # keeps flytekit from setting up logs for a terminal
        environment["GRPC_ENABLE_FORK_SUPPORT"] = "false"
        return environment

    def _shared_variables(self) -> dict[str, str]:
        """What all tasks have, so that modules may as well be imported with it; not what flytekit is told."""
        given = self._settings.environment
        return {name: value for name, value in given.items() if not name.startswith(("FLYTE", "_F_", "PYTHON", "LD_"))}

    async def _adopt(self, folder: Path) -> ForkServer | None:
        """Connect to a running server; one that does not answer in time is killed."""
        client = ForkServerClient(lambda: self._forget(folder.name, client))
        timeout = self._settings.start_timeout.total_seconds()
        try:
            await client.connect(_socket_path(folder))
            async with asyncio.timeout(timeout):
                answer = await client.hello()
        except (OSError, ServerLost, asyncio.CancelledError) as error:  # a TimeoutError is an OSError
            await client.close()
            if isinstance(error, asyncio.CancelledError):
                raise
            if isinstance(error, TimeoutError):
                log.error("a fork server does not answer and is killed", folder=str(folder))
                await asyncio.to_thread(_put_down, folder)
            return None
        if answer["protocol"] != warm.PROTOCOL:
            await client.close()
            return None
        server = ForkServer(
            folder.name, answer["identity"], answer["pid"], answer["flytekit"], answer["trouble"], client
        )
        self._servers[folder.name] = server
        return server

    async def _let_go(self, server: ForkServer, *, kill: bool) -> None:
        with contextlib.suppress(ServerLost):
            if await server.client.leave(kill=kill):
                await server.client.closed()
        await server.client.close()

    async def _dismiss(self, folder: Path) -> None:
        """Tell a server that is still warming up to leave, without waiting for it."""
        client = ForkServerClient(lambda: None)
        with contextlib.suppress(OSError, ServerLost):
            await client.connect(_socket_path(folder))
            await client.dismiss()
        await client.close()

    def _forget(self, key: str, client: ForkServerClient) -> None:
        server = self._servers.get(key)
        if server is not None and server.client is client:
            del self._servers[key]

    # -- names

    def _key(self, python: Path) -> str:
        """A server is shared by those who would start the same one: same Python, same imports, same script."""
        digest = hashlib.sha256(_digest_of_script())
        options = [str(python), str(self._settings.spares)]
        variables = [f"{name}={value}" for name, value in sorted(self._shared_variables().items())]
        digest.update("\0".join([*options, *self._settings.preload, *variables]).encode())
        return digest.hexdigest()[:16]

    def _keys_in_use(self) -> set[str]:
        pythons = {python_of(self._settings), *self._settings.images.values()}
        return {self._key(python) for python in pythons}


def python_of(settings: ProcessSettings) -> Path:
    """The Python of tasks whose image is not configured; never resolved, since environments are found by links."""
    return settings.python or Path(sys.executable)


@cache
def _digest_of_script() -> bytes:
    digest = hashlib.sha256()
    for file in sorted(Path(warm.RUN).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.digest()


def _is_alive(folder: Path) -> bool:
    """Whether a server holds the folder's lock, which ends with the process."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


async def _gone(folder: Path, seconds: float) -> None:
    """Wait until a server has left, so long at most."""
    for _ in range(round(seconds / 0.01)):
        if not _is_alive(folder):
            return
        await asyncio.sleep(0.01)


def _dies_or_stays(folder: Path, seconds: float = 0.2) -> bool:
    """Whether a server whose connection broke is alive; one that is just dying is not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not _is_alive(folder):
            return False
        time.sleep(0.01)
    return True


def _put_down(folder: Path) -> None:
    """Kill a server that holds its lock and does not answer; returns when it is gone."""
    try:
        pid = int((folder / "pid").read_text())
    except (OSError, ValueError):
        return
    while _is_alive(folder):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _socket_path(folder: Path) -> Path:
    """Where a server listens: in its folder, unless the path would be too long for a socket."""
    path = folder / "socket"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    private = Path(tempfile.gettempdir()) / f"elevon-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.stat().st_uid != os.getuid():
        raise FailedPrecondition(f"{private} belongs to another user; set plugins.process.folder to a shorter path")
    return private / hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]


def _last_words(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()[-5:]
    except OSError:
        return ""
    return "".join(f"\n{line}" for line in lines)
