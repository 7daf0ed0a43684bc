"""Where pages ended, so that the next one is read from there and not counted from the beginning.

A token says how many rows come before a page. Counting them takes as long as there are rows; besides, rows that come or
go while somebody pages make the next page repeat or miss some. So whoever comes back with the token that an answer
gave goes on behind the last row of that answer. Any other token counts.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from elevon_admin.domain.paging import Page
from elevon_admin.store.listing import Order, position_of

NEAR = 1_000
"""Up to this offset rows are counted: that takes no time, and is what clients see that work out tokens themselves."""

KEPT_SECONDS = 60.0
MOST = 10_000
"""Bookmarks in memory, some 300 bytes each; the oldest go first."""


class Bookmarks:
    """Bookmarks of the readers of one kind of list; each serves once.

    What identifies a list, `what`, must be told apart by its repr.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, tuple[Any, ...]]] = OrderedDict()

    def found(self, page: Page, *what: Hashable) -> Page:
        """The page, with the place of the row before it if this reader left a bookmark there."""
        if page.offset <= NEAR or not page.reader:
            return page
        until, position = self._kept.pop(_key(page.reader, page.offset, what), (0.0, None))
        return page if position is None or until < self._clock() else replace(page, after=position)

    def leave(self, page: Page, order: Order, rows: Sequence[Row[*tuple[Any, ...]]], *what: Hashable) -> None:
        """Leave a bookmark behind the page if there is another page; rows are those fetched, with positions."""
        if page.limit is None or len(rows) <= page.limit or not page.reader or not order.resumable:
            return
        offset = page.offset + page.limit
        if offset <= NEAR:
            return
        key = _key(page.reader, offset, what)
        self._kept.pop(key, None)
        self._kept[key] = (self._clock() + KEPT_SECONDS, position_of(rows[page.limit - 1], order))
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)


def _key(reader: str, offset: int, what: tuple[Hashable, ...]) -> bytes:
    return hashlib.blake2b(repr((reader, offset, what)).encode(), digest_size=16).digest()
