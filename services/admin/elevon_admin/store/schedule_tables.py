"""Tables of schedules: how far each has been decided, and what became of its ticks."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, SmallInteger, Table, Text, UniqueConstraint, text

from elevon_admin.store.schema import Name, Nanoseconds, RowId, metadata

OPEN = "ended_at IS NULL"
WAITING = "status = 1"
"""Conditions spelled as in the indexes, so that queries with them use these."""

schedules = Table(
    "schedules",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("launch_plan_id", RowId, ForeignKey("launch_plans.id"), nullable=False),
    Column("activated_at", Nanoseconds, nullable=False),
    Column("ended_at", Nanoseconds, nullable=True),
    Column("superseded", Boolean, nullable=False),
    Column("decided_until", Nanoseconds, nullable=False),
    Column("due_at", Nanoseconds, nullable=True),
    Index("ix_schedules_due_at", "due_at", "id"),
    Index("uq_schedules_open", "launch_plan_id", unique=True, sqlite_where=text(OPEN)),
)
"""A row from the activation of a version until all is decided that was due before its end.

What was due by `decided_until` is decided; at `due_at` there is something to decide, NULL when never again.
"""

schedule_ticks = Table(
    "schedule_ticks",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("launch_plan_id", RowId, ForeignKey("launch_plans.id"), nullable=False),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("due_at", Nanoseconds, nullable=False),
    Column("scheduled_at", Nanoseconds, nullable=False),
    Column("last_scheduled_at", Nanoseconds, nullable=False),
    Column("ticks", Integer, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("try_at", Nanoseconds, nullable=False),
    UniqueConstraint("launch_plan_id", "scheduled_at", name="uq_schedule_ticks_scheduled_at"),
    Index("ix_schedule_ticks_listed", "project", "domain", "due_at", "id"),
    Index("ix_schedule_ticks_listed_by_name", "project", "domain", "name", "due_at", "id"),
    Index("ix_schedule_ticks_due_at", "due_at"),
    Index(
        "ix_schedule_ticks_waiting",
        "try_at",
        "id",
        sqlite_where=text(WAITING),
    ),
)
"""One row for a tick that is to be launched, one for neighbours that were skipped together: `ticks` of them.

`status` is a TickStatus. Nobody else tries to launch a tick before `try_at`.
"""
