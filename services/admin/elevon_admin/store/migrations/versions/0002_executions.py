"""Executions, their nodes and task attempts, signals, and what the engine is owed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVE = sa.text("phase NOT IN (4, 6, 7, 8)")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    _create_executions()
    _create_node_executions()
    _create_task_executions()
    _create_tags()
    _create_signals()
    _create_dispatches()
    op.create_table(
        "secrets",
        _text("name"),
        _bytes("value"),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )


def _create_executions() -> None:
    op.create_table(
        "executions",
        *_row("executions"),
        *_progress(),
        *(_text(name) for name in ("project", "domain", "name")),
        _small("state"),
        _small("mode"),
        _text("launch_entity"),
        _text("workflow_name"),
        _text("launch_plan_name"),
        _reference("executions", "launch_plan_id", "launch_plans", nullable=True),
        _reference("executions", "workflow_id", "workflows", nullable=True),
        _reference("executions", "task_id", "tasks", nullable=True),
        sa.Column("source_execution_id", ROW_ID),
        sa.Column("parent_node_execution_id", ROW_ID),
        _number("execution_created_at"),
        _number("execution_updated_at"),
        _text("user"),
        _text("cluster"),
        *(sa.Column(name, TEXT) for name in ("abort_cause", "error_kind", "error_code")),
        *(sa.Column(name, sa.Text) for name in ("inputs_uri", "user_inputs_uri", "outputs_uri")),
        _bytes("spec"),
        _bytes("closure"),
        *(sa.Column(name, sa.LargeBinary) for name in ("inputs", "user_inputs", "outputs")),
        sa.UniqueConstraint("project", "domain", "name", name="uq_executions_project_domain_name"),
    )
    listed = ["project", "domain", "state"]
    newest = ["created_at", "id"]
    op.create_index("ix_executions_created_at", "executions", [*listed, *newest])
    op.create_index("ix_executions_phase", "executions", [*listed, "phase", *newest])
    op.create_index("ix_executions_started_at", "executions", [*listed, "started_at", *newest])
    op.create_index("ix_executions_workflow_name", "executions", [*listed, "workflow_name", *newest])
    op.create_index("ix_executions_launch_plan_name", "executions", [*listed, "launch_plan_name", *newest])
    op.create_index("ix_executions_live", "executions", ["launch_plan_id"], sqlite_where=LIVE, postgresql_where=LIVE)


def _create_node_executions() -> None:
    op.create_table(
        "node_executions",
        *_row("node_executions"),
        *_progress(),
        _reference("node_executions", "execution_id", "executions"),
        _text("node_id"),
        *(sa.Column(name, TEXT) for name in ("parent_node_id", "parent_task")),
        _number("node_execution_created_at"),
        _number("node_execution_updated_at"),
        sa.Column("event_version", sa.Integer, nullable=False),
        *(sa.Column(name, TEXT) for name in ("cache_status", "error_kind", "error_code")),
        sa.Column("input_uri", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("outputs_uri", "dynamic_workflow_uri")),
        _bytes("metadata"),
        _bytes("closure"),
        *(sa.Column(name, sa.LargeBinary) for name in ("inputs", "outputs", "dynamic_workflow_id", "dynamic_workflow")),
        sa.UniqueConstraint("execution_id", "node_id", name="uq_node_executions_execution_id_node_id"),
    )
    below = ["execution_id", "parent_node_id", "created_at", "id"]
    op.create_index("ix_node_executions_parent_node_id", "node_executions", below)


def _create_task_executions() -> None:
    op.create_table(
        "task_executions",
        *_row("task_executions"),
        *_progress(),
        _reference("task_executions", "execution_id", "executions"),
        _text("node_id"),
        *(_text(name) for name in ("project", "domain", "name", "version")),
        sa.Column("retry_attempt", ROW_ID, nullable=False),
        sa.Column("phase_version", ROW_ID, nullable=False),
        _number("task_execution_created_at"),
        _number("task_execution_updated_at"),
        sa.Column("input_uri", sa.Text, nullable=False),
        sa.Column("outputs_uri", sa.Text),
        _bytes("closure"),
        *(sa.Column(name, sa.LargeBinary) for name in ("inputs", "outputs")),
        sa.UniqueConstraint(
            "execution_id",
            "node_id",
            "retry_attempt",
            "name",
            "version",
            "project",
            "domain",
            name="uq_task_executions_key",
        ),
    )


def _create_tags() -> None:
    op.create_table(
        "execution_tags",
        _reference("execution_tags", "execution_id", "executions"),
        _text("key"),
        _text("value"),
        sa.PrimaryKeyConstraint("execution_id", "key", "value", name="pk_execution_tags"),
    )
    op.create_index("ix_execution_tags_key", "execution_tags", ["key", "value", "execution_id"])
    op.create_index("ix_execution_tags_value", "execution_tags", ["value", "execution_id"])


def _create_signals() -> None:
    op.create_table(
        "signals",
        *_row("signals"),
        _reference("signals", "execution_id", "executions"),
        _text("signal_id"),
        _bytes("type"),
        sa.Column("value", sa.LargeBinary),
        sa.UniqueConstraint("execution_id", "signal_id", name="uq_signals_execution_id_signal_id"),
    )


def _create_dispatches() -> None:
    column, primary_key = _id("dispatches")
    op.create_table(
        "dispatches",
        column,
        _number("created_at"),
        _reference("dispatches", "execution_id", "executions"),
        _small("kind"),
        _bytes("payload"),
        primary_key,
    )
    op.create_index("ix_dispatches_execution_id", "dispatches", ["execution_id"])


def _id(table: str) -> tuple[sa.Column[int], sa.PrimaryKeyConstraint]:
    column = sa.Column("id", ROW_ID, autoincrement=True, nullable=False)
    return column, sa.PrimaryKeyConstraint("id", name=f"pk_{table}")


def _row(table: str) -> tuple[Any, ...]:
    return (*_id(table), _number("created_at"), _number("updated_at"))


def _progress() -> tuple[sa.Column[int], ...]:
    return (
        _small("phase"),
        _small("phases_seen"),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("duration", sa.BigInteger),
    )


def _reference(table: str, column: str, other: str, *, nullable: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey(f"{other}.id", name=f"fk_{table}_{column}")
    return sa.Column(column, ROW_ID, key, nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)


def _small(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)
