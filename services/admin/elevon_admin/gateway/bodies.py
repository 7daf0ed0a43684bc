"""Bodies of requests while they come: how large one may be, and all of them together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from elevon_core.errors import ResourceExhausted, Unavailable
from starlette.requests import Request


class BodyTooLarge(ResourceExhausted):
    """A body has more bytes than one may have."""


@dataclass(slots=True)
class _Coming:
    """A body that is not there yet; it is given up when `patience` is over."""

    patience: asyncio.Timeout
    chunks: bytearray = field(default_factory=bytearray)


class Bodies:
    """Reads bodies of at most `largest` bytes; while they come, all together hold at most `together`.

    When they would hold more, the one that began first makes room: whoever sends slowly keeps nobody else out.
    """

    def __init__(self, largest: int, together: int) -> None:
        self._largest = largest
        self._together = together
        self._coming: dict[int, _Coming] = {}
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """The whole body; raises BodyTooLarge, before anything is read if the header says so, and Unavailable."""
        if (
            int(request.headers.get("content-length", "0")) > self._largest
        ):  # the server has checked that it is a number
            raise self._too_large()
        body = _Coming(asyncio.timeout(None))
        self._coming[id(body)] = body
        try:
            async with body.patience:
                await self._fill(body, request)
        except TimeoutError:
            rule = f"the setting admin.gateway.unfinished_bytes, {self._together} bytes"
            raise Unavailable(f"too many requests are coming at once ({rule}): try again in a moment") from None
        finally:
            self._let_go(body)
        return bytes(body.chunks)

    async def _fill(self, body: _Coming, request: Request) -> None:
        async for chunk in request.stream():
            if len(body.chunks) + len(chunk) > self._largest:
                raise self._too_large()
            body.chunks += chunk
            if id(body) in self._coming:
                self._held += len(chunk)
                self._make_room()

    def _make_room(self) -> None:
        while self._held > self._together:
            first = next(iter(self._coming.values()))
            self._let_go(first)
            first.patience.reschedule(asyncio.get_running_loop().time())

    def _let_go(self, body: _Coming) -> None:
        if self._coming.pop(id(body), None) is not None:
            self._held -= len(body.chunks)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"a request may have at most {self._largest} bytes")
