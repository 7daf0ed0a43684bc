"""Fill admin's database with executions, faster than by launching them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

SECOND = 1_000_000_000
"""Nanoseconds."""


async def copy_executions(database: Path, count: int) -> None:
    """Copy the one execution of a database until there are `count`, a second apart, each with a name of its own."""
    await asyncio.to_thread(_copy, database, count)


def _copy(database: Path, count: int) -> None:
    with sqlite3.connect(database) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(executions)") if row[1] != "id"]
        moved = {
            "name": "'copy' || n.i",
            "created_at": f"e.created_at - n.i * {SECOND}",
            "execution_created_at": f"e.execution_created_at - n.i * {SECOND}",
        }
        quoted = ", ".join(f'"{column}"' for column in columns)
        values = ", ".join(moved.get(column, f'e."{column}"') for column in columns)
        connection.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}) "
            f"INSERT INTO executions ({quoted}) "
            f"SELECT {values} FROM n, (SELECT * FROM executions ORDER BY id LIMIT 1) e"
        )
    connection.close()
