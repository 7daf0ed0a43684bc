"""What every ScheduleRepository does: in memory, on SQLite, on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_admin.domain.catch_up import Decision, SkippedTicks
from elevon_admin.domain.entities import EntityKey, EntityScope
from elevon_admin.domain.paging import Page
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.scheduled_executions import StoredSchedule, TickStatus
from elevon_admin.domain.timetables import Tick
from elevon_admin.schedule_ports import ScheduleRepository
from elevon_admin.store.execution_tables import executions
from elevon_admin.store.launch_plans import SqlLaunchPlans
from elevon_admin.store.schedules import SqlSchedules
from elevon_admin.store.schedules_memory import MemorySchedules
from elevon_kit.database import Database
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import insert

from tests.contract.admin_executions.rows import filled
from tests.contract.admin_schedules.plans import add_plan, cron

pytestmark = pytest.mark.schema(MIGRATIONS)

SPEC = cron("* * * * *", kickoff="when")
PLACE = EntityScope("p", "d")
ALL = Page(None)


def key(name: str, version: str = "v1") -> EntityKey:
    return EntityKey("p", "d", name, version)


@dataclass
class Kept:
    """A repository, with a way to activate and deactivate plans."""

    repository: ScheduleRepository
    database: Database | None

    async def activate(self, name: str, now: int, version: str = "v1") -> None:
        if self.database is not None:
            plans = SqlLaunchPlans(self.database)
            if not await plans.get_many([key(name, version)]):
                await add_plan(self.database, key(name, version), SPEC)
            await plans.activate(key(name, version), now)
            return
        assert isinstance(self.repository, MemorySchedules)
        kept = self.repository.kept
        open_rows = [each for each in kept.values() if each.key.name == name and each.ended_at is None]
        if any(each.key.version == version for each in open_rows):
            return
        for each in open_rows:
            kept[each.row] = replace(each, ended_at=now, superseded=True, due_at=now)
        row = max(kept, default=0) + 1
        kept[row] = StoredSchedule(row, row, key(name, version), SPEC, now, now, now)

    async def launched(self, execution: ExecutionKey) -> None:
        if self.database is None:
            assert isinstance(self.repository, MemorySchedules)
            self.repository.executions.add(execution)
            return
        row = insert(executions).values({**filled(executions), **execution._asdict()})

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(row)

        await self.database.write(work)

    async def deactivate(self, name: str, now: int) -> None:
        if self.database is not None:
            await SqlLaunchPlans(self.database).deactivate(key(name), now)
            return
        assert isinstance(self.repository, MemorySchedules)
        for each in list(self.repository.kept.values()):
            if each.key == key(name) and each.ended_at is None:
                self.repository.deactivate(each.row, now)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Kept]:
    if request.param == "memory":
        yield Kept(MemorySchedules(), None)
        return
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    await MIGRATIONS.upgrade(url)
    database = Database(url)
    await database.open()
    yield Kept(SqlSchedules(database), database)
    await database.close()


def launching(*moments: int, until: int, next_due: int | None = 10**6) -> Decision:
    return Decision([Tick(moment, moment) for moment in moments], [], until, next_due)


async def only(kept: Kept, now: int = 10**5) -> StoredSchedule:
    (found,) = await kept.repository.due(now, 10)
    return found


async def statuses(kept: Kept) -> list[tuple[int, str, str]]:
    found = await kept.repository.ticks(PLACE, (), ALL)
    return [(each.tick.due_at, each.status.name, each.reason) for each in found]


async def test_an_active_plan_is_due_at_once(kept: Kept) -> None:
    await kept.activate("a", 100)
    found = await only(kept)
    assert (found.key, found.activated_at, found.decided_until, found.due_at) == (key("a"), 100, 100, 100)
    assert found.spec == SPEC
    assert await kept.repository.due(99, 10) == []
    assert await kept.repository.next_due() == 100


async def test_activating_again_changes_nothing(kept: Kept) -> None:
    await kept.activate("a", 100)
    await kept.activate("a", 200)
    assert (await only(kept)).activated_at == 100


async def test_a_decision_is_made_once(kept: Kept) -> None:
    await kept.activate("a", 100)
    found = await only(kept)
    decision = launching(110, 120, until=125, next_due=130)
    first, second = await asyncio.gather(*(kept.repository.decide(found, decision, 500) for _ in range(2)))
    assert (first is None) != (second is None)
    ticks = first or second
    assert ticks is not None
    assert [each.tick.due_at for each in ticks] == [110, 120]
    assert ticks[0].kickoff_argument == "when"
    assert await statuses(kept) == [(120, "DUE", ""), (110, "DUE", "")]
    assert await kept.repository.next_due() == 130
    assert (await only(kept)).decided_until == 125


async def test_a_schedule_can_be_decided_about_later(kept: Kept) -> None:
    await kept.activate("a", 100)
    found = await only(kept)
    await kept.repository.put_off(found, 150)
    assert await kept.repository.next_due() == 150
    await kept.repository.put_off(found, 170)
    assert await kept.repository.next_due() == 150
    assert (await only(kept)).decided_until == 100


async def test_ticks_decided_before_are_not_decided_again(kept: Kept) -> None:
    await kept.activate("a", 100)
    await kept.repository.decide(await only(kept), launching(110, until=110, next_due=120), 500)
    again = await kept.repository.decide(await only(kept), launching(110, 120, until=120), 500)
    assert again is not None
    assert [each.tick.due_at for each in again] == [120]


async def test_skipped_ticks_are_one_row(kept: Kept) -> None:
    await kept.activate("a", 100)
    group = SkippedTicks(Tick(110, 110), Tick(170, 170), 7, "missed")
    assert await kept.repository.decide(await only(kept), Decision([], [group], 180, None), 500) == []
    (row,) = await kept.repository.ticks(PLACE, [TickStatus.SKIPPED], ALL)
    assert (row.tick.scheduled_at, row.last_scheduled_at, row.count, row.reason) == (110, 170, 7, "missed")
    assert await kept.repository.next_due() is None


async def test_a_superseded_schedule_is_decided_to_its_end(kept: Kept) -> None:
    await kept.activate("a", 100)
    await kept.activate("a", 200, "v2")
    old, new = sorted(await kept.repository.due(10**5, 10), key=lambda each: each.row)
    assert (old.key.version, old.ended_at, old.superseded) == ("v1", 200, True)
    assert (new.key.version, new.ended_at, new.decided_until) == ("v2", None, 200)
    assert await kept.repository.decide(old, launching(150, until=200), 500)
    assert [each.key.version for each in await kept.repository.due(10**5, 10)] == ["v2"]


async def test_a_deactivated_schedule_ends(kept: Kept) -> None:
    await kept.activate("a", 100)
    before = await only(kept)
    await kept.deactivate("a", 200)
    found = await only(kept)
    assert (found.ended_at, found.superseded) == (200, False)
    assert await kept.repository.decide(before, launching(150, until=200), 500) is None
    assert await kept.repository.schedules(PLACE, ALL) == []


async def test_what_was_decided_is_skipped_once_the_plan_is_deactivated(kept: Kept) -> None:
    await kept.activate("a", 100)
    await kept.activate("b", 100)
    rows: dict[str, list[int]] = {}
    for each in await kept.repository.due(10**5, 10):
        decided = await kept.repository.decide(each, launching(110, 120, 130, until=130), 500) or ()
        rows[each.key.name] = [tick.row for tick in decided]
    await kept.repository.settle(rows["a"][0], TickStatus.LAUNCHED)
    assert await kept.repository.is_due(rows["a"][1])
    await kept.deactivate("a", 200)
    assert not await kept.repository.is_due(rows["a"][1])
    assert await kept.repository.is_due(rows["b"][1])
    assert {each.key.name for each in await kept.repository.waiting(10**5, 10**6, 10)} == {"b"}
    await kept.repository.settle(rows["a"][1], TickStatus.LAUNCHED)
    await kept.repository.settle(rows["a"][2], TickStatus.FAILED, "late")
    told = await kept.repository.ticks(EntityScope("p", "d", "a"), (), ALL)
    assert [(each.status.name, each.reason) for each in reversed(told)] == [
        ("LAUNCHED", ""),
        ("LAUNCHED", ""),
        ("SKIPPED", "the launch plan was deactivated"),
    ]


async def test_what_was_launched_without_saying_so_is_known_when_the_plan_is_deactivated(kept: Kept) -> None:
    second = 1_000_000_000
    await kept.activate("a", second)
    moments = [(number + 2) * second for number in range(4)]
    decided = await kept.repository.decide(await only(kept, 10 * second), launching(*moments, until=6 * second), 500)
    assert decided is not None
    for tick in decided[1::2]:
        await kept.launched(tick.execution)
    await kept.deactivate("a", 20 * second)
    reason = "the launch plan was deactivated"
    assert [told[1:] for told in reversed(await statuses(kept))] == [("SKIPPED", reason), ("LAUNCHED", "")] * 2


async def test_what_was_decided_is_launched_when_another_version_takes_over(kept: Kept) -> None:
    await kept.activate("a", 100)
    (tick,) = await kept.repository.decide(await only(kept), launching(110, until=120), 500) or ()
    await kept.activate("a", 200, "v2")
    assert await kept.repository.is_due(tick.row)


async def test_what_was_not_launched_is_taken_over_once_its_lease_is_over(kept: Kept) -> None:
    await kept.activate("a", 100)
    await kept.repository.decide(await only(kept), launching(110, 120, until=120), 500)
    assert await kept.repository.waiting(499, 900, 10) in ([], ())
    taken = await kept.repository.waiting(500, 900, 10)
    assert [each.tick.due_at for each in taken] == [110, 120]
    assert await kept.repository.waiting(899, 2000, 10) in ([], ())
    await kept.repository.settle(taken[0].row, TickStatus.LAUNCHED)
    await kept.repository.postpone(taken[1].row, 700, "not now")
    (again,) = await kept.repository.waiting(900, 2000, 10)
    assert (again.tick.due_at, again.attempts, again.reason) == (120, 1, "not now")


async def test_an_outcome_is_written_once(kept: Kept) -> None:
    await kept.activate("a", 100)
    (tick,) = await kept.repository.decide(await only(kept), launching(110, until=120), 500) or ()
    await kept.repository.settle(tick.row, TickStatus.LAUNCHED)
    await asyncio.gather(
        kept.repository.settle(tick.row, TickStatus.FAILED, "late"), kept.repository.postpone(tick.row, 1, "late")
    )
    assert await statuses(kept) == [(110, "LAUNCHED", "")]


async def test_old_ticks_are_forgotten_unless_they_are_due(kept: Kept) -> None:
    await kept.activate("a", 100)
    ticks = await kept.repository.decide(await only(kept), launching(110, 120, 130, 140, until=140), 500) or ()
    for tick in ticks[:3]:
        await kept.repository.settle(tick.row, TickStatus.LAUNCHED)
    assert await kept.repository.forget(125, 1) == 1
    assert await kept.repository.forget(200, 10) == 2
    assert await statuses(kept) == [(140, "DUE", "")]


async def test_lists_have_pages_and_places(kept: Kept) -> None:
    for name in ("b", "a", "c"):
        await kept.activate(name, 100)
    found = await kept.repository.schedules(PLACE, Page(1, 1))
    assert [each.key.name for each in found] == ["b", "c"]
    assert await kept.repository.schedules(EntityScope("p", "other"), ALL) == []
    for each in await kept.repository.due(10**5, 10):
        await kept.repository.decide(each, launching(110, 120, until=120), 500)
    assert len(await kept.repository.ticks(EntityScope("p", "d", "a"), (), ALL)) == 2
    assert len(await kept.repository.ticks(PLACE, (), Page(2, 3))) == 3
    assert await kept.repository.ticks(PLACE, [TickStatus.FAILED], ALL) == []
