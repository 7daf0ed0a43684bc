"""Propeller put together; the only module that knows which adapters are used."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import grpc
from elevon_core.errors import InvalidArgument
from elevon_kit.blobs import BlobStore, join, parse
from elevon_kit.blobs_obstore import open_blob_store
from elevon_kit.database import Database
from elevon_kit.grpc_client import channel
from elevon_kit.grpc_health import Health
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.migrations import Migrations
from elevon_kit.settings import GrpcClientSettings, HttpSettings
from elevon_kit.tasks import BackgroundTasks

from elevon_propeller.drivers.admin_events import GrpcAdminEvents
from elevon_propeller.drivers.admin_service import GrpcAdminService
from elevon_propeller.drivers.catalog import GrpcCatalog
from elevon_propeller.drivers.catalog_memory import MemoryCatalog
from elevon_propeller.engine.policy import MICROSECONDS, EnginePolicy
from elevon_propeller.plugins.build import build_registry
from elevon_propeller.ports import Catalog
from elevon_propeller.rpc.propeller_service import PropellerService
from elevon_propeller.runtime.leftovers import Leftovers
from elevon_propeller.runtime.runtime import Runtime, RuntimeOptions, Surroundings
from elevon_propeller.settings import MEBIBYTE, PropellerSettings
from elevon_propeller.store.plugin_state import SqlPluginStates
from elevon_propeller.store.sql import SqlStore
from elevon_propeller.usecases.executions import Executions
from elevon_propeller.usecases.forgetting import Forgetting
from elevon_propeller.usecases.watching import Watching

if TYPE_CHECKING:
    from elevon_kit.http_server import HttpServer

MIGRATIONS = Migrations(package="elevon_propeller.store.migrations")
SERVICE = "elevon.propeller.v1.PropellerService"
SECONDS_PER_DAY = 86_400
COLLECTION_THRESHOLD = 50_000
"""Long-lived states make the cyclic collector's default of 700 new objects a waste."""


class App:
    """The running engine."""

    def __init__(self, settings: PropellerSettings, blobs: BlobStore) -> None:
        self.settings = settings
        self.grpc = GrpcServer(settings.grpc, "elevon.propeller")
        self.http = http_server(settings.http, self.grpc.health) if settings.http.enabled else None
        self.database = Database(
            settings.database.url, readers=settings.database.readers, group_size=settings.database.group_size
        )
        states = SqlPluginStates(self.database)
        self.registry = build_registry(settings.plugins, blobs, settings.data_folder, states)
        self._blobs = blobs
        self._channels: list[grpc.aio.Channel] = []
        self._started = False
        self.runtime = self._compose()
        self.runtime.driver.logs_nodes = settings.log.level == "debug"
        self._background = BackgroundTasks("propeller")
        forgetting = Forgetting(self.runtime, blobs, self.registry)
        self.grpc.add(PropellerService(Executions(self.runtime), Watching(self.runtime), forgetting), SERVICE)
        self.grpc.health.add_dependency("database", self.database.ping)

    def _compose(self) -> Runtime:
        settings = self.settings
        admin = self._channel(settings.admin.address, settings.admin.client)
        surroundings = Surroundings(
            store=SqlStore(self.database),
            admin=GrpcAdminEvents(admin, settings.engine.cluster_id, settings.admin.timeout_seconds),
            service=GrpcAdminService(admin, settings.admin.timeout_seconds),
            catalog=self._catalog(),
            plugins=self.registry,
            blobs=self._blobs,
        )
        options = RuntimeOptions(
            lease_seconds=settings.engine.lease_seconds,
            data_limit=settings.engine.data_limit_bytes,
            retention_seconds=settings.engine.retention_days * SECONDS_PER_DAY,
        )
        return Runtime(surroundings, policy_of(settings), options, owner=settings.engine.replica_name)

    def _catalog(self) -> Catalog:
        settings = self.settings.catalog
        if not settings.address:
            return MemoryCatalog()
        opened = self._channel(settings.address, settings.client)
        return GrpcCatalog(opened, settings.max_age_seconds, settings.timeout_seconds)

    def _channel(self, address: str, client: GrpcClientSettings) -> grpc.aio.Channel:
        opened = channel(address, client)
        self._channels.append(opened)
        return opened

    @property
    def grpc_address(self) -> str:
        """Where the service answers."""
        return self.grpc.address

    @property
    def http_address(self) -> str:
        """Where health and metrics answer; empty when HTTP is off."""
        return self.http.address if self.http else ""

    async def start(self) -> None:
        """Resume what was running, then serve; raises SchemaMismatch for a database that needs migrating."""
        gc.set_threshold(COLLECTION_THRESHOLD, 20, 50)
        if self.settings.database.migrate:
            await MIGRATIONS.upgrade(self.settings.database.url)
        await self.database.open()
        await MIGRATIONS.check(self.database)
        await self.registry.open()
        await self.runtime.start()
        self._started = True
        self._background.keep_running(Leftovers(self.runtime.store, self.registry.plugins).run, "leftovers")
        await self.grpc.start()
        if self.http is not None:
            await self.http.start()

    async def stop(self) -> None:
        """Let running calls finish, deliver events, give shards away, close everything."""
        await self.grpc.stop()
        if self.http is not None:
            await self.http.stop()
        await self._background.stop()
        if self._started:
            await self.runtime.stop()
        await self.registry.close()
        for opened in self._channels:
            await opened.close()
        await self.database.close()
        await self._blobs.close()


def policy_of(settings: PropellerSettings) -> EnginePolicy:
    """The engine's numbers from the settings."""
    engine, container = settings.engine, settings.blobs.container
    return EnginePolicy(
        producer_id=engine.cluster_id,
        metadata_root=join(_as_uri(container), engine.metadata_prefix),
        raw_output_prefix=engine.raw_output_prefix or join(_as_uri(container), "raw"),
        max_system_retries=engine.max_system_retries,
        default_attempts=engine.default_attempts,
        backoff_base=int(engine.backoff_seconds * MICROSECONDS),
        backoff_factor=engine.backoff_factor,
        backoff_limit=int(engine.backoff_limit_seconds * MICROSECONDS),
        interruptible_threshold=engine.interruptible_threshold,
        inline_limit=engine.inline_limit_bytes,
        element_inline_limit=engine.element_inline_limit_bytes,
        array_parallelism=engine.array_parallelism,
        array_live_elements=engine.array_live_elements,
        array_event_pause=int(engine.array_event_seconds * MICROSECONDS),
        offload_from=_offload_from(settings),
        caches=bool(settings.catalog.address),
        cache_wait=int(settings.catalog.wait_seconds * MICROSECONDS),
        reservation_heartbeat=int(settings.catalog.heartbeat_seconds * MICROSECONDS),
        stop_tries=engine.stop_tries,
    )


def _offload_from(settings: PropellerSettings) -> int | None:
    offloading = settings.plugins.literal_offloading
    return offloading.minimum_mib * MEBIBYTE if offloading.enabled else None


def http_server(settings: HttpSettings, health: Health) -> HttpServer:
    """Health and metrics over HTTP; loaded only where somebody asks for them."""
    from elevon_kit.http_server import HttpServer

    return HttpServer(settings, health=health)


async def build(settings: PropellerSettings, *, blobs: BlobStore | None = None) -> App:
    """Make propeller from its settings; raises InvalidArgument for settings that do not fit together."""
    if not settings.admin.address:
        raise InvalidArgument.missing("admin.address: where events are delivered")
    if not settings.blobs.container:
        raise InvalidArgument.missing("blobs.container: where inputs and outputs are kept")
    parse(settings.blobs.container)
    store = blobs or open_blob_store(settings.blobs)
    return App(settings, store)


def _as_uri(container: str) -> str:
    return f"file://{container}" if container.startswith("/") else container
