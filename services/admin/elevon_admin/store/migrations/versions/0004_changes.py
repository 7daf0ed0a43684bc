"""An index for what has changed since."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_executions_updated_at", "executions", ["project", "domain", "updated_at", "id"])
