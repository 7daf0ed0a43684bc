"""INSERT with ON CONFLICT, which each dialect spells with a class of its own; only the one in use is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import Table

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Insert: TypeAlias = postgresql.Insert | sqlite.Insert


def insert_into(table: Table, dialect: str) -> Insert:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, for `sqlite` or `postgresql`."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert

        return insert(table)
    # PostgreSQL's dialect takes two megabytes that embedded services need not have.
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert(table)
