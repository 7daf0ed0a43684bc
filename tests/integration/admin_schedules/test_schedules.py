"""Schedules of a running service: they launch, they are listed, they move and stop with the active version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_admin.domain import schedules
from elevon_admin.drivers.engine_memory import MemoryEngine
from elevon_idl.admin import v1 as admin_idl
from elevon_idl.admin.v1 import schedule_service_pb2_grpc
from elevon_idl.core import v1 as core
from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2, project_pb2, schedule_pb2
from flyteidl.core import types_pb2

from tests.integration.admin_executions.harness import (
    DOMAIN,
    PROJECT,
    WORKFLOW,
    Admin,
    delivered,
    eventually,
    execution_id,
    fake_propeller,
    listing,
    serving,
)
from tests.integration.admin_registry.harness import INTEGER, defaults, plan, plan_id, refused, task, workflow

INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
DATETIME = types_pb2.LiteralType(simple=types_pb2.DATETIME)
EVERY_SECOND = schedule_pb2.CronSchedule(schedule="@every 1s")
QUICK: dict[str, Any] = {"schedules": {"poll_seconds": 0.05}, "delivery": {"longest_pause_seconds": 0.1}}


@dataclass
class Scheduled:
    """An admin, a stub of its ScheduleService, and how to register scheduled plans."""

    admin: Admin
    stub: Any

    async def register(
        self, version: str = "v1", *, kickoff: str = "when", annotations: Any = None, **expression: Any
    ) -> None:
        """A launch plan `w` of a workflow with an integer `a` and a datetime `when`."""
        if version == "v1":
            await self.admin.stub.CreateTask(task("t"))
        await self.admin.stub.CreateWorkflow(workflow("w", version, inputs={"a": INTEGER, "when": DATETIME}))
        schedule = schedule_pb2.Schedule(kickoff_time_input_arg=kickoff, **expression)
        await self.admin.stub.CreateLaunchPlan(
            plan(
                "w",
                version,
                default_inputs=defaults(a=1),
                entity_metadata=launch_plan_pb2.LaunchPlanMetadata(schedule=schedule),
                annotations=common_pb2.Annotations(values=annotations or {}),
            )
        )

    async def set_state(self, state: int, version: str = "v1") -> None:
        """Activate or deactivate a version."""
        request = launch_plan_pb2.LaunchPlanUpdateRequest(id=plan_id("w", version), state=state)
        await self.admin.stub.UpdateLaunchPlan(request)

    async def ticks(self, *statuses: int) -> list[admin_idl.ScheduleTick]:
        """What became of ticks, the oldest first."""
        request = admin_idl.ListTicksRequest(project=PROJECT, domain=DOMAIN, limit=1000)
        request.statuses.extend(admin_idl.TickStatus.ValueType(status) for status in statuses)
        return list(reversed((await self.stub.ListTicks(request)).ticks))

    async def settled(self) -> list[admin_idl.ScheduleTick]:
        """All ticks, once none of them is due."""
        while await self.ticks(admin_idl.TICK_STATUS_DUE):
            await asyncio.sleep(0.02)
        return await self.ticks()

    def names(self) -> list[str]:
        """The executions that the engine was told of."""
        return [key.name for key in self.admin.engine.created]


def identifier(version: str = "v1") -> core.Identifier:
    return core.Identifier(resource_type=core.LAUNCH_PLAN, project=PROJECT, domain=DOMAIN, name="w", version=version)


@pytest.fixture
async def scheduled(database_url: str, tmp_path: Path) -> AsyncIterator[Scheduled]:
    async with (
        serving(database_url, tmp_path, **QUICK) as admin,
        grpc.aio.insecure_channel(admin.app.grpc_address) as channel,
    ):
        yield Scheduled(admin, schedule_service_pb2_grpc.ScheduleServiceStub(channel))


async def test_an_active_plan_is_launched_with_the_time_that_the_schedule_names(scheduled: Scheduled) -> None:
    await scheduled.register(cron_schedule=EVERY_SECOND)
    assert not await scheduled.ticks()
    await scheduled.set_state(launch_plan_pb2.ACTIVE)
    await eventually(lambda: len(scheduled.names()) >= 2, "two ticks are launched")
    async with asyncio.timeout(60):  # outcomes are written in any order
        while gap(launched := await scheduled.ticks(admin_idl.TICK_STATUS_LAUNCHED)) != 1_000_000_000:
            await asyncio.sleep(0.02)
    await scheduled.set_state(launch_plan_pb2.INACTIVE)
    for tick in launched[:2]:
        name = tick.execution_id.name
        found = await scheduled.admin.stub.GetExecution(
            execution_pb2.WorkflowExecutionGetRequest(id=execution_id(name))
        )
        metadata = found.spec.metadata
        assert metadata.mode == execution_pb2.ExecutionMetadata.SCHEDULED
        assert metadata.scheduled_at.ToNanoseconds() == tick.due_at.ToNanoseconds()
        assert metadata.principal == ""
        assert found.spec.launch_plan == plan_id("w")
        request = await delivered(scheduled.admin, name)
        assert request.inputs.literals["when"].scalar.primitive.datetime == tick.scheduled_at


def gap(ticks: Sequence[admin_idl.ScheduleTick]) -> int:
    """Nanoseconds between the first two."""
    first, second = (tick.due_at.ToNanoseconds() for tick in [*ticks, *[admin_idl.ScheduleTick()] * 2][:2])
    return second - first


async def test_replicas_launch_every_tick_once(postgres_url: str, tmp_path: Path) -> None:
    engine = MemoryEngine()
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(fake_propeller(engine))
        replicas = [
            await stack.enter_async_context(serving(postgres_url, tmp_path, engine, address, **QUICK)) for _ in range(3)
        ]
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(replicas[0].app.grpc_address))
        scheduled = Scheduled(replicas[0], schedule_service_pb2_grpc.ScheduleServiceStub(channel))
        await scheduled.register(cron_schedule=EVERY_SECOND)
        await scheduled.set_state(launch_plan_pb2.ACTIVE)
        await eventually(lambda: len(engine.created) >= 3, "three ticks are launched")
        await scheduled.set_state(launch_plan_pb2.INACTIVE)
        await scheduled.settled()

        async def both() -> tuple[list[str], list[str]]:
            """The executions, and those that ticks name."""
            executions = (await replicas[1].stub.ListExecutions(listing())).executions
            ticks = await scheduled.ticks(admin_idl.TICK_STATUS_LAUNCHED)
            return sorted(each.id.name for each in executions), sorted(tick.execution_id.name for tick in ticks)

        async with asyncio.timeout(60):  # one that is launched while the plan is deactivated is told of afterwards
            while (names := await both())[0] != names[1]:
                await asyncio.sleep(0.1)
        dues = [tick.due_at.ToNanoseconds() for tick in await scheduled.ticks(admin_idl.TICK_STATUS_LAUNCHED)]
        assert dues == [dues[0] + step * 1_000_000_000 for step in range(len(dues))]


async def test_ticks_that_a_concurrency_policy_refuses_are_listed_as_skipped(scheduled: Scheduled) -> None:
    await scheduled.admin.stub.CreateTask(task("t"))
    await scheduled.admin.stub.CreateWorkflow(workflow("w"))
    schedule = schedule_pb2.Schedule(cron_schedule=EVERY_SECOND)
    policy = launch_plan_pb2.ConcurrencyPolicy(max=1, behavior=launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP)
    metadata = launch_plan_pb2.LaunchPlanMetadata(schedule=schedule)
    await scheduled.admin.stub.CreateLaunchPlan(
        plan("w", default_inputs=defaults(a=1), entity_metadata=metadata, concurrency_policy=policy)
    )
    await scheduled.set_state(launch_plan_pb2.ACTIVE)
    skipped: list[admin_idl.ScheduleTick] = []
    while not skipped:
        skipped = await scheduled.ticks(admin_idl.TICK_STATUS_SKIPPED)
    assert "concurrency limit (1) reached" in skipped[0].reason
    assert not skipped[0].HasField("execution_id")
    (running,) = (await scheduled.admin.stub.ListExecutions(listing())).executions
    await scheduled.admin.report(running.id, WORKFLOW.SUCCEEDED, 0)
    await eventually(lambda: len(scheduled.names()) == 2, "the next tick finds room")


async def test_ticks_of_an_archived_project_are_skipped(scheduled: Scheduled) -> None:
    await scheduled.register(cron_schedule=EVERY_SECOND)
    await scheduled.set_state(launch_plan_pb2.ACTIVE)
    archived = project_pb2.Project(id=PROJECT, name=PROJECT, state=project_pb2.Project.ARCHIVED)
    await scheduled.admin.stub.UpdateProject(archived)
    skipped: list[admin_idl.ScheduleTick] = []
    while not skipped:
        skipped = await scheduled.ticks(admin_idl.TICK_STATUS_SKIPPED)
    assert "not active" in skipped[0].reason


async def test_schedules_are_listed_while_they_are_active(scheduled: Scheduled) -> None:
    zoned = schedule_pb2.CronSchedule(schedule="TZ=Europe/Berlin 0 7 * * *", offset="PT5M")
    annotations = {"elevon/catch-up": "one", "elevon/catch-up-window": "2h"}
    await scheduled.register(cron_schedule=zoned, annotations=annotations)
    request = admin_idl.ListSchedulesRequest(project=PROJECT, domain=DOMAIN, limit=10)
    assert not (await scheduled.stub.ListSchedules(request)).schedules
    await scheduled.set_state(launch_plan_pb2.ACTIVE)
    (found,) = (await scheduled.stub.ListSchedules(request)).schedules
    assert found.launch_plan_id == identifier()
    assert (found.catch_up, found.catch_up_window_seconds) == ("one", 7200)
    assert found.next_due_at.ToNanoseconds() > found.activated_at.ToNanoseconds()
    assert found.next_due_at.seconds % 3600 == 300
    await scheduled.register("v2", rate=schedule_pb2.FixedRate(value=1, unit=schedule_pb2.DAY))
    await scheduled.set_state(launch_plan_pb2.ACTIVE, "v2")
    (moved,) = (await scheduled.stub.ListSchedules(request)).schedules
    assert moved.launch_plan_id == identifier("v2")
    await scheduled.set_state(launch_plan_pb2.INACTIVE, "v2")
    assert not (await scheduled.stub.ListSchedules(request)).schedules


async def test_times_are_computed_ahead_in_pages(scheduled: Scheduled) -> None:
    await scheduled.register(cron_schedule=schedule_pb2.CronSchedule(schedule="TZ=America/New_York 30 1 * * *"))
    request = admin_idl.ListScheduledTimesRequest(launch_plan_id=identifier(), limit=2)
    request.after.FromJsonString("2026-10-31T00:00:00Z")
    first = await scheduled.stub.ListScheduledTimes(request)
    request.token = first.token
    second = await scheduled.stub.ListScheduledTimes(request)
    times = [each.due_at.ToJsonString() for page in (first, second) for each in page.times]
    assert times == ["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z", "2026-11-03T06:30:00Z"]
    without_version = admin_idl.ListScheduledTimesRequest(launch_plan_id=identifier(""), limit=1)
    await refused(scheduled.stub.ListScheduledTimes(without_version), MISSING, "active launch plan")
    await scheduled.set_state(launch_plan_pb2.ACTIVE)
    assert len((await scheduled.stub.ListScheduledTimes(without_version)).times) == 1


async def test_bad_questions_are_refused(scheduled: Scheduled) -> None:
    await scheduled.register(rate=schedule_pb2.FixedRate(value=1, unit=schedule_pb2.DAY))
    stub, times = scheduled.stub, admin_idl.ListScheduledTimesRequest
    await refused(stub.ListScheduledTimes(times(launch_plan_id=identifier())), INVALID, "limit")
    await refused(stub.ListScheduledTimes(times(launch_plan_id=identifier("v9"), limit=1)), MISSING, "w:v9")
    await refused(stub.ListScheduledTimes(times(launch_plan_id=identifier(), limit=1, token="x")), INVALID, "token")
    await refused(stub.ListScheduledTimes(times(limit=1)), INVALID, "project")
    await refused(stub.ListSchedules(admin_idl.ListSchedulesRequest(project=PROJECT, limit=1)), INVALID, "domain")
    ticks = admin_idl.ListTicksRequest(project=PROJECT, domain=DOMAIN)
    await refused(stub.ListTicks(ticks), INVALID, "limit")
    unknown = admin_idl.ListTicksRequest(
        project=PROJECT, domain=DOMAIN, limit=1, statuses=[admin_idl.TICK_STATUS_UNSPECIFIED]
    )
    await refused(stub.ListTicks(unknown), INVALID, "statuses")


async def test_times_end_where_moments_cannot_be_held_any_more(scheduled: Scheduled) -> None:
    await scheduled.register(rate=schedule_pb2.FixedRate(value=3653, unit=schedule_pb2.DAY))
    request = admin_idl.ListScheduledTimesRequest(launch_plan_id=identifier(), limit=10)
    pages, times = 0, 0
    while pages == 0 or request.token:
        page = await scheduled.stub.ListScheduledTimes(request)
        request.token, times, pages = page.token, times + len(page.times), pages + 1
    assert 20 < times < 30
    request.after.nanos = -1
    await refused(scheduled.stub.ListScheduledTimes(request), INVALID, "after")


async def test_a_schedule_of_before_a_rule_does_not_hide_the_others(
    scheduled: Scheduled, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(schedules, "_LONGEST", 10**30)
        await scheduled.register(cron_schedule=schedule_pb2.CronSchedule(schedule="@daily", offset="P999999999W"))
    await scheduled.set_state(launch_plan_pb2.ACTIVE)
    request = admin_idl.ListSchedulesRequest(project=PROJECT, domain=DOMAIN, limit=10)
    (found,) = (await scheduled.stub.ListSchedules(request)).schedules
    assert not found.HasField("next_due_at")
    times = admin_idl.ListScheduledTimesRequest(launch_plan_id=identifier(), limit=1)
    assert not (await scheduled.stub.ListScheduledTimes(times)).times


@pytest.mark.parametrize(
    ("annotations", "words"),
    [({"elevon/catch-up": "maybe"}, "none, one or all"), ({"elevon/catch-up-window": "soon"}, "a duration")],
)
async def test_a_policy_that_means_nothing_is_refused_at_registration(
    scheduled: Scheduled, annotations: dict[str, str], words: str
) -> None:
    await refused(scheduled.register(cron_schedule=EVERY_SECOND, annotations=annotations), INVALID, words)
