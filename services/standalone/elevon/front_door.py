"""One port for gRPC and HTTP: the first bytes of a connection tell which, and every byte is passed on unchanged.

A gRPC client opens with the HTTP/2 preface, a browser or an uploader with an HTTP/1.1 request line. Connections are
relayed to the service behind; while that service restarts, new ones wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""How every HTTP/2 connection with prior knowledge begins (RFC 9113, section 3.4)."""

UNAVAILABLE_BODY = b"Elevon is starting or stopping: try again in a moment\n"
UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(UNAVAILABLE_BODY), UNAVAILABLE_BODY)
)
"""What an HTTP client is told when the service behind does not come back in time."""

GOODBYE_SECONDS = 2.0
"""How long `close` lets connections send what is still buffered."""

STALL_SECONDS = 90.0
"""How long a client may take nothing of what waits for it: what is behind may have ended long ago, unheard."""

TOLD_EVERY_SECONDS = 10.0
"""How often it is logged that connections have to make room."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a kind of connection is passed to."""

    name: str
    host: str
    port: int


class FrontDoor:
    """Listens on one address and relays to the gRPC or the HTTP backend.

    `first_bytes_seconds` bounds how long a silent connection is kept; `backend_seconds` how long a connection waits for
    a backend that does not answer yet. When there are `most` connections, one more takes the place of the one that has
    been silent the longest: its client, if it is one, connects again when it has something to say.
    """

    def __init__(
        self,
        grpc: Backend,
        http: Backend,
        *,
        first_bytes_seconds: float = 10.0,
        backend_seconds: float = 10.0,
        most: int = 4_000,
    ) -> None:
        self.grpc = grpc
        self.http = http
        self.first_bytes_seconds = first_bytes_seconds
        self.backend_seconds = backend_seconds
        self.most = most
        self._told_at = -TOLD_EVERY_SECONDS
        self._server: asyncio.Server | None = None
        self._visitors: set[Visitor] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    async def open(self, host: str, port: int) -> int:
        """Start to listen; returns the port, chosen by the system when 0. OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Visitor(self), host, port, backlog=512)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def refuse(self) -> None:
        """Stop listening; the connections there are go on until their service ends them or `close` does."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Stop listening and end the connections that remain; whoever does not read what is left is cut off."""
        self.refuse()
        for visitor in tuple(self._visitors):
            visitor.hang_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._empty.wait()
        for visitor in tuple(self._visitors):
            visitor.abort()
        await asyncio.sleep(0)  # transports report their end in the loop's next round
        self._server = None

    def entered(self, visitor: Visitor) -> None:
        if len(self._visitors) >= self.most:
            self._make_room()
        self._visitors.add(visitor)
        self._empty.clear()

    def left(self, visitor: Visitor) -> None:
        self._visitors.discard(visitor)
        if not self._visitors:
            self._empty.set()

    def _make_room(self) -> None:
        """End the connection that has been silent the longest."""
        silent = min(self._visitors, key=lambda each: each.heard_at)
        silent.abort()
        self._visitors.discard(silent)
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= TOLD_EVERY_SECONDS:
            self._told_at = now
            logger.warning("%d connections, the most there may be: silent ones make room", self.most)

    def choose(self, first: bytes) -> Backend | None:
        """The backend for a connection that begins with `first`; None while that cannot be told."""
        if first.startswith(HTTP2_PREFACE[: len(first)]):
            return self.grpc if len(first) >= 3 else None
        return self.http


class Relay(asyncio.Protocol):
    """One end of a relayed connection: what arrives here leaves at the other end, no faster than that end takes it.

    Each direction ends on its own; when both have, or either breaks, both ends are closed.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Relay | None = None
        self.full = False
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.heard()
            self.other.transport.write(data)

    def heard(self) -> None:
        """Note that something passed through."""

    def eof_received(self) -> bool:
        self.ended = True
        if self.other is None or self.other.transport is None:
            return False
        if self.other.ended:
            self.other.hang_up()
            return False
        if self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        self.full = True
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.full = False
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.hang_up()

    def hang_up(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
            if self.transport.get_write_buffer_size():
                asyncio.get_running_loop().call_later(STALL_SECONDS, self.transport.abort)

    def abort(self) -> None:
        for end in (self, self.other):
            if end is not None and end.transport is not None:
                end.transport.abort()


class Visitor(Relay):
    """The client's end: holds back the first bytes until the backend is known and reached."""

    def __init__(self, door: FrontDoor) -> None:
        super().__init__()
        self.door = door
        self.held = b""
        self.connecting: asyncio.Task[None] | None = None
        self.patience: asyncio.TimerHandle | None = None
        self.stalled: asyncio.TimerHandle | None = None
        self.heard_at = asyncio.get_running_loop().time()

    def heard(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.door.entered(self)
        self.patience = asyncio.get_running_loop().call_later(self.door.first_bytes_seconds, self.hang_up)

    def data_received(self, data: bytes) -> None:
        self.heard()
        if self.other is not None:
            super().data_received(data)
            return
        self.held += data
        if self.connecting is None:
            self._choose()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stalled = asyncio.get_running_loop().call_later(STALL_SECONDS, self.abort)

    def resume_writing(self) -> None:
        self._go_on()
        super().resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._be_patient_no_more()
        self._go_on()
        if self.connecting is not None:
            self.connecting.cancel()
        self.door.left(self)
        super().connection_lost(error)

    def _choose(self) -> None:
        backend = self.door.choose(self.held)
        if backend is None:
            return
        self._be_patient_no_more()
        assert self.transport is not None
        self.transport.pause_reading()
        self.connecting = asyncio.get_running_loop().create_task(self._connect(backend))

    async def _connect(self, backend: Backend) -> None:
        behind = Relay()
        try:
            reached = await reach(behind, backend, self.door.backend_seconds)
        except asyncio.CancelledError:
            behind.hang_up()
            raise
        if not reached:
            self._turn_away(backend)
            return
        assert behind.transport is not None
        assert self.transport is not None
        behind.other, self.other = self, behind
        behind.transport.write(self.held)
        self.held = b""
        if not behind.full:
            self.transport.resume_reading()

    def _turn_away(self, backend: Backend) -> None:
        logger.warning("%s (port %d) cannot be reached", backend.name, backend.port)
        assert self.transport is not None
        if backend is self.door.http:
            self.transport.write(UNAVAILABLE)
        self.hang_up()

    def _go_on(self) -> None:
        if self.stalled is not None:
            self.stalled.cancel()
            self.stalled = None

    def _be_patient_no_more(self) -> None:
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None


async def reach(relay: Relay, backend: Backend, seconds: float) -> bool:
    """Connect `relay` to the backend, trying again while it is refused; False when the time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            await loop.create_connection(lambda: relay, backend.host, backend.port)
        except OSError:
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(0.05)
        else:
            return True
