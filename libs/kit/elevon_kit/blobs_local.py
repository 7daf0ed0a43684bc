"""Local files: small ones are handled at once, which is quicker than a trip to a thread, large ones in a thread.

A write goes to a temporary file beside its target and is renamed over it. It survives the death of every process; it is
not forced to the disk, because whatever must outlive a power failure is in the database as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import TypeVar

from elevon_core.errors import ElevonError, FailedPrecondition, PermissionDenied, ResourceExhausted, Unavailable

from elevon_kit.blobs import BlobNotFound, BlobTooLarge, Method, parse

T = TypeVar("T")
PIECE = 8 * 1024 * 1024
"""Bytes of a file that are read at a time where it need not be in memory as a whole."""

SMALL = 256 * 1024
PENDING = ".elevon-write-"
"""Start of a temporary file's name: a reader of folders leaves such files out."""


class LocalBlobStore:
    """Serves `file://` URIs and absolute paths."""

    async def read(self, uri: str, limit: int | None = None) -> bytes:
        """Read a file."""
        path = local_path(uri)
        with _translated(uri):
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise FailedPrecondition(f"{uri} is no file")  # devices and pipes may have no end
            size = status.st_size
            if limit is not None and size > limit:
                raise BlobTooLarge(f"blob {uri} has {size} bytes, at most {limit} are accepted")
            return await _run(size, lambda: _read(path))

    async def write(self, uri: str, data: bytes) -> None:
        """Write a file and the folders above it."""
        path = local_path(uri)
        with _translated(uri):
            await _run(len(data), lambda: _write(path, data))

    async def size(self, uri: str) -> int | None:
        """Answer a file's size."""
        try:
            with _translated(uri):
                return _size(local_path(uri))
        except BlobNotFound:
            return None

    async def has_md5(self, uri: str, digest: bytes) -> bool:
        """Compare a file's MD5."""
        path = local_path(uri)
        found = hashlib.md5(usedforsecurity=False)
        with _translated(uri):
            size = os.stat(path).st_size
            # In pieces, so that a caller who goes away ends it.
            for start in range(0, size, PIECE):
                await _run(size, partial(_take_piece, path, start, found.update))
        return found.digest() == digest

    async def delete(self, uri: str) -> None:
        """Delete a file."""
        with contextlib.suppress(BlobNotFound), _translated(uri):
            os.unlink(local_path(uri))

    async def delete_prefix(self, uri: str) -> None:
        """Delete a folder and all that is in it."""
        path = local_path(uri)
        with contextlib.suppress(BlobNotFound), _translated(uri):
            await asyncio.to_thread(_delete_folder, path)

    async def list(self, prefix: str) -> list[str]:
        """Answer the files below a folder."""
        with _translated(prefix):
            return await asyncio.to_thread(lambda: sorted(f"file://{path}" for path in _walk(local_path(prefix))))

    async def sign(
        self, method: Method, uri: str, expires: timedelta, headers: Mapping[str, str] | None = None
    ) -> str | None:
        """Local files have no URL; the data proxy signs its own."""
        local_path(uri)
        return None

    async def close(self) -> None:
        """Nothing to let go of."""


def local_path(uri: str) -> str:
    """Answer the path of a local file's URI; raises InvalidArgument when it is none."""
    return "/" + parse(uri).key.rstrip("/")


async def _run(size: int, operation: Callable[[], T]) -> T:
    return operation() if size <= SMALL else await asyncio.to_thread(operation)


def _size(path: str) -> int | None:
    status = os.stat(path)
    return None if stat.S_ISDIR(status.st_mode) else status.st_size


def _take_piece(path: str, start: int, take: Callable[[bytes], None]) -> None:
    with open(path, "rb") as file:
        file.seek(start)
        take(file.read(PIECE))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, data: bytes) -> None:
    folder = os.path.dirname(path)
    temporary = f"{folder}/{PENDING}{secrets.token_hex(8)}"
    try:
        file = open(temporary, "xb")  # noqa: SIM115  closed below, once the folder exists
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        file = open(temporary, "xb")  # noqa: SIM115  closed below
    try:
        with file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _walk(folder: str) -> Iterator[str]:
    for parent, _folders, names in os.walk(folder):
        for name in names:
            if not name.startswith(PENDING):
                yield os.path.join(parent, name)


def _delete_folder(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)


@contextlib.contextmanager
def _translated(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _error_of(error, uri) from error


def _error_of(error: OSError, uri: str) -> ElevonError:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return BlobNotFound(f"no blob at {uri}")
    if error.errno == errno.EISDIR:
        return BlobNotFound(f"no blob at {uri}: it is a folder")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionDenied(f"blob {uri}: {reason}")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceExhausted(f"blob {uri}: {reason}")
    if error.errno in (errno.EEXIST, errno.ENAMETOOLONG):
        return FailedPrecondition(f"blob {uri}: {reason}")
    return Unavailable(f"blob {uri}: {reason}")
