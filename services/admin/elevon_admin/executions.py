"""Putting everything about executions together: repositories, use cases, servicers, and the way to the engine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
from elevon_idl.admin import v1 as admin
from elevon_kit.blobs import BlobStore, parse
from elevon_kit.blobs_obstore import open_blob_store
from elevon_kit.database import Database
from elevon_kit.grpc_client import channel
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.logging import get_logger
from starlette.routing import BaseRoute

from elevon_admin.domain.concurrency import PlanName
from elevon_admin.domain.dispatches import Dispatch
from elevon_admin.domain.execution_queues import ExecutionQueues
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.drivers.catalog_client import GrpcMemoCatalog
from elevon_admin.drivers.data_routes import data_routes
from elevon_admin.drivers.engine_client import PropellerEngine
from elevon_admin.drivers.left_files import EngineAndOwnFiles
from elevon_admin.drivers.plain_urls import PlainUrls
from elevon_admin.drivers.signed_urls import LocalUrls, StoreUrls
from elevon_admin.execution_ports import Engine, Outbox
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
from elevon_admin.store.secrets import shared_secret
from elevon_admin.store.signals import SqlSignals
from elevon_admin.store.task_executions import SqlTaskExecutions
from elevon_admin.store.workflows import SqlWorkflows
from elevon_admin.usecases.admission import Admission
from elevon_admin.usecases.closures import Closures
from elevon_admin.usecases.data_proxy import DataProxy, DataProxySettings
from elevon_admin.usecases.dispatch import Dispatcher, DispatchSettings
from elevon_admin.usecases.eager_workflows import EagerWorkflows
from elevon_admin.usecases.execution_data import ExecutionData
from elevon_admin.usecases.execution_measurements import ExecutionMeasurements
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.launch import Launch, LaunchSettings
from elevon_admin.usecases.launch_sources import RegistrySource
from elevon_admin.usecases.links import Links
from elevon_admin.usecases.literals import LiteralStore
from elevon_admin.usecases.memoization import Memoization
from elevon_admin.usecases.metrics import ExecutionMetrics
from elevon_admin.usecases.record_events import RecordEvents
from elevon_admin.usecases.signals import Signals
from elevon_admin.usecases.terminate import Terminate
from elevon_admin.usecases.watch import Watch
from elevon_admin.usecases.watch_hub import WatchedOutbox, WatchHub

log = get_logger("executions")

SIGNING_KEY_BYTES = 32


class WaitingOutbox:
    """The Outbox without an engine: what is committed waits in the database until a later start has one."""

    def put(self, dispatches: Sequence[Dispatch]) -> None:
        """See Outbox."""


class SigningKey:
    """The key that signs local URLs: from a file, else from the database, so that all replicas have the same."""

    def __init__(self, file: Path | None, database: Database) -> None:
        self._file = file
        self._database = database
        self._key = b""

    def __call__(self) -> bytes:
        """The key, once `load` has run."""
        return self._key

    async def load(self) -> None:
        """Read the key; makes it when there is none."""
        proposal = secrets.token_hex(SIGNING_KEY_BYTES).encode()
        if self._file is None:
            self._key = await shared_secret(self._database, "signing key", proposal)
            return
        if not self._file.exists():
            self._file.touch(mode=0o600)
            self._file.write_bytes(proposal)
        self._key = self._file.read_bytes().strip()


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
    dispatcher: Dispatcher | None = None
    channels: Sequence[grpc.aio.Channel] = ()

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
        for channel_to_service in self.channels:
            await channel_to_service.close()
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
    channels = []
    to_engine = None
    if engine is None and settings.propeller_address:
        to_engine = channel(settings.propeller_address)
        channels.append(to_engine)
        engine = PropellerEngine(to_engine, settings.delivery.timeout_seconds)
    memo_catalog = None
    if settings.catalog_address:
        channels.append(channel(settings.catalog_address))
        memo_catalog = GrpcMemoCatalog(channels[-1])
    dispatcher = None
    if engine is not None:
        delivery = _delivery(settings)
        dispatcher = Dispatcher(
            SqlDispatches(database), engine, closures, literals, record_events, clock, measurements, delivery
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
    signing_key = SigningKey(settings.signing_key_file, database)
    urls = _local_urls(settings, base, signing_key, http_address, clock)
    signer = StoreUrls(blobs, urls)
    readable = [base, *filter(None, [settings.executions.raw_output_prefix])]
    downloads = None
    if settings.http.enabled:
        downloads = PlainUrls(blobs, readable, signing_key, _public_url(settings, http_address), clock)
    links = Links(signer, downloads, readable, timedelta(seconds=settings.data.download_seconds))
    data = ExecutionData(executions, queries, literals, links)
    proxy = DataProxy(signer, links, blobs, queries, data, _proxy_settings(settings, base), clock)
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
        execution_data=data,
        record_events=record_events,
        metrics=ExecutionMetrics(SqlHistories(database), registry.reads, literals),
        data_proxy=proxy,
        signals=Signals(SqlSignals(database), outbox, clock),
        retaining=build_retaining(
            settings.retention,
            SqlRetention(database),
            registry.project_repository,
            domains,
            EngineAndOwnFiles(to_engine, blobs, literals),
            memo_catalog,
            clock,
        ),
        watch=Watch(SqlChanges(database), watch_hub, clock, settings.watch.poll_seconds),
        watch_hub=watch_hub,
        memoization=Memoization(queries, registry.reads, literals, memo_catalog),
        routes=[
            *([] if downloads is None else downloads.routes),
            *([] if urls is None else data_routes(urls, settings.data.max_upload_bytes)),
        ],
        signing_key=signing_key,
        blobs=blobs,
        dispatcher=dispatcher,
        channels=channels,
    )


def container_uri(container: str) -> str:
    """The container as a URI; a local folder `elevon-data` when none is set."""
    if "://" in container:
        return container.rstrip("/")
    return Path(container or "elevon-data").absolute().as_uri()


def _local_urls(
    settings: AdminSettings, base: str, key: SigningKey, http_address: Callable[[], str], clock: Clock
) -> LocalUrls | None:
    if parse(base).scheme != "file" or not settings.http.enabled:
        return None
    return LocalUrls(base, key, _public_url(settings, http_address), clock)


def _public_url(settings: AdminSettings, http_address: Callable[[], str]) -> Callable[[], str]:
    scheme = "https" if settings.http.tls_certificate is not None else "http"
    return lambda: settings.public_url or f"{scheme}://{http_address()}"


def _launch_settings(settings: AdminSettings) -> LaunchSettings:
    given = settings.executions
    return LaunchSettings(
        defaults=config_defaults(settings),
        namespace_template=given.namespace_template,
        console_url=given.console_url,
        most_labels=settings.registration.max_label_entries,
    )


def _proxy_settings(settings: AdminSettings, base: str) -> DataProxySettings:
    return DataProxySettings(
        base=base,
        upload_prefix=settings.data.upload_prefix,
        longest_upload=timedelta(seconds=settings.data.upload_seconds),
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
