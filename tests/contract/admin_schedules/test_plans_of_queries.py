"""What the scheduler and the senders ask all the time, and what people list, is read from an index."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from elevon_admin.app import MIGRATIONS
from elevon_admin.domain.deliveries import DeliveryState
from elevon_admin.domain.entities import EntityScope
from elevon_admin.domain.paging import Page
from elevon_admin.store.deliveries import SqlDeliveries
from elevon_admin.store.schedules import SqlSchedules
from elevon_kit.database import Database
from sqlalchemy import event, text

pytestmark = pytest.mark.schema(MIGRATIONS)

Question = Callable[[Database], Awaitable[object]]
PAGE = Page(100)
QUESTIONS: dict[str, tuple[Question, str]] = {
    "due": (lambda database: SqlSchedules(database).due(1, 100), "ix_schedules_due_at"),
    "next due": (lambda database: SqlSchedules(database).next_due(), "ix_schedules_due_at"),
    "waiting ticks": (lambda database: SqlSchedules(database).waiting(1, 2, 100), "ix_schedule_ticks_waiting"),
    "ticks": (
        lambda database: SqlSchedules(database).ticks(EntityScope("p", "d"), (), PAGE),
        "ix_schedule_ticks_listed",
    ),
    "ticks of a name": (
        lambda database: SqlSchedules(database).ticks(EntityScope("p", "d", "n"), (), PAGE),
        "ix_schedule_ticks_listed_by_name",
    ),
    "waiting deliveries": (lambda database: SqlDeliveries(database).waiting("a", 1, 100), "ix_deliveries_try_at"),
    "deliveries": (
        lambda database: SqlDeliveries(database).deliveries("a", DeliveryState.GIVEN_UP, PAGE),
        "ix_deliveries_receiver",
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_it_is_read_from_an_index_and_not_sorted(database_url: str, question: str) -> None:
    ask, index = QUESTIONS[question]
    await MIGRATIONS.upgrade(database_url)
    database = Database(database_url)
    await database.open()
    try:
        plan = await plan_of(database, ask)
    finally:
        await database.close()
    assert index in plan, plan
    assert "Sort" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan


async def plan_of(database: Database, ask: Question) -> str:
    """The plan of the first statement that a question sends to the database."""
    seen: list[tuple[str, object]] = []
    engine = database._reading
    assert engine is not None

    def remember(*arguments: object) -> None:
        seen.append((str(arguments[2]), arguments[3]))

    event.listen(engine.sync_engine, "before_cursor_execute", remember)
    await ask(database)
    event.remove(engine.sync_engine, "before_cursor_execute", remember)
    statement, parameters = next(each for each in seen if each[0].lstrip().upper().startswith("SELECT"))
    async with database.reading() as connection:
        explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
        if database.dialect == "postgresql":
            # Tables this small would be scanned and sorted whatever the indexes.
            for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan", "enable_incremental_sort"):
                await connection.execute(text(f"SET LOCAL {setting} = off"))
        rows = await connection.exec_driver_sql(explain + statement, parameters)  # type: ignore[arg-type] # as it was sent
        return "\n".join(str(row[-1]) for row in rows)
