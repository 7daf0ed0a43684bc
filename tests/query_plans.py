"""How much of its tables a database reads to answer the statements that a service really sends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from elevon_kit.database import Database
from sqlalchemy import event

STEPS_AT_ONCE = 100
"""How finely the steps of SQLite's virtual machine are counted."""

_watching: ContextVar[bool] = ContextVar("watching", default=False)


@dataclass(frozen=True)
class Sent:
    """A statement as it went to the driver."""

    statement: str
    parameters: Any


@dataclass(frozen=True)
class Work:
    """What a statement costs.

    `scanned` are the tables that are read from one end to the other, `sorted_` is whether rows are put in order beyond
    what indexes give. `effort` is the number of rows that PostgreSQL looks at, or of the steps that SQLite makes.
    """

    plan: str
    scanned: frozenset[str]
    sorted_: bool
    effort: int


@contextmanager
def watched(database: Database) -> Iterator[list[Sent]]:
    """The statements that are sent to a database's readers by what the block does in its own and in new tasks.

    What goes on in the background at the same time is left out.
    """
    sent: list[Sent] = []
    mine = _watching.set(True)
    engine = database._reading
    assert engine is not None

    def remember(*arguments: Any) -> None:
        if _watching.get():
            sent.append(Sent(str(arguments[2]), arguments[3]))

    event.listen(engine.sync_engine, "before_cursor_execute", remember)
    try:
        yield sent
    finally:
        _watching.reset(mine)
        event.remove(engine.sync_engine, "before_cursor_execute", remember)


async def work_of(database: Database, sent: Sent) -> Work:
    """Run a statement again and look how it is answered."""
    if database.dialect == "sqlite":
        return _sqlite_work(database.url.database or "", sent)
    async with database.reading() as connection:
        explain = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "
        rows = await connection.exec_driver_sql(explain + sent.statement, sent.parameters)
        found = rows.scalar_one()
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    nodes = list(_nodes(plan))
    return Work(
        json.dumps(plan, indent=1),
        frozenset(node["Relation Name"] for node in nodes if "Seq Scan" in node["Node Type"]),
        any("Sort" in node["Node Type"] for node in nodes),
        sum(_rows(node) for node in nodes if "Relation Name" in node or "Bitmap Index" in node["Node Type"]),
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _rows(node: dict[str, Any]) -> int:
    removed = sum(value for name, value in node.items() if name.startswith("Rows Removed by"))
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])


def _sqlite_work(path: str, sent: Sent) -> Work:
    connection = sqlite3.connect(path)
    try:
        lines = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sent.statement}", sent.parameters)]
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += STEPS_AT_ONCE
            return 0

        connection.set_progress_handler(count, STEPS_AT_ONCE)
        connection.execute(sent.statement, sent.parameters).fetchall()
    finally:
        connection.close()
    # Along an index in order it may end with the page; if it does not, the steps tell.
    scanned = frozenset(line.split()[1] for line in lines if line.startswith("SCAN ") and " INDEX " not in line)
    return Work("\n".join(lines), scanned, any("TEMP B-TREE" in line for line in lines), steps)


def tables_scanned(work: Work, tables: Collection[str]) -> set[str]:
    """Those of the tables that are read as a whole."""
    return set(work.scanned) & set(tables)
