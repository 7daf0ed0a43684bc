"""Pages of the list calls: a limit, and a token that is the decimal offset of the next row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from elevon_core.errors import InvalidArgument

MAXIMUM_ROWS = 10_000
"""A page holds no more, whatever was asked; the token leads on, and every client stops on an empty token only."""

MAXIMUM_BYTES = 16 * 1024 * 1024
"""Where rows are large, a page ends before it has more than this: flytekit takes answers of 20 MiB."""

_LARGEST_OFFSET = 2**63 - 1 - MAXIMUM_ROWS

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows to answer; a limit of None answers all of them.

    `after` says where the row before the page stands in the order, if that is known; `offset` need not be counted then.
    `reader` tells apart those who page, so that each goes on where it was.
    """

    limit: int | None
    offset: int = 0
    reader: str = ""
    after: tuple[Any, ...] | None = None

    @property
    def fetch(self) -> int | None:
        """How many rows to select: one more than the page shows, which tells whether another page follows."""
        return None if self.limit is None else self.limit + 1


def parse_page(limit: int, token: str, operation: str, *, optional: bool = False) -> Page:
    """Read limit and token of a request; `optional` lets a limit of 0 mean all rows.

    Raises InvalidArgument for a limit of 0 or less, and for a token that is not a decimal offset.
    """
    if limit < 0 or (limit == 0 and not optional):
        raise InvalidArgument.invalid("limit", limit, "must be greater than 0")
    if token and re.fullmatch(r"[0-9]{1,19}", token) is None:
        raise InvalidArgument(f"invalid pagination token {token[:200]} for {operation}")
    offset = int(token or "0")
    if offset > _LARGEST_OFFSET:
        raise InvalidArgument(f"invalid pagination token {token} for {operation}")
    return Page(min(limit, MAXIMUM_ROWS) if limit else None, offset)


def cut_by_size(page: Page, rows: Sequence[Row], size_of: Callable[[Row], int]) -> tuple[Sequence[Row], str]:
    """As `cut`, ending the page before its rows have more than MAXIMUM_BYTES together; it always has one."""
    shown, token = cut(page, rows)
    total = 0
    for count, row in enumerate(shown):
        total += size_of(row)
        if count and total > MAXIMUM_BYTES:
            return shown[:count], str(page.offset + count)
    return shown, token


def next_token(page: Page, fetched: int) -> str:
    """The token after a page, given how many of `page.fetch` rows came back; empty when no row is left."""
    if page.limit is None or fetched <= page.limit:
        return ""
    return str(page.offset + page.limit)


def cut(page: Page, rows: Sequence[Row]) -> tuple[Sequence[Row], str]:
    """The rows that belong to the page, without the one that only tells of a next page, and the next token."""
    return (rows if page.limit is None else rows[: page.limit]), next_token(page, len(rows))
