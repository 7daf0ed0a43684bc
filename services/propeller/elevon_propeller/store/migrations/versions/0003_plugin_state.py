"""What plugins remember of attempts that run elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "propeller_0003"
down_revision = "propeller_0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "plugin_state",
        sa.Column("plugin", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("domain", sa.String(64), nullable=False),
        sa.Column("execution", sa.String(255), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("plugin_state")
