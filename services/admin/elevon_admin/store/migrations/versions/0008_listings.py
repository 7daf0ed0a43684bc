"""Indexes for pages of executions by user, error and tag, of nodes below attempts, and of active launch plans."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the indexes; tags learn where and when their executions were created."""
    newest = ["created_at", "id"]
    op.create_index("ix_executions_user", "executions", ["project", "domain", "state", "user", *newest])
    columns = ["project", "domain", "state", "error_kind", *newest]
    _partial_index("ix_executions_error_kind", "executions", columns, "error_kind IS NOT NULL")
    columns = ["execution_id", "parent_task", *newest]
    _partial_index("ix_node_executions_parent_task", "node_executions", columns, "parent_task IS NOT NULL")
    _partial_index("ix_launch_plans_active", "launch_plans", ["project", "domain", *newest], "state = 1")
    op.create_index("ix_workflows_name", "workflows", ["name"])
    _place_tags()


def _place_tags() -> None:
    for name, kind in (("project", TEXT), ("domain", TEXT), ("created_at", sa.BigInteger())):
        op.add_column("execution_tags", sa.Column(name, kind, nullable=True))
    op.execute(
        "UPDATE execution_tags SET project = e.project, domain = e.domain, created_at = e.created_at "
        "FROM executions e WHERE e.id = execution_tags.execution_id"
    )
    for name in ("key", "value"):
        op.drop_index(f"ix_execution_tags_{name}", "execution_tags")
    with op.batch_alter_table("execution_tags") as table:
        for name in ("project", "domain", "created_at"):
            table.alter_column(name, nullable=False)
    newest = ["created_at", "execution_id"]
    op.create_index("ix_execution_tags_key", "execution_tags", ["project", "domain", "key", *newest])
    op.create_index("ix_execution_tags_value", "execution_tags", ["project", "domain", "value", *newest])
    op.create_index("ix_execution_tags_pair", "execution_tags", ["project", "domain", "key", "value", *newest])


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
