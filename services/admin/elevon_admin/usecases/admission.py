"""Handing on what waits for a place under a concurrency policy, as soon as one is free."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from elevon_idl.event import v1 as event
from elevon_kit.tasks import BackgroundTasks

from elevon_admin.domain.concurrency import PlanName
from elevon_admin.domain.event_batches import AnyEvent
from elevon_admin.domain.phases import TERMINAL_WORKFLOW_PHASES
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.execution_ports import Outbox, WaitingRepository
from elevon_admin.ports import Clock


class Admission:
    """Admits the executions of a launch plan when others of it end.

    The moments that call for it are told; what a crash keeps from being told is found by looking from time to time.
    """

    def __init__(self, waiting: WaitingRepository, outbox: Outbox, clock: Clock, sweep_seconds: float) -> None:
        self._waiting = waiting
        self._outbox = outbox
        self._clock = clock
        self._sweep_seconds = sweep_seconds
        self._tasks = BackgroundTasks("admission")

    def start(self) -> None:
        """Begin to look."""
        self._tasks.keep_running(self._sweep, "sweep")

    async def stop(self) -> None:
        """Stop looking; what waits stays in the database."""
        await self._tasks.stop()

    async def after(self, events: Iterable[AnyEvent]) -> None:
        """Act on events that are recorded; may be repeated. Costs one query where an execution has ended."""
        ended = [
            ExecutionKey.of(reported.execution_id)
            for reported in events
            if isinstance(reported, event.WorkflowExecutionEvent) and reported.phase in TERMINAL_WORKFLOW_PHASES
        ]
        if ended:
            await asyncio.gather(*(self._admit(plan) for plan in await self._waiting.plans_of(ended)))

    def soon(self, plan: PlanName) -> None:
        """Look whether there is a place, in the background: one may have become free while somebody began to wait."""
        self._tasks.start(self._admit(plan), f"places of {plan}")

    async def _admit(self, plan: PlanName) -> None:
        self._outbox.put(await self._waiting.admit(plan, self._clock()))

    async def _sweep(self) -> None:
        while True:
            for plan in await self._waiting.plans():
                await self._admit(plan)
            await asyncio.sleep(self._sweep_seconds)
