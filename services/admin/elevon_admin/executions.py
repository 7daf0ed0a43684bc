"""Putting everything about executions together: repositories, use cases, servicers, and the way to the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from elevon_idl.admin import v1 as admin
from elevon_kit.blobs import BlobStore
from elevon_kit.blobs_obstore import open_blob_store
from elevon_kit.database import Database
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.logging import get_logger
from starlette.routing import BaseRoute

from elevon_admin.data_access import SigningKey, build_data_access, container_uri
from elevon_admin.domain.concurrency import PlanName
from elevon_admin.domain.dispatches import Dispatch
from elevon_admin.domain.execution_queues import ExecutionQueues
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.drivers.left_files import EngineAndOwnFiles
from elevon_admin.execution_ports import Engine, Outbox
from elevon_admin.peers import Peers, connect_peers
from elevon_admin.ports import Clock
from elevon_admin.registry import Registry, config_defaults, resource_spec
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
from elevon_admin.store.active_projects import RegisteredProjects
from elevon_admin.store.changes import SqlChanges
from elevon_admin.store.concurrency import SqlWaiting
from elevon_admin.store.dispatches import SqlDispatches
from elevon_admin.store.execution_families import Announcements, SqlEvents
from elevon_admin.store.executions import SqlExecutions
from elevon_admin.store.metrics import SqlHistories
from elevon_admin.store.node_executions import SqlNodeExecutions
from elevon_admin.store.retention import SqlRetention
from elevon_admin.store.signals import SqlSignals
from elevon_admin.store.task_executions import SqlTaskExecutions
from elevon_admin.store.workflows import SqlWorkflows
from elevon_admin.usecases.admission import Admission
from elevon_admin.usecases.closures import Closures
from elevon_admin.usecases.data_proxy import DataProxy
from elevon_admin.usecases.dispatch import Dispatcher, DispatchSettings
from elevon_admin.usecases.eager_workflows import EagerWorkflows
from elevon_admin.usecases.execution_data import ExecutionData
from elevon_admin.usecases.execution_measurements import ExecutionMeasurements
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.launch import Launch, LaunchSettings
from elevon_admin.usecases.launch_sources import RegistrySource
from elevon_admin.usecases.literals import LiteralStore
from elevon_admin.usecases.memoization import Memoization
from elevon_admin.usecases.metrics import ExecutionMetrics
from elevon_admin.usecases.record_events import RecordEvents
from elevon_admin.usecases.signals import Signals
from elevon_admin.usecases.terminate import Terminate
from elevon_admin.usecases.watch import Watch
from elevon_admin.usecases.watch_hub import WatchedOutbox, WatchHub

log = get_logger("executions")


class WaitingOutbox:
    """The Outbox without an engine: what is committed waits in the database until a later start has one."""

    def put(self, dispatches: Sequence[Dispatch]) -> None:
        """See Outbox."""


@dataclass(slots=True)
class Executions:
    """What serves executions; `start` needs an open database."""

    launch: Launch
    admission: Admission
    terminate: Terminate
    execution_queries: ExecutionQueries
    execution_data: ExecutionData
    record_events: RecordEvents
    metrics: ExecutionMetrics
    data_proxy: DataProxy
    signals: Signals
    memoization: Memoization
    retaining: Retaining
    watch: Watch
    watch_hub: WatchHub
    routes: list[BaseRoute]
    signing_key: SigningKey
    blobs: BlobStore
    peers: Peers
    dispatcher: Dispatcher | None = None

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
        self.admission.start()
        if self.dispatcher is not None:
            self.dispatcher.start()
        else:
            log.warning("no propeller_address is set: executions are accepted and wait")

    async def stop(self) -> None:
        """Stop delivering and let go of connections."""
        await self.retaining.stop()
        await self.admission.stop()
        if self.dispatcher is not None:
            await self.dispatcher.stop()
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
    source = RegistrySource(
        registry.reads, registry.single_tasks, SqlWorkflows(database), settings.cache.entity_bytes // 4
    )
    attributes = registry.attribute_lookup
    closures = Closures(source, attributes, _resources(settings), _queues(settings))
    executions = SqlExecutions(database)
    measurements = ExecutionMeasurements()
    record_events = RecordEvents(SqlEvents(database, clock, announcements), literals, measurements)
    peers = connect_peers(settings, engine)
    memo_catalog = peers.memo_catalog
    dispatcher = None
    if peers.engine is not None:
        delivery = _delivery(settings)
        dispatcher = Dispatcher(
            SqlDispatches(database), peers.engine, closures, literals, record_events, clock, measurements, delivery
        )
    watch_hub = WatchHub(settings.watch.max_streams)
    record_events.tell(watch_hub.recorded)
    outbox: Outbox = WatchedOutbox(dispatcher or WaitingOutbox(), watch_hub)
    admission = Admission(SqlWaiting(database), outbox, clock, settings.delivery.sweep_seconds)
    record_events.tell(admission.after)

    def waits(key: ExecutionKey, plan: PlanName) -> None:
        watch_hub.changed(key)
        admission.soon(plan)

    terminate = Terminate(executions, outbox, clock)
    record_events.tell(EagerWorkflows(executions, terminate).after)
    domains = [domain.id for domain in settings.domains]
    projects = RegisteredProjects(registry.project_repository, domains)
    queries = ExecutionQueries(executions, SqlNodeExecutions(database), SqlTaskExecutions(database))
    access = build_data_access(settings, blobs, base, database, executions, queries, literals, clock, http_address)
    return Executions(
        launch=Launch(
            source,
            projects,
            attributes,
            executions,
            closures,
            literals,
            outbox,
            _launch_settings(settings),
            clock,
            measurements,
            waits,
        ),
        admission=admission,
        terminate=terminate,
        execution_queries=queries,
        execution_data=access.data,
        record_events=record_events,
        metrics=ExecutionMetrics(SqlHistories(database), registry.reads, literals),
        data_proxy=access.proxy,
        signals=Signals(SqlSignals(database), outbox, clock),
        retaining=build_retaining(
            settings.retention,
            SqlRetention(database),
            registry.project_repository,
            domains,
            EngineAndOwnFiles(peers.to_engine, blobs, literals),
            memo_catalog,
            clock,
        ),
        watch=Watch(SqlChanges(database), watch_hub, clock, settings.watch.poll_seconds),
        watch_hub=watch_hub,
        memoization=Memoization(queries, registry.reads, literals, memo_catalog),
        routes=access.routes,
        signing_key=access.signing_key,
        blobs=blobs,
        peers=peers,
        dispatcher=dispatcher,
    )


def _launch_settings(settings: AdminSettings) -> LaunchSettings:
    given = settings.executions
    return LaunchSettings(
        defaults=config_defaults(settings),
        namespace_template=given.namespace_template,
        console_url=given.console_url,
        most_labels=settings.registration.max_label_entries,
    )


def _queues(settings: AdminSettings) -> ExecutionQueues:
    given = settings.executions
    return ExecutionQueues({queue.name: queue.tags for queue in given.queues}, given.queue_tags)


def _delivery(settings: AdminSettings) -> DispatchSettings:
    given = settings.delivery
    return DispatchSettings(
        in_flight=given.in_flight,
        in_memory=given.in_memory,
        sweep_seconds=given.sweep_seconds,
        others_seconds=given.others_seconds,
        longest_pause=given.longest_pause_seconds,
    )


def _resources(settings: AdminSettings) -> admin.TaskResourceAttributes:
    given = settings.task_resources
    return admin.TaskResourceAttributes(defaults=resource_spec(given.defaults), limits=resource_spec(given.limits))
