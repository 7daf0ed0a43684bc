"""Projects, tasks, workflows, launch plans, their names and descriptions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
KEY = ("project", "domain", "name", "version")
SCHEDULED = sa.text("state = 1 AND schedule_type <> 'NONE'")
ACTIVE = sa.text("state = 1")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "projects",
        *_row("projects"),
        _text("identifier"),
        _text("name"),
        _text("description"),
        sa.Column("labels", sa.LargeBinary),
        _small("state"),
        *_times(),
        sa.UniqueConstraint("identifier", name="uq_projects_identifier"),
    )
    _create_versioned("tasks", _text("type"), _text("short_description"), *_digests(), _bytes("closure"))
    _create_versioned(
        "workflows", _text("short_description"), *_digests(), _bytes("typed_interface"), _bytes("closure")
    )
    _create_launch_plans()
    _create_names()
    _create_descriptions()


def _create_launch_plans() -> None:
    _create_versioned(
        "launch_plans",
        _small("state"),
        _text("schedule_type"),
        sa.Column("launch_condition_type", TEXT),
        sa.Column(
            "workflow_id",
            ROW_ID,
            sa.ForeignKey("workflows.id", name="fk_launch_plans_workflow_id"),
            nullable=False,
        ),
        *_digests(),
        _bytes("spec"),
        _bytes("closure"),
    )
    op.create_index("ix_launch_plans_workflow_id", "launch_plans", ["workflow_id"])
    op.create_index(
        "uq_launch_plans_active",
        "launch_plans",
        ["project", "domain", "name"],
        unique=True,
        sqlite_where=ACTIVE,
        postgresql_where=ACTIVE,
    )
    op.create_index(
        "ix_launch_plans_scheduled",
        "launch_plans",
        ["schedule_type", "updated_at"],
        sqlite_where=SCHEDULED,
        postgresql_where=SCHEDULED,
    )


def _create_names() -> None:
    op.create_table(
        "named_entities",
        *_row("named_entities"),
        _small("resource_type"),
        _text("project"),
        _text("domain"),
        _text("name"),
        _text("description"),
        _small("state"),
        *_times(),
        sa.UniqueConstraint(
            "resource_type", "project", "domain", "name", name="uq_named_entities_resource_type_project_domain_name"
        ),
    )


def _create_descriptions() -> None:
    op.create_table(
        "description_entities",
        *_row("description_entities"),
        _small("resource_type"),
        *(_text(part) for part in KEY),
        *_times(),
        _text("short_description"),
        _bytes("body"),
        sa.UniqueConstraint("resource_type", *KEY, name="uq_description_entities_key"),
    )
    op.create_index(
        "ix_description_entities_listed",
        "description_entities",
        ["resource_type", "project", "domain", "name", "created_at", "id"],
    )


def _create_versioned(table: str, *columns: sa.Column[Any]) -> None:
    unique = sa.UniqueConstraint(*KEY, name=f"uq_{table}_project_domain_name_version")
    op.create_table(table, *_row(table), *(_text(part) for part in KEY), *_times(), *columns, unique)
    op.create_index(f"ix_{table}_listed", table, ["project", "domain", "created_at", "id"])
    op.create_index(f"ix_{table}_listed_by_name", table, ["project", "domain", "name", "created_at", "id"])


def _row(table: str) -> tuple[sa.Column[int], sa.PrimaryKeyConstraint]:
    column = sa.Column("id", ROW_ID, autoincrement=True, nullable=False)
    return column, sa.PrimaryKeyConstraint("id", name=f"pk_{table}")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)


def _small(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _times() -> tuple[sa.Column[int], sa.Column[int]]:
    return (
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )


def _digests() -> tuple[sa.Column[bytes], sa.Column[bytes]]:
    return _bytes("request_digest"), _bytes("digest")
