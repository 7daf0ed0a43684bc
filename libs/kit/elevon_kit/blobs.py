"""Files as the services see them: a port that every kind of object store fits, and URIs that mean the same everywhere.

A URI is `scheme://container/key`; local files are `file:///abs/path`. Keys are taken literally: nothing in them is
decoded or encoded, so `%20` in a key is three characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

from elevon_core.errors import InvalidArgument, NotFound, ResourceExhausted

Method = Literal["GET", "PUT", "HEAD", "DELETE"]


class BlobNotFound(NotFound):
    """There is no blob at this URI."""


class BlobTooLarge(ResourceExhausted):
    """The blob is larger than the reader accepts; nothing of it was read."""


class BlobStore(Protocol):
    """Reads and writes blobs by URI.

    Every method raises Unavailable when the store cannot be reached, PermissionDenied when it refuses, InvalidArgument
    when the URI is none it serves.
    """

    async def read(self, uri: str, limit: int | None = None) -> bytes:
        """Read a blob; raises BlobNotFound, and BlobTooLarge when it has more than `limit` bytes."""
        ...

    async def write(self, uri: str, data: bytes) -> None:
        """Write a blob as a whole: a reader finds the old one or the new one, never a part."""
        ...

    async def size(self, uri: str) -> int | None:
        """Answer a blob's size in bytes, None when there is none."""
        ...

    async def has_md5(self, uri: str, digest: bytes) -> bool:
        """Whether a blob has the content of an MD5, of 16 bytes; it may be read for that. Raises BlobNotFound."""
        ...

    async def delete(self, uri: str) -> None:
        """Delete a blob; one that is not there is deleted already."""
        ...

    async def delete_prefix(self, uri: str) -> None:
        """Delete everything below a folder."""
        ...

    async def list(self, prefix: str) -> list[str]:
        """Answer the URIs of all blobs below a folder, sorted; a folder that does not exist is empty."""
        ...

    async def sign(
        self, method: Method, uri: str, expires: timedelta, headers: Mapping[str, str] | None = None
    ) -> str | None:
        """Answer a URL that lets its bearer do this for a while; None when the store cannot sign, as for local files.

        `headers` are those the bearer will send; stores check the standard ones themselves, they are not signed.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class BlobPlace:
    """A URI taken apart: the key of a local file is its absolute path without the first slash."""

    scheme: str
    container: str
    key: str


def parse(uri: str) -> BlobPlace:
    """Take a URI apart; an absolute local path counts as `file://`. Raises InvalidArgument for anything else."""
    if uri.startswith("/"):
        uri = "file://" + uri
    scheme, separator, rest = uri.partition("://")
    if not separator or not scheme:
        raise InvalidArgument.invalid("uri", uri, "must be scheme://container/key or an absolute path")
    container, _, key = rest.partition("/")
    if scheme == "file" and container:
        raise InvalidArgument.invalid("uri", uri, "a local file is file:///absolute/path")
    if scheme != "file" and not container:
        raise InvalidArgument.invalid("uri", uri, "names no container")
    if any(part in (".", "..") for part in key.split("/")) or "\x00" in key:
        raise InvalidArgument.invalid("uri", uri, "must not contain '.' or '..' as a part, nor a null character")
    return BlobPlace(scheme, container, key)


def join(base: str, *parts: str) -> str:
    """Append parts to a URI with exactly one slash between each; nothing is encoded, empty parts are left out."""
    joined = base
    for part in parts:
        stripped = part.strip("/")
        if stripped:
            joined += stripped if joined.endswith("/") else f"/{stripped}"
    return joined
