"""Executions that wait for a place under a concurrency policy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "waiting_executions",
        sa.Column("execution_id", ROW_ID, autoincrement=False, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("project", "domain", "launch_plan")),
        sa.Column("maximum", sa.Integer, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("execution_id", name="pk_waiting_executions"),
        sa.ForeignKeyConstraint(["execution_id"], ["executions.id"], name="fk_waiting_executions_execution_id"),
    )
    op.create_index(
        "ix_waiting_executions_launch_plan",
        "waiting_executions",
        ["project", "domain", "launch_plan", "execution_id"],
    )
