"""Schedules and their ticks; schedules of plans that are active begin now."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, and a schedule for every active launch plan that has one."""
    _schedules()
    _ticks()
    statement = sa.text(
        "INSERT INTO schedules (launch_plan_id, activated_at, ended_at, superseded, decided_until, due_at) "
        "SELECT id, updated_at, NULL, :superseded, :now, :now FROM launch_plans "
        "WHERE state = 1 AND schedule_type <> 'NONE'"
    )
    op.get_bind().execute(statement, {"superseded": False, "now": time.time_ns()})


def _schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("launch_plan_id", ROW_ID, nullable=False),
        sa.Column("activated_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=True),
        sa.Column("superseded", sa.Boolean, nullable=False),
        sa.Column("decided_until", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
        sa.ForeignKeyConstraint(["launch_plan_id"], ["launch_plans.id"], name="fk_schedules_launch_plan_id"),
    )
    op.create_index("ix_schedules_due_at", "schedules", ["due_at", "id"])
    _partial_index("uq_schedules_open", "schedules", ["launch_plan_id"], "ended_at IS NULL", unique=True)


def _ticks() -> None:
    op.create_table(
        "schedule_ticks",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("launch_plan_id", ROW_ID, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("project", "domain", "name")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("due_at", "scheduled_at", "last_scheduled_at")),
        sa.Column("ticks", sa.Integer, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("try_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_schedule_ticks"),
        sa.ForeignKeyConstraint(["launch_plan_id"], ["launch_plans.id"], name="fk_schedule_ticks_launch_plan_id"),
        sa.UniqueConstraint("launch_plan_id", "scheduled_at", name="uq_schedule_ticks_scheduled_at"),
    )
    op.create_index("ix_schedule_ticks_listed", "schedule_ticks", ["project", "domain", "due_at", "id"])
    op.create_index("ix_schedule_ticks_listed_by_name", "schedule_ticks", ["project", "domain", "name", "due_at", "id"])
    op.create_index("ix_schedule_ticks_due_at", "schedule_ticks", ["due_at"])
    _partial_index("ix_schedule_ticks_waiting", "schedule_ticks", ["try_at", "id"], "status = 1")


def _partial_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
