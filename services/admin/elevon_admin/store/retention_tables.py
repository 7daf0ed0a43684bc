"""Tables of retention: the rules, and what was deleted by them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text, UniqueConstraint

from elevon_admin.store.schema import Name, Nanoseconds, RowId, metadata

retention_policies = Table(
    "retention_policies",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("executions_max_age", Nanoseconds, nullable=False),
    Column("executions_max_count", BigInteger, nullable=False),
    Column("data_max_age", Nanoseconds, nullable=False),
    Column("cache_max_age", Nanoseconds, nullable=False),
    UniqueConstraint("project", "domain", name="uq_retention_policies_scope"),
)
"""A limit of 0 is none; an empty domain stands for every domain without a rule of its own."""

retention_claims = Table(
    "retention_claims",
    metadata,
    Column("project", Name, primary_key=True),
    Column("domain", Name, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", Nanoseconds, nullable=False),
    Column("next_at", Nanoseconds, nullable=False),
)
"""Who applies the rule of a project and domain now, until when at the longest, and when it is due again."""

retention_runs = Table(
    "retention_runs",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("execution", Name, nullable=False),
    Column("started_at", Nanoseconds, nullable=False),
    Column("ended_at", Nanoseconds, nullable=True),
    Column("executions", BigInteger, nullable=False),
    Column("outlines", BigInteger, nullable=False),
    Column("nodes", BigInteger, nullable=False),
    Column("cache_entries", BigInteger, nullable=False),
    Column("kept", BigInteger, nullable=False, server_default="0"),
    Column("error", Text, nullable=False),
    Column("principal", Name, nullable=False),
    Index("ix_retention_runs_project", "project", "id"),
)
