"""The tables. Times are nanoseconds since 1970; digests are those of `domain.names`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

RowNumber = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column of type INTEGER."""

datasets = Table(
    "datasets",
    metadata,
    Column("id", RowNumber, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("project", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("uuid", Text, nullable=False, unique=True),
    Column("metadata", LargeBinary, nullable=False),
    Column("partition_keys", Text),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "project", "domain", "created_at", "id"),
    Index(None, "project", "created_at", "id"),
    Index(None, "name"),
    Index(None, "created_at", "id"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", RowNumber, primary_key=True),
    Column("dataset_id", ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
    Column("artifact_id", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("partitions", Text),
    Column("external_count", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    UniqueConstraint("dataset_id", "artifact_id"),
    Index(None, "artifact_id", "created_at"),
    Index(None, "dataset_id", "created_at", "id"),
    Index(None, "written_at"),
)

external_values = Table(
    "external_values",
    metadata,
    Column("artifact_row", ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
)

artifact_partitions = Table(
    "artifact_partitions",
    metadata,
    Column("artifact_row", ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index(None, "key", "value"),
)

artifact_places = Table(
    "artifact_places",
    metadata,
    Column("artifact_row", ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Text, primary_key=True),
    Index(None, "place"),
)
"""Whose data the values of an artifact point at, and who has computed them; see `elevon_core.places`."""

tags = Table(
    "tags",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("dataset_id", ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("tag_name", Text, nullable=False),
    Column("artifact_row", ForeignKey("artifacts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("subject", LargeBinary, primary_key=True),
    Column("label", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("heartbeat", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

cache_entries = Table(
    "cache_entries",
    metadata,
    Column("key", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("location", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("written_at", BigInteger, nullable=False),
)

discarded_values = Table(
    "discarded_values",
    metadata,
    Column("location", Text, primary_key=True),
    Column("due_at", BigInteger, nullable=False, index=True),
    Column("doomed", Boolean, nullable=False),
)
