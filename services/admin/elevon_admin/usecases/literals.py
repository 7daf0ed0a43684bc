"""Where literal maps are kept: small ones in rows, large ones in the object store, and reading them back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeVar

from elevon_core.arrays import offloaded
from elevon_core.errors import ElevonError, ResourceExhausted
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobStore, BlobTooLarge, join
from elevon_kit.logging import get_logger
from google.protobuf.message import DecodeError, Message

from elevon_admin.domain.records import ExecutionKey, StoredLiterals

log = get_logger("literals")

INLINE_LIMIT = 64 * 1024
"""Bytes of a serialized literal map up to which it stays in its row."""

READ_LIMIT = 2 * 1024 * 1024
"""Bytes of a serialized literal map up to which it is accepted in an event and answered in a data call."""

WHOLE_LIMIT = 64 * 1024 * 1024
"""Bytes of each literal in a file of its own up to which it is read."""

AnyMessage = TypeVar("AnyMessage", bound=Message)


@dataclass(frozen=True, slots=True)
class Shown:
    """Literals as they are answered; `oversize` is how many bytes they have where they are too large for that."""

    literals: core.LiteralMap
    oversize: int = 0


class LiteralStore:
    """Keeps and reads literal maps; `base` is the URI below which admin writes its own files."""

    def __init__(
        self, blobs: BlobStore, base: str, *, inline_limit: int = INLINE_LIMIT, read_limit: int = READ_LIMIT
    ) -> None:
        self._blobs = blobs
        self._base = base
        self._inline_limit = inline_limit
        self._read_limit = read_limit

    def fits_inline(self, size: int) -> bool:
        """Whether so many bytes stay in the row."""
        return size <= self._inline_limit

    def place(self, execution: ExecutionKey, *parts: str) -> str:
        """The URI of something that belongs to an execution."""
        return join(self._base, "metadata", *execution, *parts)

    def check_size(self, size: int, what: str) -> None:
        """Raise ResourceExhausted for literals that are too large to travel in an event."""
        if size > self._read_limit:
            raise ResourceExhausted(f"{what} has {size} bytes, at most {self._read_limit} are accepted inline")

    async def keep(self, data: bytes, execution: ExecutionKey, *parts: str) -> StoredLiterals:
        """Keep serialized bytes; a file's name ends with a digest of them, so that nothing is ever overwritten."""
        if self.fits_inline(len(data)):
            return StoredLiterals(data=data)
        digest = hashlib.sha256(data).hexdigest()[:32]
        uri = self.place(execution, *parts, f"{digest}.pb")
        await self._blobs.write(uri, data)
        return StoredLiterals(uri=uri)

    async def read(self, stored: StoredLiterals | None, limit: int | None = None) -> core.LiteralMap:
        """The literals, from the row or the object store; raises what reading raises."""
        return await self._read_message(core.LiteralMap, stored, limit)

    async def shown(self, stored: StoredLiterals | None) -> Shown:
        """As `read`, but a file that is too large, or unreadable, gives an empty map: clients expect an answer."""
        try:
            return Shown(await self.read(stored, self._read_limit))
        except BlobTooLarge:
            assert stored is not None
            return Shown(core.LiteralMap(), await self._size(stored.uri))
        except (ElevonError, DecodeError) as error:
            where = "" if stored is None else stored.uri
            log.warning("literals not readable", uri=where, error=str(error))
            return Shown(core.LiteralMap())

    async def read_leniently(self, stored: StoredLiterals | None) -> core.LiteralMap:
        """The literals of `shown`."""
        return (await self.shown(stored)).literals

    async def _size(self, uri: str) -> int:
        try:
            return await self._blobs.size(uri) or 0
        except ElevonError:
            return 0

    async def read_whole(self, stored: StoredLiterals | None) -> core.LiteralMap:
        """As `read`, with the values that are kept in files of their own, of at most WHOLE_LIMIT bytes each."""
        values = await self.read(stored, WHOLE_LIMIT)
        for name, uri in offloaded(values).items():
            values.literals[name].CopyFrom(await self._read_message(core.Literal, StoredLiterals(uri=uri), WHOLE_LIMIT))
        return values

    async def read_closure(self, stored: StoredLiterals) -> core.CompiledWorkflowClosure:
        """A compiled workflow; raises what reading raises."""
        return await self._read_message(core.CompiledWorkflowClosure, stored, None)

    async def _read_message(
        self, kind: type[AnyMessage], stored: StoredLiterals | None, limit: int | None
    ) -> AnyMessage:
        if stored is None:
            return kind()
        data = stored.data
        if data is None:
            if not stored.uri:
                return kind()
            data = await self._blobs.read(stored.uri, limit)
        return kind.FromString(data)
