"""Pages, tokens and orders."""

from __future__ import annotations

import pytest
from elevon_admin.domain.paging import MAXIMUM_BYTES, MAXIMUM_ROWS, Page, cut, cut_by_size, next_token, parse_page
from elevon_admin.domain.sorting import Sort, parse_sort
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 40), st.integers(1, 12))
def test_following_the_tokens_gives_every_row_once(total: int, limit: int) -> None:
    seen: list[int] = []
    rows, token, pages = list(range(total)), "", 0
    while True:
        page = parse_page(limit, token, "ListThings")
        assert page.fetch is not None
        shown, token = cut(page, rows[page.offset : page.offset + page.fetch])
        assert len(shown) <= limit
        seen += shown
        pages += 1
        if not token:
            break

    assert seen == rows
    assert pages == max(1, -(-total // limit))


@given(st.lists(st.integers(0, MAXIMUM_BYTES * 2), max_size=30), st.integers(1, 12))
def test_pages_of_large_rows_are_short_and_leave_no_row_out(sizes: list[int], limit: int) -> None:
    seen: list[int] = []
    token = ""
    while True:
        page = parse_page(limit, token, "ListThings")
        assert page.fetch is not None
        shown, token = cut_by_size(page, sizes[page.offset : page.offset + page.fetch], lambda size: size)
        assert len(shown) == 1 or sum(shown) <= MAXIMUM_BYTES
        seen += shown
        if not token:
            break

    assert seen == sizes


def test_tokens_are_offsets_in_decimal() -> None:
    assert next_token(Page(100, 200), 101) == "300"
    assert next_token(Page(100, 200), 100) == ""
    assert parse_page(100, "", "ListThings") == Page(100, 0)
    assert parse_page(100, "300", "ListThings") == Page(100, 300)


def test_a_page_has_a_largest_size() -> None:
    assert parse_page(2**31 - 1, "", "ListThings") == Page(MAXIMUM_ROWS, 0)


def test_no_limit_means_all_rows_only_where_it_may() -> None:
    page = parse_page(0, "", "ListProjects", optional=True)
    assert page.fetch is None
    assert cut(page, [1, 2, 3]) == ([1, 2, 3], "")
    with pytest.raises(InvalidArgument, match="invalid value for limit"):
        parse_page(0, "", "ListThings")
    with pytest.raises(InvalidArgument, match="invalid value for limit"):
        parse_page(-1, "", "ListProjects", optional=True)


@pytest.mark.parametrize("token", ["x", "-1", "+1", "1.0", " 1", "٣", "9" * 19, "1" * 40])
def test_what_is_not_an_offset_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid pagination token .* for ListThings"):
        parse_page(1, token, "ListThings")


def test_orders() -> None:
    assert parse_sort(None) is None
    assert parse_sort(admin.Sort(key="name")) == Sort("name", ascending=False)
    assert parse_sort(admin.Sort(key="name", direction=admin.Sort.ASCENDING)) == Sort("name", ascending=True)
    with pytest.raises(InvalidArgument, match="invalid sort key ''"):
        parse_sort(admin.Sort())
