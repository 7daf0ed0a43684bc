"""What differs between two messages of one type, in lines that people read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

MOST_LINES = 20
"""How many places are listed; the rest is counted."""

LONGEST_VALUE = 120
"""Characters shown of one value."""

LONGEST_PATH = 200
"""Characters shown of the path to a place, counted from its end."""

_ABSENT = object()
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.\-/]{1,80}")


def difference(old: Message, new: Message) -> str:
    """One line for each place that differs, old value after `-`, new value after `+`; bounded to a few KiB."""
    lines: list[str] = []
    more = 0
    for path, before, after in _places("", _plain(old), _plain(new)):
        if len(lines) < MOST_LINES:
            place = path if len(path) <= LONGEST_PATH else "…" + path[-LONGEST_PATH:]
            lines.append(f"{place}: - {_shown(before)} + {_shown(after)}")
        else:
            more += 1
    if more:
        lines.append(f"and {more} more")
    return "\n".join(lines)


def _plain(message: Message) -> Any:
    return MessageToDict(message)


def _places(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            place = f"{path}.{_part(key)}" if path else _part(key)
            yield from _places(place, old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for number in range(max(len(old), len(new))):
            before = old[number] if number < len(old) else _ABSENT
            yield from _places(f"{path}[{number}]", before, new[number] if number < len(new) else _ABSENT)
    else:
        yield path or "(all)", old, new


def _part(key: str) -> str:
    """A key as part of a path; quoted where it could be mistaken for something else."""
    return key if _PLAIN_KEY.fullmatch(key) else _shown(key)


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"
