"""Putting together how executions begin and are ended: admission, the way to the engine, and who hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from elevon_kit.logging import get_logger

from elevon_admin.domain.concurrency import PlanName
from elevon_admin.domain.dispatches import Dispatch
from elevon_admin.domain.execution_queues import ExecutionQueues
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.execution_ports import Engine, ExecutionRepository, Outbox
from elevon_admin.ports import Clock
from elevon_admin.registry import Registry, config_defaults, resource_spec
from elevon_admin.settings import AdminSettings
from elevon_admin.store.active_projects import RegisteredProjects
from elevon_admin.store.concurrency import SqlWaiting
from elevon_admin.store.dispatches import SqlDispatches
from elevon_admin.store.workflows import SqlWorkflows
from elevon_admin.usecases.admission import Admission
from elevon_admin.usecases.closures import Closures
from elevon_admin.usecases.dispatch import Dispatcher, DispatchSettings
from elevon_admin.usecases.eager_workflows import EagerWorkflows
from elevon_admin.usecases.execution_measurements import ExecutionMeasurements
from elevon_admin.usecases.launch import Launch, LaunchSettings
from elevon_admin.usecases.launch_sources import RegistrySource
from elevon_admin.usecases.literals import LiteralStore
from elevon_admin.usecases.record_events import RecordEvents
from elevon_admin.usecases.terminate import Terminate
from elevon_admin.usecases.watch_hub import WatchedOutbox, WatchHub

log = get_logger("executions")


class WaitingOutbox:
    """The Outbox without an engine: what is committed waits in the database until a later start has one."""

    def put(self, dispatches: Sequence[Dispatch]) -> None:
        """See Outbox."""


@dataclass(frozen=True, slots=True)
class Launching:
    """What begins executions and ends them; without a dispatcher they are accepted and wait."""

    launch: Launch
    admission: Admission
    terminate: Terminate
    outbox: Outbox
    watch_hub: WatchHub
    dispatcher: Dispatcher | None

    def start(self) -> None:
        """Begin to admit and to deliver; needs an open database."""
        self.admission.start()
        if self.dispatcher is not None:
            self.dispatcher.start()
        else:
            log.warning("no propeller_address is set: executions are accepted and wait")

    async def stop(self) -> None:
        """Stop both; what is left waits in the database."""
        await self.admission.stop()
        if self.dispatcher is not None:
            await self.dispatcher.stop()


def build_launching(
    settings: AdminSettings,
    database: Database,
    registry: Registry,
    executions: ExecutionRepository,
    literals: LiteralStore,
    record_events: RecordEvents,
    engine: Engine | None,
    measurements: ExecutionMeasurements,
    clock: Clock,
) -> Launching:
    """Put it together; what is recorded is told to those who wait for a place, and to those who watch."""
    source = RegistrySource(
        registry.reads, registry.single_tasks, SqlWorkflows(database), settings.cache.entity_bytes // 4
    )
    closures = Closures(source, registry.attribute_lookup, _resources(settings), _queues(settings))
    dispatcher = None
    if engine is not None:
        dispatches = SqlDispatches(database)
        dispatcher = Dispatcher(
            dispatches, engine, closures, literals, record_events, clock, measurements, _delivery(settings)
        )
    watch_hub = WatchHub(settings.watch.max_streams)
    record_events.tell(watch_hub.recorded)
    outbox = WatchedOutbox(dispatcher or WaitingOutbox(), watch_hub)
    admission = Admission(SqlWaiting(database), outbox, clock, settings.delivery.sweep_seconds)
    record_events.tell(admission.after)

    def waits(key: ExecutionKey, plan: PlanName) -> None:
        watch_hub.changed(key)
        admission.soon(plan)

    terminate = Terminate(executions, outbox, clock)
    record_events.tell(EagerWorkflows(executions, terminate).after)
    launch = Launch(
        source,
        RegisteredProjects(registry.project_repository, [domain.id for domain in settings.domains]),
        registry.attribute_lookup,
        executions,
        closures,
        literals,
        outbox,
        _launch_settings(settings),
        clock,
        measurements,
        waits,
    )
    return Launching(launch, admission, terminate, outbox, watch_hub, dispatcher)


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
