"""The whole control plane on one machine: three supervised services behind one port."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

from elevon.front_door import Backend, FrontDoor
from elevon.layout import SERVICES, Layout
from elevon.processes import ServiceCommand, ServiceProcess
from elevon.settings import StandaloneSettings

LOCK_SECONDS = 20.0
"""How long to wait for an earlier control plane that still drains."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports of one run; they stay the same when a service is started again."""

    catalog: int
    propeller: int
    admin: int
    admin_http: int
    propeller_http: int
    catalog_http: int

    @classmethod
    def free(cls) -> Ports:
        """Ports that nothing listens on at this moment."""
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(6)]
        try:
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            return cls(*(each.getsockname()[1] for each in sockets))
        finally:
            for each in sockets:
                each.close()


class ControlPlane:
    """Starts, supervises and drains the services; `port` is known once started."""

    def __init__(self, settings: StandaloneSettings, restarted: Callable[[str, int], None] | None = None) -> None:
        self.settings = settings
        self.layout = Layout(settings.data_dir.expanduser().resolve())
        self.ports = Ports.free()
        self.port = settings.port
        self.services: dict[str, ServiceProcess] = {}
        self._restarted = restarted
        self._lock: IO[str] | None = None
        self._door = FrontDoor(
            Backend("admin gRPC", "127.0.0.1", self.ports.admin),
            Backend("admin HTTP", "127.0.0.1", self.ports.admin_http),
        )

    def acquire(self, *, reset: bool = False) -> None:
        """Take the data folder, emptied when `reset`. Raises FolderInUse."""
        self._lock = self.layout.lock(LOCK_SECONDS)
        if reset:
            self.layout.reset()
        self.layout.prepare()

    async def start(self) -> None:
        """Open the port, then start the services together. Raises ServiceFailed, or OSError when the port is taken."""
        self.port = await self._door.open(self.settings.host, self.settings.port)
        for name in SERVICES:
            self.services[name] = ServiceProcess(self._command(name), self._restarted)
        for process in self.services.values():
            await process.launch()
        for process in self.services.values():
            await process.ready(self.settings.start_seconds)

    async def stop(self) -> None:
        """Refuse new connections, then drain the services in the order that loses nothing."""
        await self._door.close()
        for name in reversed(SERVICES):
            if name in self.services:
                await self.services[name].stop(self.settings.drain_seconds)
        if self._lock is not None:
            self._lock.close()

    def _command(self, service: str) -> ServiceCommand:
        assert self._lock is not None
        return ServiceCommand(
            name=service,
            arguments=(sys.executable, "-m", f"elevon_{service}"),
            environment={**self._inherited(), **self._environment(service)},
            ready_file=self.layout.ready(service),
            log_file=self.layout.log(service),
            keep_open=(self._lock.fileno(),),
        )

    def _inherited(self) -> Mapping[str, str]:
        """What the services take from this process: everything but settings meant for this one."""
        return {name: value for name, value in os.environ.items() if not name.startswith("ELEVON_STANDALONE_")}

    def _environment(self, service: str) -> dict[str, str]:
        prefix = f"ELEVON_{service.upper()}_"
        settings = {
            "GRPC__PORT": str(getattr(self.ports, service)),
            "HTTP__PORT": str(getattr(self.ports, f"{service}_http")),
            "DATABASE__URL": self.layout.database(service),
            "DATABASE__MIGRATE": "true",
            "BLOBS__CONTAINER": self.layout.blobs.as_uri(),
            "READY_FILE": str(self.layout.ready(service)),
            **self._particular(service),
        }
        environment = {prefix + name: value for name, value in settings.items() if prefix + name not in os.environ}
        if self.settings.config is not None:
            environment["ELEVON_CONFIG"] = str(self.settings.config)
        return environment

    def _particular(self, service: str) -> dict[str, str]:
        """Settings that only this service has."""
        address = f"{self.settings.public_host}:{self.port}"
        if service == "admin":
            return {
                "PROPELLER_ADDRESS": f"127.0.0.1:{self.ports.propeller}",
                "PUBLIC_URL": f"http://{address}",
                "SIGNING_KEY_FILE": str(self.layout.signing_key),
            }
        if service == "propeller":
            return {
                "ADMIN__ADDRESS": f"127.0.0.1:{self.ports.admin}",
                "CATALOG__ADDRESS": f"127.0.0.1:{self.ports.catalog}",
                "PLUGINS__PROCESS__PYTHON": str(self.settings.python.expanduser().absolute()),
                "DATA_FOLDER": str(self.layout.work),
                "PLUGINS__PROCESS__PLATFORM_URL": address,
            }
        return {}
