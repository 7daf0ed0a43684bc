"""URIs of blobs: taken apart, put together, nothing encoded on the way."""

from __future__ import annotations

import pytest
from elevon_core.errors import InvalidArgument
from elevon_kit.blobs import BlobPlace, join, parse
from hypothesis import given
from hypothesis import strategies as st

PARTS = st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda part: part not in (".", "..")
)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("s3://bucket/a/b", BlobPlace("s3", "bucket", "a/b")),
        ("s3://bucket", BlobPlace("s3", "bucket", "")),
        ("file:///tmp/a b%20c", BlobPlace("file", "", "tmp/a b%20c")),
        ("/tmp/x", BlobPlace("file", "", "tmp/x")),
        ("abfs://box@account.dfs.core.windows.net/k", BlobPlace("abfs", "box@account.dfs.core.windows.net", "k")),
        ("gs://b/q?x#y", BlobPlace("gs", "b", "q?x#y")),
    ],
)
def test_a_uri_comes_apart(uri: str, place: BlobPlace) -> None:
    assert parse(uri) == place


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "relative/path",
        "s3://",
        "s3:///key",
        "file://host/x",
        "s3://b/../c",
        "file:///a/./b",
        "s3://b/a\x00",
        "://x",
    ],
)
def test_what_is_no_uri_is_refused(uri: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid value for uri"):
        parse(uri)


@pytest.mark.parametrize(
    ("base", "parts", "joined"),
    [
        ("s3://b", ("a", "c"), "s3://b/a/c"),
        ("s3://b/", ("/a/", "c/"), "s3://b/a/c"),
        ("s3://b/p", (), "s3://b/p"),
        ("s3://b/p/", ("", "x"), "s3://b/p/x"),
        ("file:///", ("a",), "file:///a"),
        ("/data", ("a%2Fb", "c d"), "/data/a%2Fb/c d"),
        ("/", ("a",), "/a"),
    ],
)
def test_parts_are_joined_with_one_slash(base: str, parts: tuple[str, ...], joined: str) -> None:
    assert join(base, *parts) == joined


@given(st.lists(PARTS, min_size=1, max_size=5))
def test_joining_and_parsing_change_nothing(parts: list[str]) -> None:
    assert parse(join("s3://bucket", *parts)).key == "/".join(parts)
