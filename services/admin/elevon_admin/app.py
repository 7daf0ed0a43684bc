"""The admin service put together: the only module that knows all adapters."""

from __future__ import annotations

import time
from importlib.metadata import version

from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import admin_service_pb2
from elevon_kit.database import Database
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.http_server import HttpServer, standard_routes
from elevon_kit.migrations import Migrations
from starlette.applications import Starlette

from elevon_admin.executions import Executions, build_executions
from elevon_admin.gateway.farewell import Farewell
from elevon_admin.gateway.http_gateway import gateway_route
from elevon_admin.gateway.strangers import Guard
from elevon_admin.notifying import Notifying, build_notifying
from elevon_admin.registry import Registry, build_registry, seed
from elevon_admin.rpc.admin_service import AdminService
from elevon_admin.scheduling import Scheduling, build_scheduling
from elevon_admin.settings import AdminSettings

ADMIN_SERVICE = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
MIGRATIONS = Migrations("elevon_admin.store.migrations")


class App:
    """A running admin service."""

    def __init__(
        self,
        settings: AdminSettings,
        database: Database,
        registry: Registry,
        executions: Executions,
        scheduling: Scheduling,
        notifying: Notifying,
        grpc: GrpcServer,
        http: HttpServer | None,
    ) -> None:
        self.registry = registry
        self.executions = executions
        self.scheduling = scheduling
        self.notifying = notifying
        self._settings = settings
        self._database = database
        self._grpc = grpc
        self._http = http

    @property
    def grpc_address(self) -> str:
        """Host and port of the gRPC server."""
        return self._grpc.address

    @property
    def http_address(self) -> str:
        """Host and port of the HTTP server; empty when it is off."""
        return "" if self._http is None else self._http.address

    async def start(self) -> None:
        """Open the database, make sure of its schema and the first projects, and listen."""
        settings = self._settings
        if settings.database.migrate:
            await MIGRATIONS.upgrade(settings.database.url)
        await self._database.open()
        await MIGRATIONS.check(self._database)
        await seed(self.registry, settings)
        await self.executions.start()
        await self.scheduling.start()
        await self.notifying.start()
        await self._grpc.start()
        if self._http is not None:
            await self._http.start()  # last: /healthcheck answers for the whole service

    async def stop(self) -> None:
        """Refuse new calls, let running ones finish, close the database."""
        self.executions.launching.watch_hub.close()  # streams never end by themselves; draining would wait for them
        await self._grpc.stop()
        if self._http is not None:
            await self._http.stop()
        await self.scheduling.stop()
        await self.executions.stop()
        await self.notifying.stop()
        await self._database.close()


async def build(settings: AdminSettings) -> App:
    """Put the service together; nothing is opened yet."""
    database = Database(
        settings.database.url, readers=settings.database.readers, group_size=settings.database.group_size
    )
    registry = build_registry(settings, database, time.time_ns)
    grpc = GrpcServer(settings.grpc, "admin", health_names=("flyteadmin",))
    http: HttpServer | None = None
    notifying = build_notifying(settings, database, time.time_ns)
    executions = build_executions(
        settings,
        database,
        registry,
        time.time_ns,
        lambda: http.address if http else "",
        announcements=notifying.announcements,
    )
    grpc.add(_admin_service(registry, executions), ADMIN_SERVICE)
    executions.add_to(grpc)
    scheduling = build_scheduling(settings.schedules, database, executions.launching.launch, time.time_ns)
    scheduling.add_to(grpc)
    notifying.add_to(grpc)
    grpc.health.add_dependency("database", database.ping)
    if settings.http.enabled:
        gateway = gateway_route(grpc, settings.gateway, settings.grpc.max_message_bytes)
        routes = Starlette(routes=[*standard_routes(grpc.health), *executions.routes, gateway])
        http = HttpServer(settings.http, app=Farewell(Guard(routes, settings.gateway, settings.public_url)))
    return App(settings, database, registry, executions, scheduling, notifying, grpc, http)


def _admin_service(registry: Registry, executions: Executions) -> AdminService:
    return AdminService(
        tasks=registry.tasks,
        workflows=registry.workflows,
        launch_plans=registry.launch_plans,
        projects=registry.projects,
        named_entities=registry.named_entities,
        descriptions=registry.descriptions,
        version=service_version(),
        launch=executions.launching.launch,
        terminate=executions.launching.terminate,
        execution_queries=executions.execution_queries,
        execution_data=executions.execution_data,
        record_events=executions.record_events,
        attributes=registry.attributes,
        metrics=executions.metrics,
    )


def service_version() -> admin.Version:
    """The version of this installation, in the form that clients compare: with a leading `v`."""
    return admin.Version(Build="elevon", Version=f"v{version('elevon-admin')}", BuildTime="unknown")
