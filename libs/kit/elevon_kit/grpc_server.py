"""A gRPC server that serves every wire-compatible service under two names, with one wrapper around every method."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from elevon_core.errors import Internal, InvalidArgument, Unavailable
from elevon_idl.names import ORIGINAL_SERVICES
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor

from elevon_kit.grpc_handlers import MethodHandlers
from elevon_kit.grpc_health import Health
from elevon_kit.grpc_reflection import V1, V1ALPHA, reflection_servicer
from elevon_kit.logging import get_logger
from elevon_kit.settings import GrpcSettings, address

log = get_logger("grpc")


REFUSAL_SECONDS = 0.05
"""How long new calls are answered UNAVAILABLE before the server stops: one that is on its way then is CANCELLED."""

REFUSAL_STEPS = 5
"""A pause of the machine takes one step of this time and not all of it: what has come is looked at after it."""


class Methods(grpc.GenericRpcHandler):
    """All methods of all services in one table, so that finding one costs the same however many there are."""

    def __init__(self) -> None:
        self.table: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Answer the handler of a method; none means UNIMPLEMENTED."""
        return self.table.get(handler_call_details.method)


class GrpcServer:
    """Collects servicers, then listens.

    `health` takes the service's dependencies; `draining` is set when the server stops, so that long streams can end.
    """

    def __init__(self, settings: GrpcSettings, service: str, *, health_names: Sequence[str] = ()) -> None:
        self.health = Health()
        self.health.add_names((service, *health_names))
        self.draining = asyncio.Event()
        self.address = ""
        self._settings = settings
        self._service = service
        self._methods = Methods()
        self._handlers = MethodHandlers(settings.limits)
        self._services: list[str] = []
        self._server: grpc.aio.Server | None = None

    def add(self, servicer: object, name: str) -> None:
        """Serve a service under its full name here and, where it has one, under its original name.

        Raises Internal for a name without a descriptor and for a servicer whose methods have the wrong shape.
        """
        descriptor = find_service(servicer, name)
        for served in filter(None, (name, ORIGINAL_SERVICES.get(name))):
            self._add_as(servicer, descriptor, served)
            self._services.append(served)
            self.health.add_names((served,))

    def _add_as(self, servicer: object, descriptor: ServiceDescriptor, name: str) -> None:
        for method in descriptor.methods:
            path = f"/{name}/{method.name}"
            self._methods.table[path] = self._handlers.for_method(path, method, servicer)

    def handler(self, path: str) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Answer the wrapped method at a path such as `/elevon.admin.v1.AdminService/GetTask`; None when not served."""
        return self._methods.table.get(path)

    async def start(self) -> int:
        """Listen; answers the bound port. Raises Unavailable when the address cannot be had."""
        self._add_own_services()
        most = self._settings.limits.most_streams
        server = grpc.aio.server(options=server_options(self._settings), maximum_concurrent_rpcs=most)
        server.add_generic_rpc_handlers((self._methods,))
        port = self._bind(server)
        await server.start()
        self._server = server
        self.address = address(self._settings.host, port)
        log.info("listening", grpc=self.address, services=len(self._services), tls=bool(self._settings.tls_certificate))
        return port

    def _add_own_services(self) -> None:
        self.add(self.health, "grpc.health.v1.Health")
        if self._settings.reflection:
            servicer = reflection_servicer([*self._services, V1ALPHA])
            descriptor = find_service(servicer, V1ALPHA)
            self._add_as(servicer, descriptor, V1ALPHA)
            self._add_as(servicer, descriptor, V1)

    def _bind(self, server: grpc.aio.Server) -> int:
        place = address(self._settings.host, self._settings.port)
        credentials = server_credentials(self._settings)
        try:
            if credentials is None:
                return server.add_insecure_port(place)
            return server.add_secure_port(place, credentials)
        except RuntimeError as error:
            raise Unavailable(f"cannot listen on {place}: {error}") from error

    async def stop(self) -> None:
        """Say NOT_SERVING, stop taking calls, let running ones finish for at most `drain_seconds`."""
        self.health.drain()
        self.draining.set()
        if self._server is None:
            return
        await asyncio.sleep(self._settings.drain_notice_seconds)
        self._handlers.refusing = True
        for _ in range(REFUSAL_STEPS):
            await asyncio.sleep(REFUSAL_SECONDS / REFUSAL_STEPS)
        await self._server.stop(self._settings.drain_seconds)
        self._server = None
        log.info("stopped listening", grpc=self.address)


def server_options(settings: GrpcSettings) -> list[tuple[str, Any]]:
    """Answer the channel arguments of a server: limits, keepalive pings without calls allowed, a port of its own.

    gRPC counts calls that have arrived and not been looked at for all connections together, and cancels some, whoever
    made them, when they are many: that is out of reach here. Its protection of streams refuses calls of clients that
    keep to what they may have open, as it counts those that have just ended.
    """
    most = settings.limits.most_streams
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", settings.max_metadata_bytes * 2),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", int(settings.min_ping_seconds * 1000)),
        ("grpc.server.max_pending_requests", most),
        ("grpc.server.max_pending_requests_hard_limit", most),
        ("grpc.http.overload_protection", 0),
        ("grpc.max_concurrent_streams", settings.limits.streams),
        ("grpc.server_handshake_timeout_ms", int(settings.handshake_seconds * 1000)),
        ("grpc.keepalive_time_ms", int(settings.keepalive_seconds * 1000)),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.max_connection_idle_ms", int(settings.idle_seconds * 1000)),
        ("grpc.so_reuseport", 0),
    ]


def server_credentials(settings: GrpcSettings) -> grpc.ServerCredentials | None:
    """Answer the TLS credentials, None for plain text; raises InvalidArgument when files are missing."""
    if settings.tls_certificate is None and settings.tls_key is None:
        return None
    if settings.tls_certificate is None or settings.tls_key is None:
        raise InvalidArgument("grpc.tls_certificate and grpc.tls_key go together: one of them is missing")
    pair = (_read(settings.tls_key, "grpc.tls_key"), _read(settings.tls_certificate, "grpc.tls_certificate"))
    if settings.tls_client_authority is None:
        return grpc.ssl_server_credentials([pair])
    authority = _read(settings.tls_client_authority, "grpc.tls_client_authority")
    return grpc.ssl_server_credentials([pair], root_certificates=authority, require_client_auth=True)


def _read(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument.invalid(field, path, f"cannot be read: {error.strerror}") from error


def find_service(servicer: object, name: str) -> ServiceDescriptor:
    """Answer a service's descriptor; loads the module that defines it when only its messages are loaded."""
    find: Callable[[str], ServiceDescriptor] = descriptor_pool.Default().FindServiceByName
    try:
        return find(name)
    except KeyError:
        pass
    for base in type(servicer).__mro__:
        if base.__module__.endswith("_pb2_grpc"):
            importlib.import_module(base.__module__.removesuffix("_grpc"))
    try:
        return find(name)
    except KeyError:
        raise Internal(f"there is no service {name}") from None
