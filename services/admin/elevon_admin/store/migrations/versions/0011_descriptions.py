"""An index for pages of the descriptions of all names."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    columns = ["resource_type", "project", "domain", "created_at", "id"]
    op.create_index("ix_description_entities_newest", "description_entities", columns)
