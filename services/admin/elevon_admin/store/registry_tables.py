"""Tables of the registry: what can be launched, and the projects it belongs to."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from elevon_admin.store.schema import Compressed, Name, Nanoseconds, RowId, metadata

ACTIVE = "state = 1"
"""The condition on active launch plans; spelled as in the indexes, so that a query with it uses them."""


def _key() -> tuple[Column[str], ...]:
    return (
        Column("project", Name, nullable=False),
        Column("domain", Name, nullable=False),
        Column("name", Name, nullable=False),
        Column("version", Name, nullable=False),
    )


def _times() -> tuple[Column[int], ...]:
    return (Column("created_at", Nanoseconds, nullable=False), Column("updated_at", Nanoseconds, nullable=False))


projects = Table(
    "projects",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("identifier", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("description", Name, nullable=False),
    Column("labels", LargeBinary, nullable=True),
    Column("state", SmallInteger, nullable=False),
    *_times(),
    UniqueConstraint("identifier"),
)
"""`labels` is an admin.Labels message, absent when none were ever given."""

tasks = Table(
    "tasks",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    *_key(),
    *_times(),
    Column("type", Name, nullable=False),
    Column("short_description", Name, nullable=False),
    Column("request_digest", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("closure", Compressed, nullable=False),
    UniqueConstraint("project", "domain", "name", "version"),
    Index("ix_tasks_listed", "project", "domain", "created_at", "id"),
    Index("ix_tasks_listed_by_name", "project", "domain", "name", "created_at", "id"),
)
"""`closure` is a core.CompiledTask; `digest` is its hash, `request_digest` that of the request that made it."""

workflows = Table(
    "workflows",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    *_key(),
    *_times(),
    Column("short_description", Name, nullable=False),
    Column("request_digest", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("typed_interface", Compressed, nullable=False),
    Column("closure", Compressed, nullable=False),
    UniqueConstraint("project", "domain", "name", "version"),
    Index("ix_workflows_listed", "project", "domain", "created_at", "id"),
    Index("ix_workflows_listed_by_name", "project", "domain", "name", "created_at", "id"),
    Index("ix_workflows_name", "name"),
)
"""`closure` is a core.CompiledWorkflowClosure, `typed_interface` that of its primary workflow."""

launch_plans = Table(
    "launch_plans",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    *_key(),
    *_times(),
    Column("state", SmallInteger, nullable=False),
    Column("schedule_type", Name, nullable=False),
    Column("launch_condition_type", Name, nullable=True),
    Column("workflow_id", RowId, ForeignKey("workflows.id"), nullable=False),
    Column("request_digest", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("spec", Compressed, nullable=False),
    Column("closure", Compressed, nullable=False),
    UniqueConstraint("project", "domain", "name", "version"),
    Index("ix_launch_plans_listed", "project", "domain", "created_at", "id"),
    Index("ix_launch_plans_listed_by_name", "project", "domain", "name", "created_at", "id"),
    Index(None, "workflow_id"),
    Index(
        "uq_launch_plans_active",
        "project",
        "domain",
        "name",
        unique=True,
        sqlite_where=text(ACTIVE),
    ),
    Index("ix_launch_plans_active", "project", "domain", "created_at", "id", sqlite_where=text(ACTIVE)),
    Index(
        "ix_launch_plans_scheduled",
        "schedule_type",
        "updated_at",
        sqlite_where=text("state = 1 AND schedule_type <> 'NONE'"),
    ),
)
"""`spec` is an admin.LaunchPlanSpec, `closure` an admin.LaunchPlanClosure with expected inputs and outputs only.

At most one version of a name is active: the database says so itself.
"""

named_entities = Table(
    "named_entities",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("resource_type", SmallInteger, nullable=False),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("description", Name, nullable=False),
    Column("state", SmallInteger, nullable=False),
    *_times(),
    UniqueConstraint("resource_type", "project", "domain", "name"),
)
"""One row for every name that was ever registered, so that listing names groups nothing."""

description_entities = Table(
    "description_entities",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("resource_type", SmallInteger, nullable=False),
    *_key(),
    *_times(),
    Column("short_description", Name, nullable=False),
    Column("body", Compressed, nullable=False),
    UniqueConstraint("resource_type", "project", "domain", "name", "version", name="uq_description_entities_key"),
    Index("ix_description_entities_listed", "resource_type", "project", "domain", "name", "created_at", "id"),
    Index("ix_description_entities_newest", "resource_type", "project", "domain", "created_at", "id"),
)
"""`body` is an admin.DescriptionEntity without its id."""
