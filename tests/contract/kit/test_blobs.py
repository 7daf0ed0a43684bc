"""What every blob store must do: the fake, local files, and an S3-compatible server all pass the same suite."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from elevon_core.errors import InvalidArgument
from elevon_kit.blobs import BlobNotFound, BlobStore, BlobTooLarge, join
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_kit.blobs_obstore import ObjectBlobStore, open_blob_store
from elevon_kit.settings import BlobSettings

AWKWARD_NAMES = ["plain", "a b", "p%20q", "ü", "h#1", "q?x=1", "a+b", "x=y&z", "(1)", "~", "semi;colon", "quote'd"]


def s3_settings(endpoint: str) -> BlobSettings:
    return BlobSettings.model_validate(
        {"s3_endpoint": endpoint, "s3_access_key_id": "key", "s3_secret_access_key": "secret", "timeout_seconds": 20}
    )


@pytest.fixture(params=["memory", "local", "s3"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def base(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if kind == "s3":
        return f"s3://{request.getfixturevalue('s3_bucket')}/base"
    return f"file://{tmp_path}/base" if kind == "local" else "s3://memory/base"


@pytest.fixture
async def store(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[BlobStore]:
    store: BlobStore = MemoryBlobStore()
    if kind == "local":
        store = ObjectBlobStore()
    elif kind == "s3":
        store = open_blob_store(s3_settings(request.getfixturevalue("s3_endpoint")))
    yield store
    await store.close()


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 2000], ids=["empty", "small", "large"])
async def test_what_is_written_is_read(store: BlobStore, base: str, data: bytes) -> None:
    uri = join(base, "a/b/data.pb")
    await store.write(uri, data)
    assert await store.read(uri) == data
    assert await store.size(uri) == len(data)


@pytest.mark.parametrize("size", [0, 1, 70_000, 11 * 1024 * 1024])
async def test_content_is_told_by_its_md5(store: BlobStore, base: str, size: int) -> None:
    uri, data = join(base, "x"), b"z" * size
    await store.write(uri, data)
    assert await store.has_md5(uri, hashlib.md5(data, usedforsecurity=False).digest())
    assert not await store.has_md5(uri, hashlib.md5(data + b"z", usedforsecurity=False).digest())
    with pytest.raises(BlobNotFound):
        await store.has_md5(join(base, "y"), bytes(16))


async def test_a_second_write_replaces_the_first(store: BlobStore, base: str) -> None:
    uri = join(base, "x")
    await store.write(uri, b"a longer first")
    await store.write(uri, b"second")
    assert await store.read(uri) == b"second"


async def test_what_is_not_there(store: BlobStore, base: str) -> None:
    uri = join(base, "nothing/here")
    with pytest.raises(BlobNotFound, match="nothing/here"):
        await store.read(uri)
    with pytest.raises(BlobNotFound):
        await store.read(uri, limit=10)
    assert await store.size(uri) is None
    assert await store.list(uri) == []
    await store.delete(uri)
    await store.delete_prefix(uri)


async def test_a_limit_is_kept(store: BlobStore, base: str) -> None:
    uri = join(base, "x")
    await store.write(uri, b"12345")
    assert await store.read(uri, limit=5) == b"12345"
    with pytest.raises(BlobTooLarge, match="has 5 bytes, at most 4 are accepted"):
        await store.read(uri, limit=4)


@pytest.mark.parametrize("name", AWKWARD_NAMES)
async def test_names_are_taken_literally(store: BlobStore, base: str, name: str) -> None:
    uri = join(base, name, "leaf " + name)
    await store.write(uri, name.encode())
    assert await store.read(uri) == name.encode()
    assert await store.list(base) == [uri]
    await store.delete(uri)
    assert await store.size(uri) is None


async def test_a_listing_is_sorted_and_stays_in_its_folder(store: BlobStore, base: str) -> None:
    inside = [join(base, "f", name) for name in ("a", "b/c", "b/d/e", "z")]
    for uri in [*reversed(inside), join(base, "f2"), join(base, "fa/x")]:
        await store.write(uri, b"x")
    assert await store.list(join(base, "f")) == inside
    assert await store.list(join(base, "f") + "/") == inside


async def test_deleting_a_folder_leaves_its_neighbours(store: BlobStore, base: str) -> None:
    for name in ("f/a", "f/b/c", "f2/a"):
        await store.write(join(base, name), b"x")
    await store.delete_prefix(join(base, "f"))
    assert await store.list(base) == [join(base, "f2/a")]


async def test_deleting_is_repeatable(store: BlobStore, base: str) -> None:
    uri = join(base, "x")
    await store.write(uri, b"x")
    await store.delete(uri)
    await store.delete(uri)
    with pytest.raises(BlobNotFound):
        await store.read(uri)


@pytest.mark.parametrize("uri", ["relative", "s3://", "s3://bucket/../x"])
async def test_what_is_no_uri_is_refused(store: BlobStore, uri: str) -> None:
    with pytest.raises(InvalidArgument, match="uri"):
        await store.read(uri)
    with pytest.raises(InvalidArgument, match="uri"):
        await store.write(uri, b"x")
    with pytest.raises(InvalidArgument, match="uri"):
        await store.sign("GET", uri, timedelta(minutes=1))


async def test_signed_urls_work_or_there_are_none(store: BlobStore, kind: str, base: str) -> None:
    uri = join(base, "signed file")
    upload = await store.sign("PUT", uri, timedelta(minutes=5))
    download = await store.sign("GET", uri, timedelta(minutes=5), {"content-md5": "ignored"})
    if kind != "s3":
        assert (upload, download) == (None, None)
        return
    assert upload is not None
    assert download is not None
    headers = {"content-type": "application/octet-stream"}
    request = urllib.request.Request(upload, data=b"sent", method="PUT", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200
    assert await store.read(uri) == b"sent"
    with urllib.request.urlopen(download, timeout=20) as answer:
        assert answer.read() == b"sent"
