"""Datasets, artifacts, tags, leases and cache entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create everything."""
    _create_datasets()
    _create_artifacts()
    _create_parts_of_artifacts()
    _create_tags()
    _create_leases_and_cache()


def downgrade() -> None:
    """Drop everything."""
    tables = ("discarded_values", "cache_entries", "leases", "tags", "artifact_partitions", "external_values")
    for table in (*tables, "artifacts", "datasets"):
        op.drop_table(table)


def _create_datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", ROW_NUMBER, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("metadata", sa.LargeBinary, nullable=False),
        sa.Column("partition_keys", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
        sa.UniqueConstraint("digest", name="uq_datasets_digest"),
        sa.UniqueConstraint("uuid", name="uq_datasets_uuid"),
    )
    op.create_index("ix_datasets_project_domain", "datasets", ["project", "domain"])
    op.create_index("ix_datasets_name", "datasets", ["name"])
    op.create_index("ix_datasets_created_at_id", "datasets", ["created_at", "id"])


def _create_artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", ROW_NUMBER, nullable=False),
        sa.Column("dataset_id", ROW_NUMBER, nullable=False),
        sa.Column("artifact_id", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("partitions", sa.Text),
        sa.Column("external_count", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("written_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.UniqueConstraint("dataset_id", "artifact_id", name="uq_artifacts_dataset_id_artifact_id"),
        _belongs_to("artifacts", "dataset_id", "datasets"),
    )
    op.create_index("ix_artifacts_artifact_id_created_at", "artifacts", ["artifact_id", "created_at"])
    op.create_index("ix_artifacts_dataset_id_created_at_id", "artifacts", ["dataset_id", "created_at", "id"])
    op.create_index("ix_artifacts_written_at", "artifacts", ["written_at"])


def _create_parts_of_artifacts() -> None:
    op.create_table(
        "external_values",
        sa.Column("artifact_row", ROW_NUMBER, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("artifact_row", "position", name="pk_external_values"),
        _belongs_to("external_values", "artifact_row", "artifacts"),
    )
    op.create_table(
        "artifact_partitions",
        sa.Column("artifact_row", ROW_NUMBER, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("artifact_row", "key", name="pk_artifact_partitions"),
        _belongs_to("artifact_partitions", "artifact_row", "artifacts"),
    )
    op.create_index("ix_artifact_partitions_key_value", "artifact_partitions", ["key", "value"])


def _create_tags() -> None:
    op.create_table(
        "tags",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("dataset_id", ROW_NUMBER, nullable=False),
        sa.Column("tag_name", sa.Text, nullable=False),
        sa.Column("artifact_row", ROW_NUMBER, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_tags"),
        _belongs_to("tags", "dataset_id", "datasets"),
        _belongs_to("tags", "artifact_row", "artifacts"),
    )
    op.create_index("ix_tags_dataset_id", "tags", ["dataset_id"])
    op.create_index("ix_tags_artifact_row", "tags", ["artifact_row"])


def _create_leases_and_cache() -> None:
    op.create_table(
        "leases",
        sa.Column("subject", sa.LargeBinary, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("heartbeat", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_leases"),
    )
    op.create_index("ix_leases_expires_at", "leases", ["expires_at"])
    op.create_table(
        "cache_entries",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("written_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_cache_entries"),
    )
    op.create_table(
        "discarded_values",
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("doomed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("location", name="pk_discarded_values"),
    )
    op.create_index("ix_discarded_values_due_at", "discarded_values", ["due_at"])


def _belongs_to(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{owner}.id"], name=f"fk_{table}_{column}", ondelete="CASCADE")
