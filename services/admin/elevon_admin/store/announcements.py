"""Queueing messages about events, in the transaction that records the events."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from elevon_idl.admin import v1 as admin
from elevon_idl.event import v1 as event
from elevon_kit.sqlalchemy_asyncio import AsyncConnection
from sqlalchemy import select

from elevon_admin.domain.cloud_events import EventRoute, owed_events
from elevon_admin.domain.deliveries import NewDelivery
from elevon_admin.domain.event_batches import Families, PreparedEvent
from elevon_admin.domain.notifications import Ended, NotificationRules, owed_notifications
from elevon_admin.domain.phases import TERMINAL_WORKFLOW_PHASES
from elevon_admin.domain.records import ExecutionKey, ExecutionRecord
from elevon_admin.store.deliveries import add_deliveries
from elevon_admin.store.execution_tables import executions


class SqlAnnouncements:
    """What is told of events that were applied; `wake` is called once it is committed."""

    def __init__(self, rules: NotificationRules, routes: Sequence[EventRoute], wake: Callable[[], None]) -> None:
        self._rules = rules
        self._routes = routes
        self._wake = wake

    async def write(
        self, connection: AsyncConnection, families: Families, applied: Sequence[PreparedEvent], now: int
    ) -> None:
        """Queue the messages about events."""
        owed: list[NewDelivery] = []
        if self._routes:
            for prepared in applied:
                owed += owed_events(self._routes, prepared.reported)
        owed += await self._notifications(connection, self._ended(families, applied))
        await add_deliveries(connection, owed, now)

    def committed(self) -> None:
        """Tell those who send that there may be something to send."""
        self._wake()

    def _ended(self, families: Families, applied: Sequence[PreparedEvent]) -> list[ExecutionRecord]:
        """The executions that ended and whose end somebody may want to know."""
        ended: list[ExecutionRecord] = []
        for prepared in applied:
            reported = prepared.reported
            if not isinstance(reported, event.WorkflowExecutionEvent):
                continue
            if reported.phase in TERMINAL_WORKFLOW_PHASES:
                record = families.of(ExecutionKey.of(reported.execution_id)).execution
                if self._rules.concern(record.key, record.closure):
                    ended.append(record)
        return ended

    async def _notifications(self, connection: AsyncConnection, ended: Sequence[ExecutionRecord]) -> list[NewDelivery]:
        if not ended:
            return []
        rows = [record.row_id for record in ended]
        found = await connection.execute(select(executions.c.id, executions.c.spec).where(executions.c.id.in_(rows)))
        plans = {row.id: admin.ExecutionSpec.FromString(row.spec).launch_plan for row in found}
        owed: list[NewDelivery] = []
        for record in ended:
            owed += owed_notifications(self._rules, Ended(record.key, record.closure, plans[record.row_id]))
        return owed
