"""The catalog put together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from elevon_core.errors import ElevonError, InvalidArgument
from elevon_kit.blobs import BlobStore, join, parse
from elevon_kit.blobs_obstore import open_blob_store
from elevon_kit.database import Database
from elevon_kit.grpc_health import Health
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.logging import get_logger
from elevon_kit.migrations import Migrations
from elevon_kit.settings import HttpSettings
from elevon_kit.tasks import BackgroundTasks

from elevon_catalog.domain.documents import InlineLimits
from elevon_catalog.domain.leases import LeasePolicy
from elevon_catalog.drivers.values import BlobValueStore
from elevon_catalog.ports import Clock
from elevon_catalog.rpc.cache_service import CacheServicer
from elevon_catalog.rpc.catalog_admin import CatalogAdminServicer
from elevon_catalog.rpc.data_catalog import DataCatalogServicer
from elevon_catalog.rpc.memo import MemoServicer
from elevon_catalog.settings import CatalogSettings
from elevon_catalog.store.cache import SqlCacheStore
from elevon_catalog.store.catalog import SqlCatalogStore
from elevon_catalog.store.leases import SqlLeaseStore
from elevon_catalog.usecases.artifacts import Artifacts, EntryRules
from elevon_catalog.usecases.cache import Cache, CacheReservations
from elevon_catalog.usecases.datasets import Datasets
from elevon_catalog.usecases.measurements import Measurements
from elevon_catalog.usecases.memo import Memo
from elevon_catalog.usecases.reservations import Reservations
from elevon_catalog.usecases.upkeep import Upkeep
from elevon_catalog.usecases.values import Values

if TYPE_CHECKING:
    from elevon_kit.http_server import HttpServer

MIGRATIONS = Migrations(package="elevon_catalog.store.migrations")
UPKEEP_ENDS_WITHIN = 5.0
"""In seconds; a round that takes longer is broken off when the service stops."""
log = get_logger("catalog")


class App:
    """The running catalog: open the database, serve, tidy up from time to time."""

    def __init__(self, settings: CatalogSettings, blobs: BlobStore, clock: Clock) -> None:
        self.settings = settings
        self.grpc = GrpcServer(settings.grpc, "elevon.catalog")
        self.http = http_server(settings.http, self.grpc.health) if settings.http.enabled else None
        self.database = Database(
            settings.database.url, readers=settings.database.readers, group_size=settings.database.group_size
        )
        self._blobs = blobs
        self._background = BackgroundTasks("catalog")
        self._stopping = asyncio.Event()
        self._tidying: asyncio.Task[None] | None = None
        self.upkeep = self._compose(clock)
        self.grpc.health.add_dependency("database", self.database.ping)

    def _compose(self, clock: Clock) -> Upkeep:
        """Build the use cases and hand them to the servicers."""
        settings = self.settings
        base = join(settings.blobs.container, settings.values.prefix)
        limits = InlineLimits(settings.values.inline_bytes, settings.values.inline_total_bytes)
        max_age = nanoseconds(settings.upkeep.max_age_seconds) or None
        rules = EntryRules(max_age, settings.values.answer_bytes)
        policy = LeasePolicy(
            nanoseconds(settings.reservations.max_heartbeat_seconds), settings.reservations.grace_multiplier
        )
        store = SqlCatalogStore(self.database)
        leases = SqlLeaseStore(self.database)
        values = Values(BlobValueStore(self._blobs), store, clock, join(base, "artifacts"), limits)
        measurements = Measurements()
        reservations = Reservations(leases, clock, policy)
        cache = Cache(SqlCacheStore(self.database), values, clock, join(base, "cache"), limits.value)
        upkeep = Upkeep(store, leases, values, clock, rules)
        data_catalog = DataCatalogServicer(
            Datasets(store, clock), Artifacts(store, values, clock, rules, measurements), reservations
        )
        self.grpc.add(data_catalog, "elevon.catalog.v1.DataCatalog")
        self.grpc.add(
            MemoServicer(Memo(store, values, clock, rules, measurements), reservations), "elevon.catalog.v1.MemoService"
        )
        self.grpc.add(CatalogAdminServicer(upkeep), "elevon.catalog.v1.CatalogAdminService")
        cache_servicer = CacheServicer(cache, CacheReservations(leases, clock, policy))
        self.grpc.add(cache_servicer, "elevon.cacheservice.v1.CacheService")
        return upkeep

    @property
    def grpc_address(self) -> str:
        """Where the services answer."""
        return self.grpc.address

    @property
    def http_address(self) -> str:
        """Where health and metrics answer; empty when HTTP is off."""
        return self.http.address if self.http else ""

    async def start(self) -> None:
        """Serve; raises SchemaMismatch for a database that needs migrating."""
        if self.settings.database.migrate:
            await MIGRATIONS.upgrade(self.settings.database.url)
        await self.database.open()
        await MIGRATIONS.check(self.database)
        await self.grpc.start()
        if self.http is not None:
            await self.http.start()
        self._tidying = self._background.keep_running(self._tidy_up, "upkeep")

    async def stop(self) -> None:
        """Let running calls finish, then close everything."""
        await self.grpc.stop()
        if self.http is not None:
            await self.http.stop()
        self._stopping.set()
        await self._upkeep_ended()
        await self.database.close()
        await self._blobs.close()

    async def _tidy_up(self) -> None:
        while not self._stopping.is_set():
            try:
                await self.upkeep.tidy()
            except ElevonError as error:
                log.warning("upkeep postponed", reason=error.message)
            await self._pause(self.settings.upkeep.interval_seconds)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until the service stops."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _upkeep_ended(self) -> None:
        """Let a round of upkeep finish: to break it off would cost a database connection for nothing."""
        if self._tidying is not None:
            await asyncio.wait((self._tidying,), timeout=UPKEEP_ENDS_WITHIN)
        await self._background.stop()


def http_server(settings: HttpSettings, health: Health) -> HttpServer:
    """Health and metrics over HTTP; loaded only where somebody asks for them."""
    from elevon_kit.http_server import HttpServer

    return HttpServer(settings, health=health)


async def build(settings: CatalogSettings, *, blobs: BlobStore | None = None, clock: Clock = time.time_ns) -> App:
    """Make the catalog from its settings; raises InvalidArgument for settings that do not fit together."""
    if not settings.blobs.container:
        raise InvalidArgument.missing("blobs.container: where the catalog keeps large values")
    parse(settings.blobs.container)
    return App(settings, blobs or open_blob_store(settings.blobs), clock)


def nanoseconds(seconds: float) -> int:
    """Seconds as nanoseconds."""
    return round(seconds * 10**9)
