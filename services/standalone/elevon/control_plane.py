"""The whole control plane on one machine: three supervised services behind one port."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import secrets
import socket
import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from elevon_core.errors import InvalidArgument
from elevon_kit.open_files import allow_open_files
from elevon_kit.settings import CONFIG_VARIABLE

from elevon.front_door import Backend, FrontDoor
from elevon.layout import SERVICES, Layout, announce_end
from elevon.overrides import Overrides
from elevon.processes import ServiceCommand, ServiceProcess
from elevon.settings import StandaloneSettings, connector_addresses

LOCK_SECONDS = 20.0
"""How long to wait for an earlier control plane that still drains."""

OTHER_FILES = 128
"""Open files that are no connections; each of these takes two."""


class CannotListen(Exception):
    """The one port cannot be had; the message says why and what to do."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        if error.errno == errno.EADDRINUSE:
            reason = "something listens there already: stop it, or choose another port with --port"
        else:
            reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error.strerror)
        super().__init__(f"cannot listen on {host}:{port}: {reason}")


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports of one run; they stay the same when a service is started again."""

    catalog: int
    admin: int
    admin_http: int
    propellers: tuple[int, ...]

    @property
    def propeller(self) -> int:
        """The first propeller's."""
        return self.propellers[0]

    @property
    def propeller_address(self) -> str:
        """Where propeller is reached: one replica, or all in turn."""
        if len(self.propellers) == 1:
            return f"127.0.0.1:{self.propeller}"
        return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in self.propellers)

    def of(self, name: str) -> int:
        """The gRPC port of a service, or of one of its replicas."""
        service, replica = service_of(name)
        ports = {"admin": (self.admin,), "catalog": (self.catalog,), "propeller": self.propellers}
        return ports[service][replica]

    @classmethod
    def of_sockets(cls, sockets: Sequence[socket.socket]) -> Ports:
        """Those of catalog, of admin for gRPC and HTTP, then of each propeller."""
        catalog, admin, admin_http, *propellers = (each.getsockname()[1] for each in sockets)
        return cls(catalog, admin, admin_http, tuple(propellers))


def bound_sockets(count: int) -> list[socket.socket]:
    """Sockets with ports of their own.

    On Linux nobody who asks for any port is given one of these while they are open, and a service that asks for it can
    listen there, as both may reuse addresses. Elsewhere it cannot: there they are to be closed before.
    """
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(("127.0.0.1", 0))
    return sockets


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close sockets."""
    for each in sockets:
        each.close()


class ControlPlane:
    """Starts, supervises and drains the services; `port` is known once started."""

    def __init__(self, settings: StandaloneSettings, restarted: Callable[[str, int], None] | None = None) -> None:
        self.settings = settings
        self.layout = Layout(settings.data_dir.expanduser().resolve())
        sockets = bound_sockets(3 + settings.propellers)
        self.ports = Ports.of_sockets(sockets)
        release = weakref.finalize(self, close_all, sockets)
        if sys.platform != "linux":
            release()
        self.port = settings.port
        self.services: dict[str, ServiceProcess] = {}
        self._service_key = secrets.token_hex(16)
        self._restarted = restarted
        self._lock: IO[str] | None = None
        self._overrides = Overrides({}, {})
        self._door = FrontDoor(
            Backend("admin gRPC", "127.0.0.1", self.ports.admin),
            Backend("admin HTTP", "127.0.0.1", self.ports.admin_http),
            first_bytes_seconds=settings.first_bytes_seconds,
            most=max(1, min(settings.connections, (allow_open_files() - OTHER_FILES) // 2)),
        )

    def acquire(self, *, reset: bool = False, seconds: float = LOCK_SECONDS) -> None:
        """Take the data folder, emptied when `reset`; waits up to `seconds` for services that still drain.

        Raises FolderInUse, and OSError when there can be no such folder.
        """
        self._lock = self.layout.lock(seconds)
        if reset:
            self.layout.reset()
        self.layout.prepare()

    async def start(self) -> None:
        """Open the port, then start the services together.

        Raises ServiceFailed, CannotListen when the port cannot be had, InvalidArgument for a wrong settings file.
        """
        self._overrides = Overrides.read(self.settings.config)
        self._check_replicas()
        try:
            self.port = await self._door.open(self.settings.host, self.settings.port)
        except OSError as error:
            raise CannotListen(self.settings.host, self.settings.port, error) from error
        for name in self.names:
            self.services[name] = ServiceProcess(self._command(name), self._restarted)
        await asyncio.gather(*(process.launch() for process in self.services.values()))
        await asyncio.gather(*(process.ready(self.settings.start_seconds) for process in self.services.values()))

    async def stop(self) -> None:
        """Refuse new connections, then drain the services in the order that loses nothing."""
        self._door.refuse()
        if self._lock is not None:
            announce_end(self._lock)
        for name in reversed(self.names):
            if name in self.services:
                await self.services[name].stop(self.settings.drain_seconds)
        await self._door.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def kill(self) -> None:
        """End all services as a crash would; `stop`, which may be under way, does the rest."""
        await asyncio.gather(*(process.kill() for process in self.services.values()))

    @property
    def names(self) -> tuple[str, ...]:
        """What is started, in order: the services, and further replicas of propeller behind the first."""
        replicas = [replica_name("propeller", number) for number in range(1, self.settings.propellers)]
        return tuple(name for service in SERVICES for name in (service, *(replicas if service == "propeller" else ())))

    def _check_replicas(self) -> None:
        url = str(self._overrides.get("propeller", "DATABASE__URL") or self.layout.database("propeller"))
        if self.settings.propellers > 1 and not url.startswith("postgresql"):
            rule = "several replicas need PostgreSQL: set propeller.database.url to postgresql+asyncpg://…"
            raise InvalidArgument.invalid("propellers", self.settings.propellers, rule)

    def _command(self, name: str) -> ServiceCommand:
        assert self._lock is not None
        return ServiceCommand(
            name=name,
            arguments=(sys.executable, "-m", f"elevon_{service_of(name)[0]}"),
            environment={**self._inherited(), **self._environment(name)},
            ready_file=self.layout.ready(name),
            log_file=self.layout.log(name),
            keep_open=(self._lock.fileno(),),
        )

    def _inherited(self) -> dict[str, str]:
        """What the services take from this process: everything but settings meant for this one."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ELEVON_STANDALONE_")}
        if inherited.pop("PYTHONDONTWRITEBYTECODE", ""):
            # Whoever sets this wants no files beside the sources, not services that compile themselves at every start.
            inherited.setdefault("PYTHONPYCACHEPREFIX", str(bytecode_folder()))
        return inherited

    def _environment(self, replica: str) -> dict[str, str]:
        """Settings of a service: how the three find each other, and what the user has not set otherwise."""
        service = service_of(replica)[0]
        prefix = f"ELEVON_{service.upper()}_"
        environment = {prefix + name: value for name, value in self._wiring(replica).items()}
        for name, value in self._defaults(service).items():
            if self._overrides.get(service, name) is None:
                environment[prefix + name] = value
        if self.settings.config is not None:
            environment[CONFIG_VARIABLE] = str(self.settings.config)
        return environment

    def _wiring(self, name: str) -> dict[str, str]:
        """Settings that nobody may change, or the services would not find each other; and what flags say."""
        common = {"GRPC__PORT": str(self.ports.of(name)), "READY_FILE": str(self.layout.ready(name))}
        particular = {
            "admin": {
                "HTTP__PORT": str(self.ports.admin_http),
                "HTTP__ENABLED": "true",
                "PROPELLER_ADDRESS": self.ports.propeller_address,
                "CATALOG_ADDRESS": f"127.0.0.1:{self.ports.catalog}",
                "GRPC__LIMITS__SERVICE_KEY": self._service_key,
            },
            "propeller": {
                "ADMIN__ADDRESS": f"127.0.0.1:{self.ports.admin}",
                "ADMIN__CLIENT__SERVICE_KEY": self._service_key,
                "CATALOG__ADDRESS": f"127.0.0.1:{self.ports.catalog}",
                "ENGINE__REPLICA_NAME": self._replica_name(name),
            },
        }
        addresses = connector_addresses(self.settings.connectors)
        if addresses:
            endpoints = {name: {"address": address} for name, address in addresses.items()}
            particular["propeller"]["PLUGINS__CONNECTOR__ENDPOINTS"] = json.dumps(endpoints)
        return common | particular.get(service_of(name)[0], {})

    def _replica_name(self, name: str) -> str:
        """A name that no replica started elsewhere, or from another folder, bears.

        Under it none ever runs twice: the next one need not wait for the leases of the one before.
        """
        folder = hashlib.sha256(str(self.layout.root).encode()).hexdigest()[:8]
        return f"{socket.gethostname()[:100]}-{folder}-{name}"

    def _defaults(self, service: str) -> dict[str, str]:
        """Settings that fit one machine; the user's own win."""
        address = f"{self.settings.public_host}:{self.port}"
        common = {
            "DATABASE__URL": self.layout.database(service),
            "DATABASE__MIGRATE": "true",
            "BLOBS__CONTAINER": self.layout.blobs.as_uri(),
            "HTTP__ENABLED": "false",  # nobody asks these for health or metrics here; a user who does turns it on
        }
        particular = {
            "admin": {
                "PUBLIC_URL": f"http://{address}",
                "SIGNING_KEY_FILE": str(self.layout.signing_key),
                # Tasks are processes of the user: no page that the user happens to look at may start them.
                "GATEWAY__ALLOWED_ORIGINS": '["loopback"]',
                "GATEWAY__REFUSE_OTHER_ORIGINS": "true",
                "GATEWAY__ALLOWED_HOSTS": "[]",
            },
            "propeller": {
                "DATA_FOLDER": str(self.layout.work),
                "PLUGINS__PROCESS__PYTHON": str(self.settings.python.expanduser().absolute()),
                "PLUGINS__PROCESS__PLATFORM_URL": address,
            },
        }
        if service == "admin":
            del common["HTTP__ENABLED"]
        return common | particular.get(service, {})


def replica_name(service: str, number: int) -> str:
    """What a replica is called among the processes: the first bears the service's name."""
    return service if number == 0 else f"{service}-{number + 1}"


def service_of(name: str) -> tuple[str, int]:
    """The service of a process, and which of its replicas it is, from 0."""
    service, _, number = name.partition("-")
    return service, int(number) - 1 if number else 0


def bytecode_folder() -> Path:
    """Where compiled modules may be kept without leaving files beside sources."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "elevon" / "bytecode"
