"""The order that a list call asks for."""

from __future__ import annotations

from dataclasses import dataclass

from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin


@dataclass(frozen=True, slots=True)
class Sort:
    """A column of the listed entity, and the direction."""

    key: str
    ascending: bool = False


def parse_sort(sort_by: admin.Sort | None) -> Sort | None:
    """Read `sort_by`; None for None, InvalidArgument for a present message with an empty key."""
    if sort_by is None:
        return None
    if not sort_by.key:
        raise InvalidArgument("invalid sort key '': the key is empty")
    return Sort(sort_by.key, sort_by.direction == admin.Sort.ASCENDING)
