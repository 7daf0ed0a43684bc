"""Elements of arrays, many to a row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "propeller_0002"
down_revision = "propeller_0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "array_chunks",
        sa.Column("execution", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("node_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("array_chunks")
