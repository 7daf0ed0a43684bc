"""The one MetaData of the admin database, and the column types that SQLite and PostgreSQL agree on."""

from __future__ import annotations

import zlib

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, MetaData, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every table of the service hangs here; migrations are checked against it.

What is PostgreSQL's alone, such as conditions of its indexes, stands in the migrations only: naming it here would load
that dialect into services that run on SQLite.
"""

RowId: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
"""Surrogate keys: 64 bits everywhere; SQLite increments only what is spelled INTEGER."""

Name: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared byte by byte, so that filters and orders mean the same in both databases."""

Nanoseconds: TypeEngine[int] = BigInteger()
"""A moment as nanoseconds since the epoch, or a duration in nanoseconds; exact as protobuf's, until the year 2262."""


class Compressed(TypeDecorator[bytes]):
    """Bytes kept deflated; what deflates badly or is short stays as it is, one leading byte tells which."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Compress on the way in."""
        if value is None:
            return None
        if len(value) >= 256:
            deflated = zlib.compress(value, 1)
            if len(deflated) < len(value):
                return b"\1" + deflated
        return b"\0" + value

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Restore on the way out."""
        if value is None:
            return None
        return zlib.decompress(value[1:]) if value[:1] == b"\1" else bytes(value[1:])
