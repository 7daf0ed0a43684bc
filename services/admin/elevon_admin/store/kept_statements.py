"""Statements of pages that are asked for again and again: putting one together costs more than running it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from sqlalchemy import Select

from elevon_admin.domain.filters import Filter
from elevon_admin.domain.paging import Page
from elevon_admin.domain.sorting import Sort
from elevon_admin.store.listing import Order

Scope = TypeVar("Scope", bound=Hashable)
Statement = tuple[Select[*tuple[Any, ...]], Order]

KEPT = 256
MOST_VALUES = 20
"""Statements whose filters name more values are made anew each time, so that those kept stay small."""


class KeptStatements(Generic[Scope]):
    """Makes the SELECT of a page, or finds the one made before; run it with the parameters of `behind`.

    A scope says what is listed, as far as that is not left to parameters.
    """

    def __init__(self, build: Callable[[Scope, Sequence[Filter], Sort | None, Page], Statement]) -> None:
        self._build = build
        self._kept = lru_cache(maxsize=KEPT)(build)

    def statement(self, scope: Scope, filters: Sequence[Filter], sort: Sort | None, page: Page) -> Statement:
        """The statement and the order of its rows; raises what making it raises."""
        # Whose page it is and which row it begins behind do not change the statement, nor does how many come before it.
        after = page.after and (None,) * len(page.after)
        common = Page(page.limit, offset=0 if after else page.offset, after=after)
        few = sum(len(each.values) for each in filters) <= MOST_VALUES
        return (self._kept if few else self._build)(scope, tuple(filters), sort, common)
