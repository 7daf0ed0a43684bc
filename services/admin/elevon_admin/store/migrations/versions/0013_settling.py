"""How long the files of executions stay after cached results that point at them were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; executions that are outlines already cannot be recovered either."""
    op.add_column("executions", sa.Column("files_stay_until", sa.BigInteger, nullable=True))
    op.execute("UPDATE executions SET doomed_at = data_deleted_at WHERE data_deleted_at IS NOT NULL")
