"""Matchable attributes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    scope = ("project", "domain", "workflow", "launch_plan")
    op.create_table(
        "matchable_attributes",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in scope),
        sa.Column("resource_type", sa.SmallInteger, nullable=False),
        sa.Column("attributes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_matchable_attributes"),
        sa.UniqueConstraint(*scope, "resource_type", name="uq_matchable_attributes_scope"),
    )
