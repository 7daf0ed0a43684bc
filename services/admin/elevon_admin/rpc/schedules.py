"""ScheduleService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import schedule_service_pb2

from elevon_admin.usecases.schedule_queries import ScheduleQueries

SCHEDULE_SERVICE = schedule_service_pb2.DESCRIPTOR.services_by_name["ScheduleService"].full_name


class ScheduleServicer:
    """Decodes, calls, encodes."""

    def __init__(self, queries: ScheduleQueries) -> None:
        self._queries = queries

    async def ListSchedules(self, request: admin.ListSchedulesRequest, context: object) -> admin.ListSchedulesResponse:
        """Answer a page of active schedules."""
        return await self._queries.list_schedules(request)

    async def ListScheduledTimes(
        self, request: admin.ListScheduledTimesRequest, context: object
    ) -> admin.ListScheduledTimesResponse:
        """Answer when a launch plan fires."""
        return await self._queries.list_scheduled_times(request)

    async def ListTicks(self, request: admin.ListTicksRequest, context: object) -> admin.ListTicksResponse:
        """Answer a page of ticks."""
        return await self._queries.list_ticks(request)
