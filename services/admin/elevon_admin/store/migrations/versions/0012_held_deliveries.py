"""Messages that are tried in turn, and hold back what comes after them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

HOLDING = sa.text("holds")


def upgrade() -> None:
    """Add the column and the indexes."""
    op.add_column("deliveries", sa.Column("holds", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_deliveries_try_at", "deliveries", ["receiver", "state", "try_at", "id"])
    op.create_index(
        "ix_deliveries_holding",
        "deliveries",
        ["receiver", "subject", "id"],
        sqlite_where=HOLDING,
        postgresql_where=HOLDING,
    )
