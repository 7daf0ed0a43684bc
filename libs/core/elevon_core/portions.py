"""Much in portions: as much as one statement, request or round may carry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def portions(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in their order, `size` at a time; the last ones may be fewer. Nothing comes of nothing."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
