"""Case-sensitive LIKE that means the same in SQLite and PostgreSQL."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Dialect, Text, TypeDecorator, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_GLOB_SPECIAL = "*?["


class _Pattern(TypeDecorator[str]):
    """A LIKE pattern; SQLite, whose LIKE ignores case, gets it as a GLOB pattern."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or dialect.name != "sqlite":
            return value
        return as_glob(value)


class _Matches(FunctionElement[bool]):
    """`column` matches `pattern`."""

    name = "matches"
    inherit_cache = True
    type = Boolean()


def matches(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Whether the column is like the pattern; `%`, `_` and `\\` act as in PostgreSQL's LIKE."""
    return _Matches(column, literal(normal(pattern), _Pattern()))


def normal(pattern: str) -> str:
    """The pattern with a lone backslash at its end doubled, which PostgreSQL would refuse."""
    trailing = len(pattern) - len(pattern.rstrip("\\"))
    return pattern + "\\" if trailing % 2 else pattern


def like(text: str, pattern: str) -> bool:
    """Whether a text in memory is like the pattern, as `matches` says of a column.

    A percent sign that took too little takes one character more; those before it never change, since whatever they
    leave it can take. So the steps are at most the square of the text's length, and the pattern's length.
    """
    pieces = re.findall(r"\\.|%+|.", normal(pattern), re.DOTALL)
    place, piece = 0, 0
    percent, taken = -1, 0
    while place < len(text):
        if piece < len(pieces) and pieces[piece][0] == "%":
            percent, taken = piece, place
            piece += 1
        elif piece < len(pieces) and pieces[piece] in ("_", text[place], "\\" + text[place]):
            place, piece = place + 1, piece + 1
        elif percent >= 0:
            taken += 1
            place, piece = taken, percent + 1
        else:
            return False
    return all(rest[0] == "%" for rest in pieces[piece:])


def as_glob(pattern: str) -> str:
    """The GLOB pattern that matches what the LIKE pattern matches."""
    pieces: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "%":
            pieces.append("*")
        elif character == "_":
            pieces.append("?")
        else:
            plain = next(characters, "\\") if character == "\\" else character
            pieces.append(f"[{plain}]" if plain in _GLOB_SPECIAL else plain)
    return "".join(pieces)


@compiles(_Matches)
def _like(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    column, pattern = element.clauses
    return f"({compiler.process(column, **options)} LIKE {compiler.process(pattern, **options)})"


@compiles(_Matches, "sqlite")
def _glob(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    column, pattern = element.clauses
    return f"({compiler.process(column, **options)} GLOB {compiler.process(pattern, **options)})"
