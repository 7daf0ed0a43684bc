"""Putting everything about executions together: repositories, use cases, servicers, and the way to the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from elevon_kit.blobs import BlobStore
from elevon_kit.blobs_obstore import open_blob_store
from elevon_kit.database import Database
from elevon_kit.grpc_server import GrpcServer
from starlette.routing import BaseRoute

from elevon_admin.data_access import SigningKey, build_data_access, container_uri
from elevon_admin.drivers.left_files import EngineAndOwnFiles
from elevon_admin.execution_ports import Engine
from elevon_admin.launching import Launching, build_launching
from elevon_admin.peers import Peers, connect_peers
from elevon_admin.ports import Clock
from elevon_admin.registry import Registry
from elevon_admin.retaining import Retaining, build_retaining
from elevon_admin.rpc.data_proxy import DATA_PROXY_SERVICE, DataProxyServicer
from elevon_admin.rpc.events import EVENT_SERVICE, EventServicer
from elevon_admin.rpc.memoization import MEMOIZATION_SERVICE, MemoizationServicer
from elevon_admin.rpc.signals import SIGNAL_SERVICE, SignalServicer
from elevon_admin.rpc.unauthenticated import (
    AUTH_METADATA_SERVICE,
    IDENTITY_SERVICE,
    AuthMetadataServicer,
    IdentityServicer,
)
from elevon_admin.rpc.watch import WATCH_SERVICE, WatchServicer
from elevon_admin.settings import AdminSettings
from elevon_admin.store.changes import SqlChanges
from elevon_admin.store.execution_families import Announcements, SqlEvents
from elevon_admin.store.executions import SqlExecutions
from elevon_admin.store.metrics import SqlHistories
from elevon_admin.store.node_executions import SqlNodeExecutions
from elevon_admin.store.retention import SqlRetention
from elevon_admin.store.signals import SqlSignals
from elevon_admin.store.task_executions import SqlTaskExecutions
from elevon_admin.usecases.data_proxy import DataProxy
from elevon_admin.usecases.execution_data import ExecutionData
from elevon_admin.usecases.execution_measurements import ExecutionMeasurements
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.literals import LiteralStore
from elevon_admin.usecases.memoization import Memoization
from elevon_admin.usecases.metrics import ExecutionMetrics
from elevon_admin.usecases.record_events import RecordEvents
from elevon_admin.usecases.signals import Signals
from elevon_admin.usecases.watch import Watch


@dataclass(slots=True)
class Executions:
    """What serves executions; `start` needs an open database."""

    launching: Launching
    execution_queries: ExecutionQueries
    execution_data: ExecutionData
    record_events: RecordEvents
    metrics: ExecutionMetrics
    data_proxy: DataProxy
    signals: Signals
    memoization: Memoization
    retaining: Retaining
    watch: Watch
    routes: list[BaseRoute]
    signing_key: SigningKey
    blobs: BlobStore
    peers: Peers

    def add_to(self, server: GrpcServer) -> None:
        """Serve the services besides AdminService."""
        server.add(EventServicer(self.record_events), EVENT_SERVICE)
        server.add(DataProxyServicer(self.data_proxy), DATA_PROXY_SERVICE)
        server.add(SignalServicer(self.signals), SIGNAL_SERVICE)
        self.retaining.add_to(server)
        server.add(WatchServicer(self.watch), WATCH_SERVICE)
        server.add(MemoizationServicer(self.memoization), MEMOIZATION_SERVICE)
        server.add(IdentityServicer(), IDENTITY_SERVICE)
        server.add(AuthMetadataServicer(), AUTH_METADATA_SERVICE)

    async def start(self) -> None:
        """Begin to deliver."""
        await self.signing_key.load()
        self.retaining.start()
        self.launching.start()

    async def stop(self) -> None:
        """Stop delivering and let go of connections."""
        await self.retaining.stop()
        await self.launching.stop()
        await self.peers.close()
        await self.blobs.close()


def build_executions(
    settings: AdminSettings,
    database: Database,
    registry: Registry,
    clock: Clock,
    http_address: Callable[[], str],
    *,
    engine: Engine | None = None,
    announcements: Announcements | None = None,
) -> Executions:
    """Put it together; `engine` stands in for the one at `propeller_address`, `http_address` is asked when signing."""
    blobs = open_blob_store(settings.blobs)
    base = container_uri(settings.blobs.container)
    literals = LiteralStore(
        blobs, base, inline_limit=settings.data.inline_bytes, read_limit=settings.data.max_literal_bytes
    )
    executions = SqlExecutions(database)
    measurements = ExecutionMeasurements()
    record_events = RecordEvents(SqlEvents(database, clock, announcements), literals, measurements)
    peers = connect_peers(settings, engine)
    launching = build_launching(
        settings, database, registry, executions, literals, record_events, peers.engine, measurements, clock
    )
    queries = ExecutionQueries(executions, SqlNodeExecutions(database), SqlTaskExecutions(database))
    access = build_data_access(settings, blobs, base, database, executions, queries, literals, clock, http_address)
    retaining = build_retaining(
        settings.retention,
        SqlRetention(database),
        registry.project_repository,
        [domain.id for domain in settings.domains],
        EngineAndOwnFiles(peers.to_engine, blobs, literals),
        peers.memo_catalog,
        clock,
    )
    return Executions(
        launching=launching,
        execution_queries=queries,
        execution_data=access.data,
        record_events=record_events,
        metrics=ExecutionMetrics(SqlHistories(database), registry.reads, literals),
        data_proxy=access.proxy,
        signals=Signals(SqlSignals(database), launching.outbox, clock),
        retaining=retaining,
        watch=Watch(SqlChanges(database), launching.watch_hub, clock, settings.watch.poll_seconds),
        memoization=Memoization(queries, registry.reads, literals, peers.memo_catalog),
        routes=access.routes,
        signing_key=access.signing_key,
        blobs=blobs,
        peers=peers,
    )
