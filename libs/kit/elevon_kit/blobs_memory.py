"""Blobs in memory: the fake of `BlobStore`, which passes the same contract suite as the real adapter."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta

from elevon_kit.blobs import BlobNotFound, BlobTooLarge, Method, parse


class MemoryBlobStore:
    """Takes any URI, whatever its scheme, and keeps what is written until the process ends."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def peek(self, uri: str) -> bytes:
        """A blob for those who cannot wait; raises KeyError."""
        return self._blobs[_key(uri)]

    def poke(self, uri: str, data: bytes) -> None:
        """Write a blob for those who cannot wait."""
        self._blobs[_key(uri)] = bytes(data)

    async def read(self, uri: str, limit: int | None = None) -> bytes:
        """Read a blob."""
        data = self._blobs.get(_key(uri))
        if data is None:
            raise BlobNotFound(f"no blob at {uri}")
        if limit is not None and len(data) > limit:
            raise BlobTooLarge(f"blob {uri} has {len(data)} bytes, at most {limit} are accepted")
        return data

    async def write(self, uri: str, data: bytes) -> None:
        """Write a blob."""
        self._blobs[_key(uri)] = bytes(data)

    async def size(self, uri: str) -> int | None:
        """Answer a blob's size."""
        data = self._blobs.get(_key(uri))
        return None if data is None else len(data)

    async def has_md5(self, uri: str, digest: bytes) -> bool:
        """Compare a blob's MD5."""
        return hashlib.md5(await self.read(uri), usedforsecurity=False).digest() == digest

    async def delete(self, uri: str) -> None:
        """Delete a blob."""
        self._blobs.pop(_key(uri), None)

    async def delete_prefix(self, uri: str) -> None:
        """Delete everything below a folder."""
        for found in await self.list(uri):
            del self._blobs[found]

    async def list(self, prefix: str) -> list[str]:
        """Answer what is below a folder."""
        folder = _key(prefix).rstrip("/") + "/"
        return sorted(uri for uri in self._blobs if uri.startswith(folder))

    async def sign(
        self, method: Method, uri: str, expires: timedelta, headers: Mapping[str, str] | None = None
    ) -> str | None:
        """Memory cannot be reached by URL."""
        parse(uri)
        return None

    async def close(self) -> None:
        """Nothing to let go of."""


def _key(uri: str) -> str:
    place = parse(uri)
    return f"{place.scheme}://{place.container}/{place.key}"
