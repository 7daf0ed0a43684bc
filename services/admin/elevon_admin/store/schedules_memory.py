"""The fakes of the scheduler's ports: schedules kept in memory, and executions that are only remembered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from elevon_core.errors import AlreadyExists, ElevonError
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.catch_up import Decision
from elevon_admin.domain.entities import EntityScope
from elevon_admin.domain.paging import Page
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.scheduled_executions import DEACTIVATED, StoredSchedule, StoredTick, TickStatus

Row = TypeVar("Row")


@dataclass(slots=True)
class _Waiting:
    tick: StoredTick
    try_at: int


class MemorySchedules:
    """A ScheduleRepository; schedules are put into `kept` and superseded there, by their row.

    `executions` are those that exist.
    """

    def __init__(self) -> None:
        self.kept: dict[int, StoredSchedule] = {}
        self.executions: set[ExecutionKey] = set()
        self._ticks: dict[int, StoredTick] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._decided: set[tuple[int, int]] = set()

    async def due(self, now: int, limit: int) -> Sequence[StoredSchedule]:
        """See ScheduleRepository."""
        due = [each for each in self.kept.values() if each.due_at is not None and each.due_at <= now]
        return sorted(due, key=lambda each: (each.due_at or 0, each.row))[:limit]

    async def next_due(self) -> int | None:
        """See ScheduleRepository."""
        return min((each.due_at for each in self.kept.values() if each.due_at is not None), default=None)

    async def decide(self, schedule: StoredSchedule, decision: Decision, try_at: int) -> Sequence[StoredTick] | None:
        """See ScheduleRepository."""
        if self.kept.get(schedule.row) != schedule:
            return None
        if schedule.ended_at is not None and decision.decided_until >= schedule.ended_at:
            del self.kept[schedule.row]
        else:
            moved = replace(schedule, decided_until=decision.decided_until, due_at=decision.next_due_at)
            self.kept[schedule.row] = moved
        kickoff = schedule.spec.entity_metadata.schedule.kickoff_time_input_arg
        launched: list[StoredTick] = []
        for tick in decision.launched:
            added = self._add(
                StoredTick(0, schedule.key, tick, tick.scheduled_at, 1, TickStatus.DUE, kickoff_argument=kickoff),
                schedule.plan_row,
            )
            if added is not None:
                launched.append(added)
                self._waiting[added.row] = _Waiting(added, try_at)
        for group in decision.skipped:
            last = group.last.scheduled_at
            skipped = StoredTick(0, schedule.key, group.first, last, group.count, TickStatus.SKIPPED, group.reason)
            self._add(skipped, schedule.plan_row)
        return launched

    async def put_off(self, schedule: StoredSchedule, due_at: int) -> None:
        """See ScheduleRepository."""
        if self.kept.get(schedule.row) == schedule:
            self.kept[schedule.row] = replace(schedule, due_at=due_at)

    def _add(self, tick: StoredTick, plan_row: int) -> StoredTick | None:
        key = (plan_row, tick.tick.scheduled_at)
        if key in self._decided:
            return None
        self._decided.add(key)
        row = len(self._decided)
        self._ticks[row] = replace(tick, row=row)
        return self._ticks[row]

    async def waiting(self, now: int, try_at: int, limit: int) -> Sequence[StoredTick]:
        """See ScheduleRepository."""
        late = [row for row, waiting in self._waiting.items() if waiting.try_at <= now][:limit]
        for row in late:
            self._waiting[row].try_at = try_at
        return sorted((self._ticks[row] for row in late), key=lambda tick: (tick.tick.due_at, tick.row))

    def deactivate(self, row: int, now: int) -> None:
        """End a schedule as the deactivation of its launch plan does."""
        ended = self.kept[row] = replace(self.kept[row], ended_at=now, due_at=now)
        for waiting in [each for each in self._waiting if self._ticks[each].key == ended.key]:
            del self._waiting[waiting]
            tick = self._ticks[waiting]
            launched = tick.execution in self.executions
            status, reason = (TickStatus.LAUNCHED, "") if launched else (TickStatus.SKIPPED, DEACTIVATED)
            self._ticks[waiting] = replace(tick, status=status, reason=reason)

    async def is_due(self, row: int) -> bool:
        """See ScheduleRepository."""
        return row in self._waiting

    async def settle(self, row: int, status: TickStatus, reason: str = "") -> None:
        """See ScheduleRepository."""
        after_all = status is TickStatus.LAUNCHED and self._ticks[row].status is TickStatus.SKIPPED
        if self._waiting.pop(row, None) is not None or after_all:
            self._ticks[row] = replace(self._ticks[row], status=status, reason=reason)

    async def postpone(self, row: int, try_at: int, reason: str) -> None:
        """See ScheduleRepository."""
        waiting = self._waiting.get(row)
        if waiting is not None:
            tick = self._ticks[row]
            self._ticks[row] = replace(tick, reason=reason, attempts=tick.attempts + 1)
            waiting.try_at = try_at

    async def forget(self, before: int, limit: int) -> int:
        """See ScheduleRepository."""
        settled = (row for row, tick in self._ticks.items() if tick.status is not TickStatus.DUE)
        old = [row for row in settled if self._ticks[row].tick.due_at < before][:limit]
        for row in old:
            del self._ticks[row]
        return len(old)

    async def schedules(self, scope: EntityScope, page: Page) -> Sequence[StoredSchedule]:
        """See ScheduleRepository."""
        kept = [each for each in self.kept.values() if each.ended_at is None and _within(each.key, scope)]
        return _cut(sorted(kept, key=lambda each: each.key), page)

    async def ticks(self, scope: EntityScope, statuses: Collection[TickStatus], page: Page) -> Sequence[StoredTick]:
        """See ScheduleRepository."""
        found = [tick for tick in self._ticks.values() if _within(tick.key, scope)]
        chosen = [tick for tick in found if not statuses or tick.status in statuses]
        return _cut(sorted(chosen, key=lambda tick: (-tick.tick.due_at, -tick.row)), page)


def _within(key: tuple[str, ...], scope: EntityScope) -> bool:
    return key[:2] == scope[:2] and scope.name in ("", key[2])


def _cut(rows: Sequence[Row], page: Page) -> Sequence[Row]:
    end = None if page.fetch is None else page.offset + page.fetch
    return rows[page.offset : end]


class MemoryLauncher:
    """A Launcher that runs nothing.

    `failures` are raised first, one per call; `lost_answers` are raised once the execution exists; `refusals` are by
    the name of the launch plan.
    """

    def __init__(self) -> None:
        self.created: dict[ExecutionKey, admin.ExecutionCreateRequest] = {}
        self.failures: list[ElevonError] = []
        self.lost_answers: list[ElevonError] = []
        self.refusals: dict[str, ElevonError] = {}

    async def create(self, request: admin.ExecutionCreateRequest) -> ExecutionKey:
        """See Launcher."""
        if self.failures:
            raise self.failures.pop(0)
        key = ExecutionKey(request.project, request.domain, request.name)
        if key in self.created:
            raise AlreadyExists(f"execution {key} already exists")
        refusal = self.refusals.get(request.spec.launch_plan.name)
        if refusal is not None:
            raise refusal
        self.created[key] = request
        if self.lost_answers:
            raise self.lost_answers.pop(0)
        return key

    async def exists(self, key: ExecutionKey) -> bool:
        """See Launcher."""
        return key in self.created
