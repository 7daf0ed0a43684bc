"""What the scheduler needs from the world outside."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from elevon_idl.admin import v1 as admin

from elevon_admin.domain.catch_up import Decision
from elevon_admin.domain.entities import EntityScope
from elevon_admin.domain.paging import Page
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.domain.scheduled_executions import StoredSchedule, StoredTick, TickStatus


class ScheduleRepository(Protocol):
    """Schedules of active launch plans, and their ticks; moments are nanoseconds since the epoch."""

    async def due(self, now: int, limit: int) -> Sequence[StoredSchedule]:
        """Schedules with something to decide, those that wait longest first."""
        ...

    async def next_due(self) -> int | None:
        """When there is something to decide next, or None."""
        ...

    async def decide(self, schedule: StoredSchedule, decision: Decision, try_at: int) -> Sequence[StoredTick] | None:
        """Write a decision and answer the ticks to launch, which are the caller's until `try_at`.

        None, and nothing is written, when somebody else has decided since the schedule was read. A schedule that has
        ended and is decided to its end is forgotten.
        """
        ...

    async def put_off(self, schedule: StoredSchedule, due_at: int) -> None:
        """Let a schedule be decided about later, unless somebody has decided since it was read."""
        ...

    async def waiting(self, now: int, try_at: int, limit: int) -> Sequence[StoredTick]:
        """Take over ticks that were to be launched by now and are not: they are the caller's until `try_at`."""
        ...

    async def is_due(self, row: int) -> bool:
        """Whether a tick is still to be launched: it is not once its launch plan is deactivated."""
        ...

    async def settle(self, row: int, status: TickStatus, reason: str = "") -> None:
        """Write what became of a tick that was DUE; calls that come together share a transaction.

        That it was launched is written also when its launch plan was deactivated meanwhile.
        """
        ...

    async def postpone(self, row: int, try_at: int, reason: str) -> None:
        """Write that launching a tick that is DUE failed, and when it is tried again."""
        ...

    async def forget(self, before: int, limit: int) -> int:
        """Remove ticks that were due before a moment and are not DUE; answers how many rows went."""
        ...

    async def schedules(self, scope: EntityScope, page: Page) -> Sequence[StoredSchedule]:
        """A page and one more if there is one: schedules that have not ended, by name."""
        ...

    async def ticks(self, scope: EntityScope, statuses: Collection[TickStatus], page: Page) -> Sequence[StoredTick]:
        """A page and one more if there is one: ticks of any status if none is named, the latest first."""
        ...


class Launcher(Protocol):
    """Creates executions."""

    async def create(self, request: admin.ExecutionCreateRequest) -> ExecutionKey:
        """Create an execution; raises AlreadyExists when the name is taken or a concurrency limit is reached."""
        ...

    async def exists(self, key: ExecutionKey) -> bool:
        """Whether there is an execution of this name."""
        ...
