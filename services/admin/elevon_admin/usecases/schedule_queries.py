"""Reading schedules: which are active, when they fire, what became of their ticks."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from elevon_core.errors import InvalidArgument, NotFound
from elevon_core.identifiers import validate_identifier
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.catch_up import CatchUp, catch_up_of
from elevon_admin.domain.entities import EntityKey, EntityScope, StoredLaunchPlan
from elevon_admin.domain.paging import cut, parse_page
from elevon_admin.domain.scheduled_executions import StoredSchedule, StoredTick, TickStatus
from elevon_admin.domain.times import check_timestamp, nanoseconds
from elevon_admin.domain.timetables import SECOND, Tick, timetable
from elevon_admin.ports import Clock, LaunchPlanRepository
from elevon_admin.schedule_ports import ScheduleRepository
from elevon_admin.usecases.listing import checked_scope
from elevon_admin.usecases.resource_types import with_type

MOST_TIMES = 1_000
"""Times of one page."""


@dataclass(frozen=True, slots=True)
class ScheduleDefaults:
    """What counts where a launch plan is silent."""

    time_zone: str
    catch_up: CatchUp


class ScheduleQueries:
    """What people ask about schedules."""

    def __init__(
        self,
        schedules: ScheduleRepository,
        launch_plans: LaunchPlanRepository,
        defaults: ScheduleDefaults,
        clock: Clock,
    ) -> None:
        self._schedules = schedules
        self._launch_plans = launch_plans
        self._defaults = defaults
        self._clock = clock

    async def list_schedules(self, request: admin.ListSchedulesRequest) -> admin.ListSchedulesResponse:
        """A page of the schedules of active launch plans; raises InvalidArgument."""
        page = parse_page(request.limit, request.token, "ListSchedules")
        scope = checked_scope(request.project, request.domain, request.name)
        rows, token = cut(page, await self._schedules.schedules(scope, page))
        return admin.ListSchedulesResponse(schedules=[self._schedule(row) for row in rows], token=token)

    async def list_ticks(self, request: admin.ListTicksRequest) -> admin.ListTicksResponse:
        """A page of ticks, the latest first; raises InvalidArgument."""
        page = parse_page(request.limit, request.token, "ListTicks")
        scope = checked_scope(request.project, request.domain, request.name)
        rows, token = cut(page, await self._schedules.ticks(scope, _statuses(request.statuses), page))
        return admin.ListTicksResponse(ticks=[_tick(row) for row in rows], token=token)

    async def list_scheduled_times(self, request: admin.ListScheduledTimesRequest) -> admin.ListScheduledTimesResponse:
        """When a launch plan fires; raises InvalidArgument and NotFound."""
        if not 1 <= request.limit <= MOST_TIMES:
            raise InvalidArgument.invalid("limit", request.limit, f"must be 1 to {MOST_TIMES}")
        after = self._after(request)
        plan = await self._plan(request.launch_plan_id)
        activated_at = await self._activated_at(plan.key)
        schedule = plan.spec.entity_metadata.schedule
        found = self._coming(schedule, after if activated_at is None else activated_at, after, request.limit + 1)
        response = admin.ListScheduledTimesResponse()
        for tick in found[: request.limit]:
            added = response.times.add()
            added.due_at.FromNanoseconds(tick.due_at)
            added.scheduled_at.FromNanoseconds(tick.scheduled_at)
        if len(found) > request.limit:
            response.token = str(found[request.limit - 1].due_at)
        return response

    def _after(self, request: admin.ListScheduledTimesRequest) -> int:
        if request.token:
            if re.fullmatch(r"[0-9]{1,19}", request.token) is None:
                raise InvalidArgument(f"invalid pagination token {request.token[:200]} for ListScheduledTimes")
            return int(request.token)
        if not request.HasField("after"):
            return self._clock()
        if not 0 <= request.after.seconds < 2**33:
            raise InvalidArgument.invalid("after", request.after.seconds, "must be a time from 1970 to 2242")
        check_timestamp(request.after, "after")
        return nanoseconds(request.after)

    def _coming(self, schedule: admin.Schedule, activated_at: int, after: int, count: int) -> list[Tick]:
        """The next ticks after a moment; none for what was registered before a rule was made: it never fires."""
        try:
            ticks = timetable(schedule, activated_at, self._defaults.time_zone)
        except InvalidArgument:
            return []
        return [] if ticks is None else list(islice(ticks.after(after), count))

    async def _plan(self, identifier: core.Identifier) -> StoredLaunchPlan:
        if identifier.version:
            validate_identifier(with_type(identifier, core.LAUNCH_PLAN), core.LAUNCH_PLAN, "launch_plan_id")
            key = EntityKey.of(identifier)
            found = (await self._launch_plans.get_many([key])).get(key)
        else:
            scope = checked_scope(identifier.project, identifier.domain, identifier.name)
            if not scope.name:
                raise InvalidArgument.missing("name")
            key = EntityKey(*scope, "")
            found = await self._launch_plans.active(*scope)
        if found is None:
            kind = "entity of type LAUNCH_PLAN" if identifier.version else "active launch plan"
            raise NotFound(f"missing {kind} with identifier {key}")
        return found

    async def _activated_at(self, key: EntityKey) -> int | None:
        scope = EntityScope(key.project, key.domain, key.name)
        page = parse_page(0, "", "ListScheduledTimes", optional=True)
        active = [each for each in await self._schedules.schedules(scope, page) if each.key == key]
        return active[0].activated_at if active else None

    def _schedule(self, stored: StoredSchedule) -> admin.ActiveSchedule:
        schedule = stored.spec.entity_metadata.schedule
        message = admin.ActiveSchedule(launch_plan_id=stored.key.identifier(core.LAUNCH_PLAN), schedule=schedule)
        message.activated_at.FromNanoseconds(stored.activated_at)
        try:
            policy = catch_up_of(stored.spec.annotations.values, self._defaults.catch_up)
        except InvalidArgument:
            return message  # registered before the rule was made: it never fires
        message.catch_up = policy.mode.value
        message.catch_up_window_seconds = policy.window / SECOND
        now = max(stored.decided_until, self._clock())
        for following in self._coming(schedule, stored.activated_at, now, 1):
            message.next_due_at.FromNanoseconds(following.due_at)
        return message


def _statuses(given: Collection[int]) -> list[TickStatus]:
    for status in given:
        if status not in list(TickStatus):
            raise InvalidArgument.invalid("statuses", status, "must be DUE, LAUNCHED, SKIPPED or FAILED")
    return [TickStatus(status) for status in given]


def _tick(stored: StoredTick) -> admin.ScheduleTick:
    message = admin.ScheduleTick(
        launch_plan_id=stored.key.identifier(core.LAUNCH_PLAN),
        count=stored.count,
        status=admin.TickStatus.ValueType(stored.status),
        reason=stored.reason,
        attempts=stored.attempts,
    )
    message.due_at.FromNanoseconds(stored.tick.due_at)
    message.scheduled_at.FromNanoseconds(stored.tick.scheduled_at)
    message.last_scheduled_at.FromNanoseconds(stored.last_scheduled_at)
    if stored.status in (TickStatus.DUE, TickStatus.LAUNCHED):
        message.execution_id.CopyFrom(stored.execution.identifier())
    return message
