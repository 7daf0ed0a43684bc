"""Many keys as one bound parameter, so that a SELECT for a thousand rows has the same text as one for a single row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import JSON, BigInteger, Column, ColumnElement, FromClause, Text, bindparam, cast, func, literal_column

KEYS = "keys"
"""The name of the parameter; its value is made by `key_set`."""


def key_set(keys: Iterable[Sequence[str | int]]) -> str:
    """The keys as the parameter takes them."""
    return json.dumps([list(key) for key in keys])


def key_table(dialect: str) -> FromClause:
    """A row for each key of the parameter."""
    if dialect == "sqlite":
        return func.json_each(bindparam(KEYS, type_=Text)).table_valued("value", name="wanted")
    from sqlalchemy.dialects.postgresql import JSONB

    elements = func.jsonb_array_elements(cast(bindparam(KEYS, type_=Text), JSONB))
    return elements.table_valued(Column("value", JSON)).render_derived(name="wanted")


def text_part(position: int) -> ColumnElement[str]:
    """One part of the key, as text."""
    return literal_column(f"(wanted.value ->> {position})", Text)


def number_part(position: int) -> ColumnElement[int]:
    """One part of the key, as a number."""
    return cast(literal_column(f"(wanted.value ->> {position})", Text), BigInteger)
