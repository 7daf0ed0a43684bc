"""Retention: rules, claims, runs, and which executions still have their data."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
WITH_DATA = sa.text("data_deleted_at IS NULL AND phase IN (4, 6, 7, 8)")


def upgrade() -> None:
    """Make the tables, a column and its index."""
    op.create_table(
        "retention_policies",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("project", "domain")),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("executions_max_age", "executions_max_count", "data_max_age", "cache_max_age")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_retention_policies"),
        sa.UniqueConstraint("project", "domain", name="uq_retention_policies_scope"),
    )
    op.create_table(
        "retention_claims",
        *(sa.Column(name, TEXT, nullable=False) for name in ("project", "domain")),
        sa.Column("owner", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("until", "next_at")),
        sa.PrimaryKeyConstraint("project", "domain", name="pk_retention_claims"),
    )
    op.create_table(
        "retention_runs",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("project", "domain", "execution")),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("executions", "outlines", "nodes", "cache_entries")
        ),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("principal", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retention_runs"),
    )
    op.create_index("ix_retention_runs_project", "retention_runs", ["project", "id"])
    op.add_column("executions", sa.Column("data_deleted_at", sa.BigInteger, nullable=True))
    op.create_index(
        "ix_executions_with_data",
        "executions",
        ["project", "domain", "created_at", "id"],
        sqlite_where=WITH_DATA,
        postgresql_where=WITH_DATA,
    )
