"""The tables of the engine. Times are microseconds since 1970; bytes are serialized messages."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, String, Table, Text

metadata = MetaData()

workflows = Table(
    "workflows",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("closure", LargeBinary, nullable=False),
)

executions = Table(
    "executions",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("shard", SmallInteger, nullable=False),
    Column("project", String(64), nullable=False),
    Column("domain", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    Column("options", LargeBinary, nullable=False),
    Column("phase", SmallInteger, nullable=False),
    Column("error", LargeBinary),
    Column("abort_cause", Text, nullable=False),
    Column("signals", LargeBinary),
    Column("accepted_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Index("executions_by_name", "project", "domain", "name", unique=True),
    Index("executions_by_end", "ended_at", "shard"),
)

nodes = Table(
    "node_executions",
    metadata,
    Column("execution", BigInteger, primary_key=True, autoincrement=False),
    Column("node_id", Text, primary_key=True),
    Column("parent_id", Text, nullable=False),
    Column("spec_id", Text, nullable=False),
    Column("phase", SmallInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("system_failures", Integer, nullable=False),
    Column("announced", SmallInteger, nullable=False),
    Column("task_phase", SmallInteger, nullable=False),
    Column("task_version", Integer, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("attempt_at", BigInteger, nullable=False),
    Column("wake_at", BigInteger, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("flags", SmallInteger, nullable=False),
    Column("cache_status", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("error", LargeBinary),
    Column("outputs", LargeBinary),
    Column("outputs_uri", Text, nullable=False),
    Column("deck_uri", Text, nullable=False),
    Column("catalog", LargeBinary),
    Column("detail", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

chunks = Table(
    "array_chunks",
    metadata,
    Column("execution", BigInteger, primary_key=True, autoincrement=False),
    Column("node_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

events = Table(
    "event_outbox",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("payload", LargeBinary, nullable=False),
    Column("count", Integer, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("key", BigInteger, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("requests_by_shard", "shard", "id"),
)

leases = Table(
    "shard_leases",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

replicas = Table(
    "replicas",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
)

plugin_state = Table(
    "plugin_state",
    metadata,
    Column("plugin", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
