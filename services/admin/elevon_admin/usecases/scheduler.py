"""Launching what schedules ask for: every tick once, whichever replica comes first, whatever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from elevon_core.errors import (
    AlreadyExists,
    ElevonError,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from elevon_idl.admin import v1 as admin
from elevon_kit import telemetry
from elevon_kit.logging import get_logger
from elevon_kit.tasks import BackgroundTasks

from elevon_admin.domain.catch_up import CatchUp, CatchUpMode, Decision, Period, catch_up_of, decide
from elevon_admin.domain.scheduled_executions import (
    DEACTIVATED,
    StoredSchedule,
    StoredTick,
    TickStatus,
    creation_request,
)
from elevon_admin.domain.timetables import SECOND, timetable
from elevon_admin.ports import Clock
from elevon_admin.schedule_ports import Launcher, ScheduleRepository
from elevon_admin.usecases.backing_off import backoff
from elevon_admin.usecases.schedule_measurements import ScheduleMeasurements

log = get_logger("scheduler")

FINAL_ERRORS = (InvalidArgument, FailedPrecondition, NotFound, PermissionDenied)
"""What launching answers when no further attempt can succeed."""

FORGET_SECONDS = 600.0
FORGET_ROWS = 1_000
SCHEDULES_AT_ONCE = 100
TICKS_AT_ONCE = 200
UNDECIDED_FIRST_SECONDS = 5.0
UNDECIDED_LONGEST_SECONDS = 3600.0
"""How long a schedule is left alone when deciding about it fails, the first time and at most."""


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """How the scheduler works; times in seconds."""

    time_zone: str = "UTC"
    catch_up: CatchUp = field(default_factory=lambda: CatchUp(CatchUpMode.ALL, 86_400 * SECOND))
    on_time_seconds: float = 60.0
    poll_seconds: float = 1.0
    lease_seconds: float = 60.0
    most_attempts: int = 30
    in_flight: int = 16
    catch_up_in_flight: int = 4
    keep_days: int = 30
    first_pause: float = 0.5
    longest_pause: float = 60.0


class Scheduler:
    """Decides about ticks that are due, in the database, and then launches them.

    A decision moves the schedule on and writes the ticks to launch in one transaction, which only one replica wins.
    Launching is repeated until its outcome is written; it does no harm because a tick's execution has one name.
    """

    def __init__(
        self,
        repository: ScheduleRepository,
        launcher: Launcher,
        clock: Clock,
        measurements: ScheduleMeasurements,
        settings: SchedulerSettings | None = None,
    ) -> None:
        self._repository = repository
        self._launcher = launcher
        self._clock = clock
        self._measurements = measurements
        self._settings = settings or SchedulerSettings()
        self._in_flight = asyncio.Semaphore(self._settings.in_flight)
        self._catching_up = asyncio.Semaphore(self._settings.catch_up_in_flight)
        self._loops = BackgroundTasks("scheduler")
        self._undecided: dict[int, int] = {}
        """By row, how often deciding about a schedule has failed since it last succeeded."""
        self._launches: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to launch."""
        self._loops.keep_running(self._run, "due schedules")
        self._loops.keep_running(self._forget, "old ticks")

    async def stop(self) -> None:
        """Stop; what was decided and not launched is found again, here or by another replica."""
        await self._loops.stop()
        for task in list(self._launches):
            task.cancel()
        await self.quiet()

    async def quiet(self) -> None:
        """Wait until nothing is being launched."""
        while self._launches:
            await asyncio.wait(self._launches)

    async def step(self) -> bool:
        """Decide once about everything that is due, and begin to launch it; whether anything was done."""
        now = self._clock()
        due = await self._repository.due(now, SCHEDULES_AT_ONCE)
        decided = await asyncio.gather(*(self._decided(schedule, now) for schedule in due))
        late = await self._repository.waiting(now, self._lease(now), TICKS_AT_ONCE)
        self._launch_soon(late, self._catching_up)
        return any(decided) or bool(late)

    async def _run(self) -> None:
        while True:
            if not await self.step():
                await asyncio.sleep(await self._idle_seconds())

    async def _idle_seconds(self) -> float:
        due = await self._repository.next_due()
        left = self._settings.poll_seconds if due is None else (due - self._clock()) / SECOND
        return left if 0 < left < self._settings.poll_seconds else self._settings.poll_seconds

    async def _decided(self, schedule: StoredSchedule, now: int) -> bool:
        try:
            await self._decide(schedule, now)
        except Unavailable:
            raise
        except Exception as error:
            await self._put_off(schedule, now, error)
            return False
        self._undecided.pop(schedule.row, None)
        return True

    async def _put_off(self, schedule: StoredSchedule, now: int, error: Exception) -> None:
        """Let a schedule that nobody can decide about wait longer each time, so that others have their turn."""
        failures = self._undecided.get(schedule.row, 0) + 1
        self._undecided[schedule.row] = failures
        pause = backoff(failures, UNDECIDED_FIRST_SECONDS, UNDECIDED_LONGEST_SECONDS)
        log.error("schedule not decided", launch_plan=str(schedule.key), again_in_seconds=round(pause), exc_info=error)
        await self._repository.put_off(schedule, now + round(pause * SECOND))

    async def _decide(self, schedule: StoredSchedule, now: int) -> None:
        decision = self._decision(schedule, now)
        ticks = await self._repository.decide(schedule, decision, self._lease(now))
        if ticks is None:
            return
        for group in decision.skipped:
            self._measurements.ticks(group.count, TickStatus.SKIPPED)
            log.info("ticks skipped", launch_plan=str(schedule.key), count=group.count, reason=group.reason)
        fresh = now - round(self._settings.on_time_seconds * SECOND)
        self._launch_soon([tick for tick in ticks if tick.tick.due_at >= fresh], self._in_flight)
        self._launch_soon([tick for tick in ticks if tick.tick.due_at < fresh], self._catching_up)

    def _decision(self, schedule: StoredSchedule, now: int) -> Decision:
        end = now if schedule.ended_at is None else min(now, schedule.ended_at)
        given = self._settings
        try:
            ticks = timetable(schedule.spec.entity_metadata.schedule, schedule.activated_at, given.time_zone)
            policy = catch_up_of(schedule.spec.annotations.values, given.catch_up)
        except InvalidArgument as error:
            # Registered before the rule was made.
            log.error("schedule cannot run", launch_plan=str(schedule.key), reason=error.message)
            return Decision([], [], end, None)
        if ticks is None:
            return Decision([], [], end, None)
        ended = schedule.ended_at is not None and not schedule.superseded
        period = Period(schedule.decided_until, end, now, DEACTIVATED if ended else "")
        return decide(ticks, period, policy, round(given.on_time_seconds * SECOND))

    def _launch_soon(self, ticks: Sequence[StoredTick], limit: asyncio.Semaphore) -> None:
        """Launch in the background: those of one launch plan in order, those of several at once."""
        by_plan: dict[str, list[StoredTick]] = {}
        for tick in ticks:
            by_plan.setdefault(str(tick.key), []).append(tick)
        for name, group in by_plan.items():
            task = asyncio.create_task(self._launch_in_order(group, limit), name=f"scheduler: {name}")
            self._launches.add(task)
            task.add_done_callback(self._launches.discard)

    async def _launch_in_order(self, ticks: Sequence[StoredTick], limit: asyncio.Semaphore) -> None:
        """Launch one after the other; outcomes are written meanwhile, many in a transaction."""
        async with asyncio.TaskGroup() as writing:
            for tick in ticks:
                async with limit:
                    write = await self._launch(tick)
                writing.create_task(self._write(tick, write), name="scheduler: outcome")

    async def _write(self, tick: StoredTick, write: Coroutine[Any, Any, None]) -> None:
        try:
            await write
        except ElevonError as error:
            # The tick is still DUE and is taken up again when the lease is over.
            log.error("outcome of a tick not written", execution=str(tick.execution), reason=error.message)

    async def _launch(self, tick: StoredTick) -> Coroutine[Any, Any, None]:
        """Launch a tick; answers what is left to write."""
        try:
            if not await self._repository.is_due(tick.row):
                return _nothing()  # its launch plan was deactivated since, or another replica was quicker
            status, reason = await self._outcome(tick)
        except ElevonError as error:
            return self._failed(tick, error)
        except Exception as error:
            log.error("launching failed", execution=str(tick.execution), exc_info=error)
            return self._failed(tick, Internal(str(error)))
        return self._settle(tick, status, reason)

    async def _settle(self, tick: StoredTick, status: TickStatus, reason: str) -> None:
        await self._repository.settle(tick.row, status, reason)
        self._measurements.ticks(1, status)
        self._measurements.lateness(self._clock() - tick.tick.due_at)
        if status is not TickStatus.LAUNCHED:
            log.warning("tick not launched", execution=str(tick.execution), status=status.name, reason=reason)

    async def _outcome(self, tick: StoredTick) -> tuple[TickStatus, str]:
        """Create the execution; raises what may pass."""
        with telemetry.tracer().start_as_current_span("launch tick"):
            try:
                await self._launcher.create(creation_request(tick))
            except AlreadyExists as error:
                # Either an earlier attempt has made it, or the plan's concurrency policy says no.
                if await self._launcher.exists(tick.execution):
                    return TickStatus.LAUNCHED, ""
                return TickStatus.SKIPPED, error.message
            except FINAL_ERRORS as error:
                inactive = any(isinstance(detail, admin.InactiveProject) for detail in error.details)
                return TickStatus.SKIPPED if inactive else TickStatus.FAILED, error.message
        return TickStatus.LAUNCHED, ""

    async def _failed(self, tick: StoredTick, error: ElevonError) -> None:
        if tick.attempts + 1 >= self._settings.most_attempts:
            await self._settle(tick, TickStatus.FAILED, error.message)
            return
        pause = backoff(tick.attempts + 1, self._settings.first_pause, self._settings.longest_pause)
        await self._repository.postpone(tick.row, self._clock() + round(pause * SECOND), error.message)
        log.warning(
            "tick not launched", execution=str(tick.execution), attempts=tick.attempts + 1, reason=error.message
        )

    def _lease(self, now: int) -> int:
        return now + round(self._settings.lease_seconds * SECOND)

    async def _forget(self) -> None:
        while True:
            before = self._clock() - self._settings.keep_days * 86_400 * SECOND
            forgotten = await self._repository.forget(before, FORGET_ROWS)
            await asyncio.sleep(0 if forgotten == FORGET_ROWS else FORGET_SECONDS)


async def _nothing() -> None:
    """What is left to write of a tick that is dealt with."""
