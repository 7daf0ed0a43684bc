"""The table of matchable attributes."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, SmallInteger, Table, UniqueConstraint

from elevon_admin.store.schema import Name, Nanoseconds, RowId, metadata

matchable_attributes = Table(
    "matchable_attributes",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("created_at", Nanoseconds, nullable=False),
    Column("updated_at", Nanoseconds, nullable=False),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("workflow", Name, nullable=False),
    Column("launch_plan", Name, nullable=False),
    Column("resource_type", SmallInteger, nullable=False),
    Column("attributes", LargeBinary, nullable=False),
    UniqueConstraint(
        "project", "domain", "workflow", "launch_plan", "resource_type", name="uq_matchable_attributes_scope"
    ),
)
"""`attributes` is an admin.MatchingAttributes; empty parts of the scope mean any."""
