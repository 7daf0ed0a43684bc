"""Addresses to download from, and what they answer when the store does not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest
from elevon_admin.drivers.plain_urls import PlainUrls
from elevon_core.errors import ElevonError, PermissionDenied, Unavailable
from elevon_kit.blobs import Method
from elevon_kit.blobs_memory import MemoryBlobStore
from starlette.applications import Starlette

HOUR = timedelta(hours=1)


class Signing(MemoryBlobStore):
    """A store that signs, or cannot."""

    def __init__(self, error: ElevonError | None = None) -> None:
        super().__init__()
        self.error = error

    async def sign(
        self, method: Method, uri: str, expires: timedelta, headers: Mapping[str, str] | None = None
    ) -> str | None:
        """An address elsewhere."""
        if self.error is not None:
            raise self.error
        return f"https://elsewhere/{uri}"


async def answered(store: MemoryBlobStore, now: int = 0) -> httpx.Response:
    clock = [0]
    urls = PlainUrls(store, ["s3://bucket/folder"], lambda: b"key", lambda: "http://admin", lambda: clock[0])
    address = urls.sign("s3://bucket/folder/a file", HOUR)
    clock[0] = now
    transport = httpx.ASGITransport(app=Starlette(routes=urls.routes))
    async with httpx.AsyncClient(transport=transport) as client:
        return await client.get(address)


async def test_clients_are_sent_on() -> None:
    found = await answered(Signing())
    assert (found.status_code, found.headers["location"]) == (302, "https://elsewhere/s3://bucket/folder/a%20file")
    assert (await answered(MemoryBlobStore())).status_code == 404
    late = await answered(Signing(), int(HOUR.total_seconds()) * 1_000_000_000)
    assert (late.status_code, late.text) == (403, "the address has expired\n")


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("the store is away"), 503), (PermissionDenied("the store refuses"), 404)]
)
async def test_a_store_that_does_not_sign(error: ElevonError, status: int) -> None:
    found = await answered(Signing(error))
    assert (found.status_code, found.text) == (status, f"{error.message}\n")
    assert found.headers["x-content-type-options"] == "nosniff"
