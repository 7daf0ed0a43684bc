"""What only real adapters can show: half-written files, permissions, stores that do not answer."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from elevon_core.errors import ElevonError, FailedPrecondition, InvalidArgument, NotFound, Unavailable
from elevon_kit.blobs import BlobNotFound, parse
from elevon_kit.blobs_local import PENDING, LocalBlobStore
from elevon_kit.blobs_obstore import ObjectBlobStore, open_store
from elevon_kit.settings import BlobSettings


async def test_a_reader_never_sees_part_of_a_file(tmp_path: Path) -> None:
    store = LocalBlobStore()
    uri = f"file://{tmp_path}/blob"
    contents = [bytes([number]) * 400_000 for number in range(8)]
    await store.write(uri, contents[0])
    seen: list[bytes] = []

    async def read() -> None:
        while len(seen) < 60:
            seen.append(await store.read(uri))
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    while not reading.done():
        await asyncio.gather(*(store.write(uri, content) for content in contents))
    assert all(found in contents for found in seen)
    assert os.listdir(tmp_path) == ["blob"]


async def test_unfinished_files_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / f"{PENDING}0123").write_bytes(b"half")
    (tmp_path / "whole").write_bytes(b"whole")
    assert await LocalBlobStore().list(f"file://{tmp_path}") == [f"file://{tmp_path}/whole"]


async def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotFound, match="is a folder"):
        await LocalBlobStore().write(f"{tmp_path}/folder", b"x")
    assert os.listdir(tmp_path) == ["folder"]


async def test_a_file_is_no_folder(tmp_path: Path) -> None:
    store = LocalBlobStore()
    await store.write(f"{tmp_path}/file", b"x")
    with pytest.raises((FailedPrecondition, BlobNotFound), match="file/below"):
        await store.write(f"{tmp_path}/file/below", b"x")
    assert await store.size(f"{tmp_path}/file/below") is None
    assert await store.size(f"{tmp_path}") is None
    with pytest.raises(BlobNotFound):
        await store.read(f"{tmp_path}")


async def test_what_may_have_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(FailedPrecondition, match=f"{path} is no file"):
            await LocalBlobStore().read(path.as_uri(), limit=10)


async def test_a_store_that_does_not_answer_is_unavailable(unused_address: str) -> None:
    settings = BlobSettings.model_validate(
        {
            "s3_endpoint": f"http://{unused_address}",
            "s3_access_key_id": "k",
            "s3_secret_access_key": "s",
            "retries": 1,
        }
    )
    store = ObjectBlobStore(settings)
    with pytest.raises(Unavailable, match="s3://bucket/key"):
        await store.read("s3://bucket/key")


async def test_a_bucket_that_does_not_exist(s3_endpoint: str) -> None:
    settings = BlobSettings.model_validate(
        {"s3_endpoint": s3_endpoint, "s3_access_key_id": "k", "s3_secret_access_key": "s"}
    )
    store = ObjectBlobStore(settings)
    with pytest.raises(BlobNotFound):
        await store.read("s3://no-such-bucket-anywhere/key")
    with pytest.raises(ElevonError):
        await store.write("s3://no-such-bucket-anywhere/key", b"x")


@pytest.mark.parametrize("uri", ["ftp://host/x", "http://host/x"])
async def test_schemes_nobody_serves_are_refused(uri: str) -> None:
    with pytest.raises(InvalidArgument, match="scheme must be file, s3, gs, az or abfs"):
        await ObjectBlobStore().read(uri)


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://bucket/key", "S3Store"),
        ("az://container/key", "AzureStore"),
        ("abfs://container@account.dfs.core.windows.net/key", "AzureStore"),
    ],
)
def test_each_scheme_opens_its_store(uri: str, name: str) -> None:
    settings = BlobSettings.model_validate({"azure_account": "account", "azure_account_key": "a2V5"})
    assert type(open_store(parse(uri), settings)).__name__ == name
