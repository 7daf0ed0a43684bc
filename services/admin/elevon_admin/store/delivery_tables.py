"""Tables of messages that receivers outside are owed."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, SmallInteger, Table, Text, false, text

from elevon_admin.store.schema import Name, Nanoseconds, RowId, metadata

HOLDING = "holds"
"""A condition spelled as in the index, so that queries with it use this."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("created_at", Nanoseconds, nullable=False),
    Column("receiver", Name, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("subject", Name, nullable=False),
    Column("message_id", Name, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("try_at", Nanoseconds, nullable=False),
    Column("error", Text, nullable=False),
    Column("holds", Boolean, nullable=False, server_default=false()),
    Index("ix_deliveries_receiver", "receiver", "state", "id"),
    Index("ix_deliveries_try_at", "receiver", "state", "try_at", "id"),
    Index("ix_deliveries_holding", "receiver", "subject", "id", sqlite_where=text(HOLDING)),
)
"""`kind` is a DeliveryKind, `state` a DeliveryState; a row goes when the receiver has acknowledged it.

While a row `holds`, what was made later about its subject waits for it.
"""

delivery_receivers = Table(
    "delivery_receivers",
    metadata,
    Column("name", Name, primary_key=True),
    Column("owner", Name, nullable=False),
    Column("leased_until", Nanoseconds, nullable=False),
    Column("failing_since", Nanoseconds, nullable=True),
    Column("error", Text, nullable=False),
)
"""`owner` is the process that sends to the receiver until `leased_until`; `failing_since` is NULL while it works."""
