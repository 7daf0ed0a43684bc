"""Putting everything about schedules together."""

from __future__ import annotations

from dataclasses import dataclass

from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database
from elevon_kit.grpc_server import GrpcServer

from elevon_admin.domain.catch_up import CatchUp, CatchUpMode
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.timetables import SECOND
from elevon_admin.execution_ports import ExecutionRepository
from elevon_admin.ports import Clock
from elevon_admin.rpc.schedules import SCHEDULE_SERVICE, ScheduleServicer
from elevon_admin.schedule_settings import ScheduleSettings
from elevon_admin.store.executions import SqlExecutions
from elevon_admin.store.launch_plans import SqlLaunchPlans
from elevon_admin.store.schedules import SqlSchedules
from elevon_admin.usecases.launch import Launch
from elevon_admin.usecases.schedule_measurements import ScheduleMeasurements
from elevon_admin.usecases.schedule_queries import ScheduleDefaults, ScheduleQueries
from elevon_admin.usecases.scheduler import Scheduler, SchedulerSettings


class AdminLauncher:
    """The Launcher of this service: what users call, without the network."""

    def __init__(self, launch: Launch, executions: ExecutionRepository) -> None:
        self._launch = launch
        self._executions = executions

    async def create(self, request: admin.ExecutionCreateRequest) -> ExecutionKey:
        """See Launcher."""
        return await self._launch.create(request)

    async def exists(self, key: ExecutionKey) -> bool:
        """See Launcher."""
        return await self._executions.exists(key)


@dataclass(slots=True)
class Scheduling:
    """What serves schedules; `start` needs an open database. `scheduler` is None where another process launches."""

    queries: ScheduleQueries
    scheduler: Scheduler | None

    def add_to(self, server: GrpcServer) -> None:
        """Serve ScheduleService."""
        server.add(ScheduleServicer(self.queries), SCHEDULE_SERVICE)

    async def start(self) -> None:
        """Begin to launch."""
        if self.scheduler is not None:
            self.scheduler.start()

    async def stop(self) -> None:
        """Stop launching."""
        if self.scheduler is not None:
            await self.scheduler.stop()


def build_scheduling(given: ScheduleSettings, database: Database, launch: Launch, clock: Clock) -> Scheduling:
    """Put it together."""
    schedules = SqlSchedules(database)
    settings = _scheduler_settings(given)
    defaults = ScheduleDefaults(settings.time_zone, settings.catch_up)
    queries = ScheduleQueries(schedules, SqlLaunchPlans(database), defaults, clock)
    if not given.enabled:
        return Scheduling(queries, None)
    launcher = AdminLauncher(launch, SqlExecutions(database))
    return Scheduling(queries, Scheduler(schedules, launcher, clock, ScheduleMeasurements(), settings))


def _scheduler_settings(given: ScheduleSettings) -> SchedulerSettings:
    return SchedulerSettings(
        time_zone=given.time_zone,
        catch_up=CatchUp(CatchUpMode(given.catch_up), round(given.catch_up_window_seconds * SECOND)),
        on_time_seconds=given.on_time_seconds,
        poll_seconds=given.poll_seconds,
        lease_seconds=given.lease_seconds,
        most_attempts=given.most_attempts,
        in_flight=given.in_flight,
        catch_up_in_flight=given.catch_up_in_flight,
        keep_days=given.keep_days,
    )
