"""What filters mean, in plain Python: read by hand, tried on rows in memory."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Row = Mapping[str, Any]
"""A row of the listed entity by column; related entities by name, each a list of rows."""

Test = Callable[[Row], bool]

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
TEXT_ONLY = ("contains", "not_like")
MANY = ("value_in", "value_not_in")
FUNCTIONS = (*COMPARISONS, *TEXT_ONLY, *MANY)
UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6}


class Malformed(Exception):
    """The text is no filter for these columns."""


def selected(text: str, kinds: Mapping[str, str], rows: Sequence[Row]) -> list[Row]:
    """The rows that pass; `kinds` names the columns, with `entity.` before related ones, and what they hold.

    Kinds are text, name (text, whatever the column keeps), integer, time and duration. Raises Malformed.
    """
    own: list[Test] = []
    related: dict[str, list[Test]] = {}
    for expression in split(text):
        function, entity, field, values = read(expression)
        kind = kinds.get(f"{entity}.{field}" if entity else field)
        if kind is None:
            raise Malformed(f"no column {entity}.{field}")
        test = tester(function, kind, field, values)
        (related.setdefault(entity, []) if entity else own).append(test)
    return [
        row
        for row in rows
        if all(test(row) for test in own)
        and all(any(all(test(other) for test in tests) for other in row[entity]) for entity, tests in related.items())
    ]


def split(text: str) -> list[str]:
    """The expressions: a plus sign separates where one has ended and another begins."""
    text = text.strip()
    found, start = [], 0
    for place, character in enumerate(text):
        if character != "+" or not text[start:place].rstrip().endswith(")"):
            continue
        word = text[place + 1 :].lstrip()
        head, bracket, _ = word.partition("(")
        if bracket and head and all(letter.isascii() and (letter.isalpha() or letter == "_") for letter in head):
            found.append(text[start:place].strip())
            start = place + 1
    return [*found, text[start:].strip()] if text else []


def read(expression: str) -> tuple[str, str, str, list[str]]:
    """Function, entity, column and values."""
    head, bracket, rest = expression.partition("(")
    field, comma, values = rest.partition(",")
    if not bracket or not comma or not values.endswith(")") or head not in FUNCTIONS:
        raise Malformed(expression)
    entity, _, column = field.strip().rpartition(".")
    body = values[:-1].removeprefix(" ")
    parts = body.split(";")
    if (body.endswith(")") and body.count(")") > body.count("(")) or begins_another(body):
        raise Malformed(expression)
    if not column or "" in parts or (len(parts) > 1 and head not in MANY):
        raise Malformed(expression)
    return head, entity, column, parts


def begins_another(body: str) -> bool:
    """Whether something reads as the end of an expression and the beginning of the next."""
    rests = (body[place + 1 :].lstrip(" \t\n+,;&|") for place, character in enumerate(body) if character == ")")
    return any(rest.startswith(tuple(f"{function}(" for function in FUNCTIONS)) for rest in rests)


def tester(function: str, kind: str, field: str, values: Sequence[str]) -> Test:
    """Whether a row passes; nothing is true of a column without a value."""
    if function in TEXT_ONLY:
        if kind not in ("text", "name"):
            raise Malformed(f"{field} is no text")
        pattern = values[0] + "\\" if (len(values[0]) - len(values[0].rstrip("\\"))) % 2 else values[0]
        if function == "contains":
            return lambda row: row[field] is not None and like(row[field], f"%{pattern}%")
        return lambda row: row[field] is not None and not like(row[field], pattern)
    wanted = [value_of(kind, value) for value in values]
    if function in MANY:
        return lambda row: row[field] is not None and (key(row[field]) in wanted) == (function == "value_in")
    compare = COMPARISONS[function]
    return lambda row: row[field] is not None and compare(key(row[field]), wanted[0])


def key(value: Any) -> Any:
    """Text compares byte by byte."""
    return value.encode() if isinstance(value, str) else value


def value_of(kind: str, text: str) -> Any:
    """The value that a text stands for."""
    if kind in ("text", "name"):
        return text.encode()
    parsers: Mapping[str, Callable[[str], int]] = {"integer": int, "time": moment, "duration": duration}
    try:
        return parsers[kind](text)
    except ValueError as error:
        raise Malformed(text) from error


def moment(text: str) -> int:
    """Nanoseconds since the epoch."""
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def duration(text: str) -> int:
    """Nanoseconds: seconds as a number, or numbers with units."""
    if text.isdigit():
        return int(text) * 10**9
    total, rest = 0, text
    while rest:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        rest = rest[len(digits) :]
        unit = rest[: len(rest) - len(rest.lstrip("hms"))]
        rest = rest[len(unit) :]
        if not digits or unit not in UNITS:
            raise ValueError(text)
        total += int(digits) * UNITS[unit]
    return total


def like(text: str, pattern: str) -> bool:
    """SQL's LIKE, by trying everything."""
    if not pattern:
        return not text
    head, tail = pattern[0], pattern[1:]
    if head == "%":
        return any(like(text[start:], tail) for start in range(len(text) + 1))
    if not text:
        return False
    if head == "\\":
        return text[0] == tail[0] and like(text[1:], tail[1:])
    return head in ("_", text[0]) and like(text[1:], tail)
