"""One statement for many rows, past SQLAlchemy's handling of each single parameter.

SQLAlchemy spends more on the parameters of a row than SQLite on writing it. Columns of integers, text and bytes need
none of that: such a statement is compiled once, and its rows go to the driver as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Delete, Insert, Integer, LargeBinary, String, TypeDecorator, Update
from sqlalchemy.engine import Dialect

from elevon_kit.sqlalchemy_asyncio import AsyncConnection

_PLAIN = (Integer, String, LargeBinary)


class ManyRows:
    """An INSERT, UPDATE or DELETE without results; names of its parameters may have a `prefix` that keys of rows lack.

    Rows are mappings that all have the keys of the first one ever given.
    """

    def __init__(self, statement: Insert | Update | Delete, prefix: str = "") -> None:
        self._statement = statement
        self._prefix = prefix
        self._text = ""
        self._values: Any = None

    async def execute(self, connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run the statement for each row, in order; raises TypeError for columns that need conversions."""
        if self._values is None:
            self._compile(connection.dialect, rows[0])
        await connection.exec_driver_sql(self._text, list(map(self._values, rows)))

    def _compile(self, dialect: Dialect, row: Mapping[str, Any]) -> None:
        keys = [f"{self._prefix}{key}" for key in row] if isinstance(self._statement, Update) else list(row)
        compiled = self._statement.compile(dialect=dialect, column_keys=keys)
        names = list(compiled.positiontup or ())
        for name in names:
            kind = compiled.binds[name].type.dialect_impl(dialect)
            if isinstance(kind, TypeDecorator) or not isinstance(kind, _PLAIN):
                raise TypeError(f"values of {name} have to be converted: {kind!r}")
        self._text = str(compiled)
        wanted = [name.removeprefix(self._prefix) for name in names]
        self._values = itemgetter(*wanted) if len(wanted) > 1 else lambda row: (row[wanted[0]],)
