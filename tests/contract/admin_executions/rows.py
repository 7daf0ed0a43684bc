"""Rows for tests that need some to be there, whatever is in them."""

from __future__ import annotations

from sqlalchemy import LargeBinary, Table


def filled(table: Table) -> dict[str, object]:
    """Something for every column that must not be empty."""
    columns = [column for column in table.columns if not column.nullable and not column.primary_key]
    empty = {True: b"", False: ""}
    return {
        column.name: 0 if column.type.python_type is int else empty[isinstance(column.type, LargeBinary)]
        for column in columns
    }
