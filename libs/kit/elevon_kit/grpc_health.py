"""grpc.health.v1, dependency by dependency: a name asked for is probed, and draining is said before it is felt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from time import monotonic
from typing import Any, TypeAlias

import grpc
from elevon_core.errors import NotFound
from grpc_health.v1 import health_pb2, health_pb2_grpc

from elevon_kit.logging import get_logger

log = get_logger("health")

Probe = Callable[[], Awaitable[object]]
Serving: TypeAlias = int

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

PROBE_TIMEOUT = 2.0
FRESH_SECONDS = 1.0
WATCH_SECONDS = 2.0


class Dependency:
    """One thing a service leans on; its state is remembered for a second."""

    def __init__(self, name: str, probe: Probe, critical: bool) -> None:
        self.name = name
        self.critical = critical
        self.reason = ""
        self._probe = probe
        self._checked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def healthy(self) -> bool:
        """Probe, unless that was done within the last second; a probe that hangs for two seconds has failed."""
        async with self._lock:
            if monotonic() - self._checked_at > FRESH_SECONDS:
                await self._refresh()
        return not self.reason

    async def _refresh(self) -> None:
        before = self.reason
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                await self._probe()
            self.reason = ""
        except TimeoutError:
            self.reason = f"no answer within {PROBE_TIMEOUT:g} s"
        except Exception as error:
            self.reason = str(error) or type(error).__name__
        self._checked_at = monotonic()
        if self.reason and not before:
            log.warning("dependency unhealthy", dependency=self.name, reason=self.reason)
        elif before and not self.reason:
            log.info("dependency healthy again", dependency=self.name)


class Health(health_pb2_grpc.HealthServicer):
    """Answers for the whole server (the empty name), for each of its services, and for each dependency by name.

    A service is SERVING while every critical dependency is healthy and the server is not draining.
    """

    def __init__(self) -> None:
        self._dependencies: dict[str, Dependency] = {}
        self._names = {""}
        self._draining = asyncio.Event()

    def add_names(self, names: Iterable[str]) -> None:
        """Answer for these service names as for the whole."""
        self._names.update(names)

    def add_dependency(self, name: str, probe: Probe, *, critical: bool = True) -> None:
        """Answer for a dependency; the probe raises when it is not well. Only critical ones stop the whole."""
        self._dependencies[name] = Dependency(name, probe, critical)

    def drain(self) -> None:
        """Say NOT_SERVING from now on, to watchers at once."""
        self._draining.set()

    async def report(self) -> dict[str, str]:
        """Answer each dependency's reason for being unwell, empty when it is well; for the HTTP health page."""
        for dependency in self._dependencies.values():
            await dependency.healthy()
        return {name: dependency.reason for name, dependency in self._dependencies.items()}

    async def serving(self) -> bool:
        """Tell whether the whole server serves."""
        return await self._status("") == SERVING

    async def _status(self, name: str) -> Serving:
        if name in self._dependencies:
            return SERVING if await self._dependencies[name].healthy() else NOT_SERVING
        if name not in self._names:
            return SERVICE_UNKNOWN
        if self._draining.is_set():
            return NOT_SERVING
        for dependency in self._dependencies.values():
            if dependency.critical and not await dependency.healthy():
                return NOT_SERVING
        return SERVING

    async def Check(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> health_pb2.HealthCheckResponse:
        """Answer the state of a name; NOT_FOUND for one that means nothing here."""
        status = await self._status(request.service)
        if status == SERVICE_UNKNOWN:
            raise NotFound(f"unknown service {request.service!r}")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Stream the state of a name whenever it changes; the stream ends when the server drains."""
        last: Serving | None = None
        while True:
            draining = self._draining.is_set()
            status = await self._status(request.service)
            if status != last:
                yield health_pb2.HealthCheckResponse(status=status)
                last = status
            if draining:
                return
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._draining.wait()
            except TimeoutError:
                continue
