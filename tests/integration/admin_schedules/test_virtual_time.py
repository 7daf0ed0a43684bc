"""Every tick exactly once: a month of minutes, changes of the clock, restarts at any moment, three replicas."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_admin.domain.catch_up import CatchUp, CatchUpMode, Decision
from elevon_admin.domain.entities import EntityKey, EntityScope
from elevon_admin.domain.paging import Page
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.scheduled_executions import StoredSchedule, StoredTick, TickStatus
from elevon_admin.domain.timetables import SECOND, timetable
from elevon_admin.schedule_ports import ScheduleRepository
from elevon_admin.store.launch_plans import SqlLaunchPlans
from elevon_admin.store.schedules import SqlSchedules
from elevon_admin.store.schedules_memory import MemoryLauncher, MemorySchedules
from elevon_admin.usecases.schedule_measurements import ScheduleMeasurements
from elevon_admin.usecases.scheduler import Scheduler, SchedulerSettings
from elevon_core.errors import AlreadyExists, Internal, InvalidArgument, Unavailable
from elevon_idl.admin import v1 as admin
from elevon_kit.database import Database

from tests.contract.admin_schedules.plans import add_plan, cron, rate

DAY = 86_400 * SECOND
MINUTE = 60 * SECOND
PLACE = EntityScope("p", "d")
MARCH, APRIL = 1_772_323_200 * SECOND, 1_775_001_600 * SECOND
"""The first of March and of April 2026; clocks change in New York on March 8, in Berlin on March 29."""
OCTOBER, NOVEMBER = 1_792_713_600 * SECOND, 1_793_836_800 * SECOND
"""October 23 and November 5, 2026; clocks change in Berlin on October 25, in New York on November 1."""
FOREVER = CatchUp(CatchUpMode.ALL, 400 * DAY)
PLANS = {
    "minutes": cron("* * * * *"),
    "new-york": cron("CRON_TZ=America/New_York 30 1,2 * * *", kickoff="when"),
    "berlin": cron("TZ=Europe/Berlin */30 2,3 * * *"),
    "berlin-hours": cron("TZ=Europe/Berlin @hourly", offset="PT5M"),
    "rate": rate(37),
}


@dataclass
class World:
    """A clock that only tests move, executions, and schedulers that come and go."""

    repository: ScheduleRepository
    now: int = MARCH
    settings: SchedulerSettings = field(default_factory=lambda: SchedulerSettings(catch_up=FOREVER))
    launcher: MemoryLauncher = field(default_factory=MemoryLauncher)

    def replica(self) -> Scheduler:
        """A scheduler that is stepped by hand."""
        return Scheduler(self.repository, self.launcher, lambda: self.now, ScheduleMeasurements(), self.settings)

    async def statuses(self) -> dict[str, int]:
        """How many ticks have each status."""
        counts: dict[str, int] = {}
        for tick in await self.repository.ticks(PLACE, (), Page(None)):
            counts[tick.status.name] = counts.get(tick.status.name, 0) + tick.count
        return counts

    def launched(self, name: str) -> list[int]:
        """When the executions of a plan were due."""
        requests = [each for each in self.launcher.created.values() if each.spec.launch_plan.name == name]
        return sorted(each.spec.metadata.scheduled_at.ToNanoseconds() for each in requests)


def expected(spec: admin.LaunchPlanSpec, begin: int, end: int) -> list[int]:
    """When a plan that was activated at a moment is due until another."""
    ticks = timetable(spec.entity_metadata.schedule, begin, "UTC")
    assert ticks is not None
    return [tick.due_at for tick in takewhile(lambda tick: tick.due_at <= end, ticks.after(begin))]


async def work_off(schedulers: list[Scheduler]) -> None:
    """Let schedulers do all there is to do at this moment."""
    while any(await asyncio.gather(*(each.step() for each in schedulers))):
        await asyncio.gather(*(each.quiet() for each in schedulers))
    await asyncio.gather(*(each.quiet() for each in schedulers))


def in_memory(plans: dict[str, admin.LaunchPlanSpec], now: int) -> MemorySchedules:
    repository = MemorySchedules()
    for row, (name, spec) in enumerate(plans.items(), 1):
        repository.kept[row] = StoredSchedule(row, row, EntityKey("p", "d", name, "v1"), spec, now, now, now)
    return repository


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    await MIGRATIONS.upgrade(url)
    opened = Database(url)
    await opened.open()
    yield opened
    await opened.close()


async def activated(database: Database, plans: dict[str, admin.LaunchPlanSpec], now: int) -> SqlSchedules:
    for name, spec in plans.items():
        key = EntityKey("p", "d", name, "v1")
        await add_plan(database, key, spec)
        await SqlLaunchPlans(database).activate(key, now)
    return SqlSchedules(database)


@pytest.mark.timeout(600)
async def test_a_month_of_minutes_a_few_at_a_time() -> None:
    plans = {name: PLANS[name] for name in ("minutes", "new-york", "berlin")}
    world = World(in_memory(plans, MARCH))
    scheduler, seed = world.replica(), random.Random(1)
    while world.now < APRIL:
        world.now = min(APRIL, world.now + seed.randint(1, 5) * MINUTE)
        await scheduler.step()
        await scheduler.quiet()
    for name, spec in plans.items():
        assert world.launched(name) == expected(spec, MARCH, APRIL), name
    assert len(world.launched("minutes")) == 31 * 24 * 60
    assert set(await world.statuses()) == {"LAUNCHED"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("begin", "end"), [(MARCH, APRIL), (OCTOBER, NOVEMBER)])
async def test_replicas_that_are_stopped_and_started_at_any_moment(database: Database, begin: int, end: int) -> None:
    seed = random.Random(begin)
    plans = {name: spec for name, spec in PLANS.items() if name != "minutes"}
    world = World(await activated(database, plans, begin), now=begin)
    replicas = [world.replica() for _ in range(3)]
    while world.now < end:
        world.now = min(end, world.now + seed.randint(1, 16 * 3600) * SECOND)
        world.launcher.failures += [Unavailable("away")] * seed.randint(0, 2)
        world.launcher.lost_answers += [Internal("answer lost")] * seed.randint(0, 1)
        steps = [asyncio.ensure_future(each.step()) for each in replicas]
        for _ in range(seed.randint(0, 8)):
            await asyncio.sleep(0)
        victim = seed.randrange(3)
        steps[victim].cancel()
        await replicas[victim].stop()
        replicas[victim] = world.replica()
        await asyncio.gather(*steps, return_exceptions=True)
        await asyncio.gather(*(each.quiet() for each in replicas))
    world.launcher.failures.clear()
    world.launcher.lost_answers.clear()
    for _ in range(3):
        world.now += 120 * SECOND  # leases and pauses end
        await work_off(replicas)
    for name, spec in plans.items():
        assert world.launched(name) == expected(spec, begin, world.now), name
    assert set(await world.statuses()) == {"LAUNCHED"}


@pytest.mark.timeout(600)
async def test_minutes_with_three_replicas_and_long_absences(database: Database) -> None:
    seed, end = random.Random(3), MARCH + 7 * DAY
    plans = {"minutes": PLANS["minutes"]}
    world = World(await activated(database, plans, MARCH))
    replicas = [world.replica() for _ in range(3)]
    while world.now < end:
        world.now = min(end, world.now + seed.randint(1, 1440) * MINUTE)
        await work_off(replicas)
    assert world.launched("minutes") == expected(plans["minutes"], MARCH, end)
    assert await world.statuses() == {"LAUNCHED": 7 * 24 * 60}


async def test_catch_up_is_said_by_the_plan() -> None:
    plans = {
        "none": cron("* * * * *", catch_up="none"),
        "one": cron("* * * * *", catch_up="one"),
        "all": cron("* * * * *", catch_up="all", catch_up_window="10m"),
        "default": cron("* * * * *"),
    }
    settings = SchedulerSettings(catch_up=CatchUp(CatchUpMode.ALL, 20 * MINUTE), on_time_seconds=10)
    world = World(in_memory(plans, MARCH), settings=settings)
    world.now = MARCH + 60 * MINUTE + 30 * SECOND
    await work_off([world.replica()])
    counts = {name: len(world.launched(name)) for name in plans}
    assert counts == {"none": 0, "one": 1, "all": 10, "default": 20}
    assert world.launched("one") == [MARCH + 60 * MINUTE]
    assert await world.statuses() == {"LAUNCHED": 31, "SKIPPED": 4 * 60 - 31}


async def test_another_version_takes_over_without_a_gap(database: Database) -> None:
    world = World(await activated(database, {"minutes": PLANS["minutes"]}, MARCH))
    second = EntityKey("p", "d", "minutes", "v2")
    await add_plan(database, second, PLANS["minutes"])
    replicas = [world.replica()]
    await work_off(replicas)
    world.now = MARCH + 10 * MINUTE + SECOND
    await SqlLaunchPlans(database).activate(second, world.now)
    world.now = MARCH + 20 * MINUTE
    await work_off(replicas)
    assert world.launched("minutes") == [MARCH + minute * MINUTE for minute in range(1, 21)]
    versions = [each.spec.launch_plan.version for each in world.launcher.created.values()]
    assert (versions.count("v1"), versions.count("v2")) == (10, 10)


async def test_a_plan_that_is_deactivated_stops_at_once(database: Database) -> None:
    world = World(await activated(database, {"minutes": PLANS["minutes"]}, MARCH))
    replicas = [world.replica()]
    await work_off(replicas)
    world.now = MARCH + 5 * MINUTE
    await SqlLaunchPlans(database).deactivate(EntityKey("p", "d", "minutes", "v1"), world.now)
    world.now = MARCH + 20 * MINUTE
    await work_off(replicas)
    assert not world.launcher.created
    (row,) = await world.repository.ticks(PLACE, (), Page(None))
    assert (row.status, row.count, row.reason) == (TickStatus.SKIPPED, 5, "the launch plan was deactivated")
    assert await world.repository.next_due() is None


async def test_nothing_that_was_decided_is_launched_after_a_deactivation(database: Database) -> None:
    world = World(await activated(database, {"minutes": PLANS["minutes"]}, MARCH))
    replicas = [world.replica()]
    await work_off(replicas)
    world.now = MARCH + 5 * MINUTE
    world.launcher.refusals["minutes"] = Unavailable("away")
    await work_off(replicas)
    assert await world.statuses() == {"DUE": 5}
    await SqlLaunchPlans(database).deactivate(EntityKey("p", "d", "minutes", "v1"), world.now)
    world.launcher.refusals.clear()
    world.now += 10 * MINUTE
    await work_off(replicas)
    assert not world.launcher.created
    ticks = await world.repository.ticks(PLACE, (), Page(None))
    assert {(each.status.name, each.reason) for each in ticks} == {("SKIPPED", "the launch plan was deactivated")}


@pytest.mark.parametrize("decided", [True, False])
async def test_deactivating_the_last_version_stops_what_earlier_ones_left(database: Database, decided: bool) -> None:
    plans, second = SqlLaunchPlans(database), EntityKey("p", "d", "minutes", "v2")
    world = World(await activated(database, {"minutes": PLANS["minutes"], "other": PLANS["minutes"]}, MARCH))
    await add_plan(database, second, PLANS["minutes"])
    replicas = [world.replica()]
    await work_off(replicas)
    world.now = MARCH + 5 * MINUTE
    world.launcher.refusals = {"minutes": Unavailable("away"), "other": Unavailable("away")}
    if decided:
        await work_off(replicas)
    await plans.activate(second, world.now)
    if decided:
        world.now += MINUTE
        await work_off(replicas)
    await plans.deactivate(second, world.now)
    world.launcher.refusals.clear()
    world.now += 10 * MINUTE
    await work_off(replicas)
    assert world.launched("minutes") == []
    assert len(world.launched("other")) == (16 if decided else 15)
    ticks = await world.repository.ticks(EntityScope("p", "d", "minutes"), (), Page(None))
    assert {(each.status.name, each.reason) for each in ticks} == {("SKIPPED", "the launch plan was deactivated")}
    assert sum(each.count for each in ticks) == (6 if decided else 5)


async def test_deactivating_a_version_that_is_not_active_leaves_the_active_one(database: Database) -> None:
    plans, second = SqlLaunchPlans(database), EntityKey("p", "d", "minutes", "v2")
    world = World(await activated(database, {"minutes": PLANS["minutes"]}, MARCH))
    await add_plan(database, second, PLANS["minutes"])
    world.now = MARCH + 5 * MINUTE
    await plans.activate(second, world.now)
    await plans.deactivate(EntityKey("p", "d", "minutes", "v1"), world.now)
    world.now += 10 * MINUTE
    await work_off([world.replica()])
    assert await world.statuses() == {"LAUNCHED": 10, "SKIPPED": 5}
    versions = {each.spec.launch_plan.version for each in world.launcher.created.values()}
    assert versions == {"v2"}


class Deactivating(MemoryLauncher):
    """Deactivates the launch plan of the first execution that it makes."""

    def __init__(self, repository: MemorySchedules, now: int) -> None:
        super().__init__()
        self._repository, self._now = repository, now

    async def create(self, request: admin.ExecutionCreateRequest) -> ExecutionKey:
        key = await super().create(request)
        for row in [row for row, each in self._repository.kept.items() if each.ended_at is None]:
            self._repository.deactivate(row, self._now)
        return key


async def test_a_deactivation_stops_what_is_about_to_be_launched() -> None:
    repository = in_memory({"minutes": PLANS["minutes"]}, MARCH)
    now = MARCH + 5 * MINUTE
    world = World(repository, now, launcher=Deactivating(repository, now))
    await work_off([world.replica()])
    assert len(world.launcher.created) == 1
    assert await world.statuses() == {"LAUNCHED": 1, "SKIPPED": 4}


async def test_what_launching_answers_is_told_with_the_tick() -> None:
    plans = {name: cron("* * * * *") for name in ("crowded", "archived", "wrong", "good")}
    world = World(in_memory(plans, MARCH))
    inactive = InvalidArgument("project [p] is not active", details=[admin.InactiveProject(id="p")])
    world.launcher.refusals = {
        "crowded": AlreadyExists("concurrency limit (1) reached"),
        "archived": inactive,
        "wrong": InvalidArgument("expected_inputs a missing"),
    }
    world.now = MARCH + MINUTE
    await work_off([world.replica()])
    told = {each.key.name: each for each in await world.repository.ticks(PLACE, (), Page(None))}
    assert {name: each.status.name for name, each in told.items()} == {
        "crowded": "SKIPPED",
        "archived": "SKIPPED",
        "wrong": "FAILED",
        "good": "LAUNCHED",
    }
    assert told["wrong"].reason == "expected_inputs a missing"


async def test_a_tick_that_never_succeeds_is_given_up_and_others_go_on() -> None:
    world = World(in_memory({"bad": cron("0 0 2 * *"), "good": cron("* * * * *")}, MARCH))
    world.launcher.refusals["bad"] = Unavailable("away")
    replicas = [world.replica()]
    world.now = MARCH + DAY
    for _ in range(100):
        await work_off(replicas)
        world.now += 2 * MINUTE
    (bad,) = await world.repository.ticks(EntityScope("p", "d", "bad"), (), Page(None))
    assert (bad.status, bad.reason) == (TickStatus.FAILED, "away")
    assert bad.attempts == 29
    assert len(world.launched("good")) > 1440


class Undecidable(MemorySchedules):
    """Fails where it is to write what was decided about some plans."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: list[str] = []
        self.mended = False

    async def decide(self, schedule: StoredSchedule, decision: Decision, try_at: int) -> Sequence[StoredTick] | None:
        if schedule.key.name.startswith("bad") and not self.mended:
            self.failed.append(schedule.key.name)
            raise OverflowError("too large")
        return await super().decide(schedule, decision, try_at)


async def test_schedules_that_cannot_be_decided_leave_the_others_their_turn() -> None:
    repository = Undecidable()
    plans = {f"bad{number}": cron("0 * * * *") for number in range(120)} | {"good": cron("* * * * *")}
    for row, (name, spec) in enumerate(plans.items(), 1):
        key = EntityKey("p", "d", name, "v1")
        repository.kept[row] = StoredSchedule(row, row, key, spec, MARCH, MARCH, MARCH)
    world = World(repository, now=MARCH)
    replicas = [world.replica()]
    for _ in range(120):
        await work_off(replicas)
        await work_off(replicas)
        world.now += MINUTE
    assert world.launched("good") == expected(plans["good"], MARCH, world.now - MINUTE)
    assert repository.failed.count("bad7") < 15
    repository.mended = True
    world.now += 60 * MINUTE
    await work_off(replicas)
    assert world.launched("bad7") == [MARCH + 60 * MINUTE, MARCH + 120 * MINUTE, MARCH + 180 * MINUTE]
