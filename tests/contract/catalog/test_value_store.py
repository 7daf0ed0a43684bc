"""What the ValueStore does on each kind of blob store: in memory, in a folder, behind S3."""

from __future__ import annotations

from pathlib import Path

import pytest
from elevon_catalog.drivers.values import BlobValueStore
from elevon_catalog.ports import ValueStore
from elevon_core.errors import Unavailable
from elevon_kit.blobs import BlobStore
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_kit.blobs_obstore import open_blob_store
from elevon_kit.retry import RetryPolicy
from elevon_kit.settings import BlobSettings
from pydantic import SecretStr

Place = tuple[ValueStore, BlobStore, str]


@pytest.fixture(params=["memory", "folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "memory":
        memory = MemoryBlobStore()
        return BlobValueStore(memory), memory, "mem://values"
    settings = BlobSettings()
    base = str(tmp_path)
    if request.param == "s3":
        base = f"s3://{request.getfixturevalue('s3_bucket')}/values"
        settings = BlobSettings(
            s3_endpoint=request.getfixturevalue("s3_endpoint"),
            s3_access_key_id="id",
            s3_secret_access_key=SecretStr("secret"),
        )
    blobs = open_blob_store(settings)
    return BlobValueStore(blobs), blobs, base


async def test_what_is_written_is_read(place: Place) -> None:
    values, _, base = place
    written = {f"{base}/{number}/a=3fb.pb": bytes([number]) * number for number in range(1, 40)}

    await values.write(written)

    assert await values.read(list(written)) == written


async def test_what_is_not_there_is_left_out(place: Place) -> None:
    values, _, base = place
    await values.write({f"{base}/here": b"x"})

    assert await values.read([f"{base}/here", f"{base}/gone"]) == {f"{base}/here": b"x"}


async def test_missing_are_the_absent_and_the_torn(place: Place) -> None:
    values, _, base = place
    await values.write({f"{base}/whole": b"12345", f"{base}/torn": b"123"})

    assert await values.missing({f"{base}/{name}": 5 for name in ("whole", "torn", "gone")}) == {
        f"{base}/torn",
        f"{base}/gone",
    }


async def test_deleting_twice_is_no_error(place: Place) -> None:
    values, blobs, base = place
    await values.write({f"{base}/a": b"x", f"{base}/b": b"y"})

    for _ in range(2):
        await values.delete([f"{base}/a"])

    assert await blobs.size(f"{base}/a") is None
    assert await blobs.size(f"{base}/b") == 1


async def test_nothing_is_done_for_nothing(place: Place) -> None:
    values, _, _ = place
    await values.write({})
    await values.delete([])

    assert await values.read([]) == {}
    assert await values.missing({}) == set()


async def test_a_store_out_of_reach_is_tried_again_and_then_told() -> None:
    nowhere = BlobSettings(
        s3_endpoint="http://127.0.0.1:1",
        s3_access_key_id="id",
        s3_secret_access_key=SecretStr("secret"),
        timeout_seconds=0.2,
    )
    values = BlobValueStore(open_blob_store(nowhere), RetryPolicy(attempts=2, first=0.001))

    with pytest.raises(Unavailable):
        await values.read(["s3://bucket/key"])
