"""The first schema: workflows, executions, nodes, event outbox, requests, leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "propeller_0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    _create_executions()
    _create_nodes()
    _create_outbox()
    _create_leases()


def _big_key(name: str, *, autoincrement: bool) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column(name, kind, primary_key=True, autoincrement=autoincrement)


def _create_executions() -> None:
    op.create_table(
        "workflows",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("closure", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "executions",
        _big_key("key", autoincrement=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("domain", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("inputs", sa.LargeBinary, nullable=False),
        sa.Column("options", sa.LargeBinary, nullable=False),
        sa.Column("phase", sa.SmallInteger, nullable=False),
        sa.Column("error", sa.LargeBinary),
        sa.Column("abort_cause", sa.Text, nullable=False),
        sa.Column("signals", sa.LargeBinary),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
    )
    op.create_index("executions_by_name", "executions", ["project", "domain", "name"], unique=True)
    op.create_index("executions_by_end", "executions", ["ended_at", "shard"])


def _create_nodes() -> None:
    numbers = ("attempt", "system_failures", "task_version")
    small = ("phase", "announced", "task_phase", "outcome", "flags", "cache_status")
    times = ("since", "queued_at", "attempt_at", "wake_at")
    op.create_table(
        "node_executions",
        sa.Column("execution", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("node_id", sa.Text, primary_key=True),
        sa.Column("parent_id", sa.Text, nullable=False),
        sa.Column("spec_id", sa.Text, nullable=False),
        *(sa.Column(name, sa.SmallInteger, nullable=False) for name in small),
        *(sa.Column(name, sa.Integer, nullable=False) for name in numbers),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in times),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("reason", "outputs_uri", "deck_uri")),
        *(sa.Column(name, sa.LargeBinary) for name in ("error", "outputs", "catalog")),
        sa.Column("detail", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )


def _create_outbox() -> None:
    op.create_table(
        "event_outbox",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_table(
        "requests",
        _big_key("id", autoincrement=True),
        sa.Column("key", sa.BigInteger, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_index("requests_by_shard", "requests", ["shard", "id"])


def _create_leases() -> None:
    op.create_table(
        "shard_leases",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "replicas",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop every table."""
    for table in ("replicas", "shard_leases", "requests", "event_outbox", "node_executions", "executions", "workflows"):
        op.drop_table(table)
