"""Datasets of a project, and of a domain of it, in the order of creation."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes; the one of project and domain goes on in the order of creation."""
    op.drop_index("ix_datasets_project_domain", "datasets")
    op.create_index("ix_datasets_project_domain_created_at_id", "datasets", ["project", "domain", "created_at", "id"])
    op.create_index("ix_datasets_project_created_at_id", "datasets", ["project", "created_at", "id"])
