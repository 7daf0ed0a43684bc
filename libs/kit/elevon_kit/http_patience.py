"""HTTP connections that cost something only while they ask for something.

uvicorn waits forever for the rest of a request and for a client to take its answer, and keeps headers of any size. Here
a header has to arrive in time and in a size, bodies and answers have to move, bodies no slower than at a pace, and
there are only so many connections.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from elevon_kit.settings import HttpSettings

REFUSALS = {
    408: b"the request did not arrive in time\n",
    431: b"the header of the request is too large\n",
    503: b"the server has too many connections: try again in a moment\n",
}
PHRASES = {408: b"Request Timeout", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}


class PatientProtocol(HttpToolsProtocol):
    """One connection; `settings` is set by `patient_protocol`."""

    settings = HttpSettings()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._patience: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._pace: asyncio.TimerHandle | None = None
        self._body_bytes = 0
        self._held_back = False
        self._refused = False
        self._in_header = True
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Begin to wait for a request; one connection too many is turned away."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.connections:
            self._refuse(503)
            return
        self._wait(self.settings.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait(None)
        self._keep_pace(going=False)
        self._be_taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless what came already says that there is no reading this."""
        if self.transport.is_closing():
            return
        if self._in_header:
            self._header_bytes += len(data)
        elif self._patience is not None:
            self._wait(self.settings.stall_seconds)
        super().data_received(data)
        if self._in_header and self._header_bytes > self.settings.header_bytes:
            self._refuse(431)
        elif self._patience is None and self.timeout_keep_alive_task is None and not self._is_busy:
            self._wait(self.settings.header_seconds)  # bytes between requests, which begin none

    @property
    def _is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def on_message_begin(self) -> None:
        """A request begins: its header has to arrive in time."""
        super().on_message_begin()
        if not self._in_header:
            self._in_header, self._header_bytes = True, 0
            self._wait(self.settings.header_seconds)

    def on_headers_complete(self) -> None:
        """The header is there: now the body has to keep moving."""
        self._in_header, self._header_bytes = False, 0
        # What came in one piece, or before a body, was not measured yet.
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if self._refused or size > self.settings.header_bytes:
            self._refuse(431)
            return
        self._wait(self.settings.stall_seconds)
        self._keep_pace(going=True)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of the body is there."""
        if self._refused:
            return
        self._body_bytes += len(body)
        super().on_body(body)
        self._held_back |= self.flow.read_paused

    def on_message_complete(self) -> None:
        """The request is there: what takes time now is ours."""
        if self._refused:
            return
        self._wait(None)
        self._keep_pace(going=False)
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client takes the answer more slowly than it is made."""
        super().pause_writing()
        self._be_taken()
        self._taking = self.loop.call_later(self.settings.stall_seconds, self._not_taken)

    def resume_writing(self) -> None:
        """The client took what was waiting."""
        self._be_taken()
        super().resume_writing()

    def _wait(self, seconds: float | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = None if seconds is None else self.loop.call_later(seconds, self._not_sent)

    def _keep_pace(self, *, going: bool) -> None:
        """Look at what there is of the body when the stall time is over, again and again; or not any more."""
        if self._pace is not None:
            self._pace.cancel()
        self._body_bytes, self._held_back = 0, self.flow.read_paused
        self._pace = self.loop.call_later(self.settings.stall_seconds, self._look_at_pace) if going else None

    def _look_at_pace(self) -> None:
        """End what brings drops; not where it was we who did not read."""
        least = self.settings.body_bytes_per_second * self.settings.stall_seconds
        if self._body_bytes < least and not (self._held_back or self.transport.is_closing()):
            self.transport.abort()
            return
        self._keep_pace(going=True)

    def _be_taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _not_sent(self) -> None:
        """The client was silent for too long, unless it was we who did not read."""
        self._patience = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused or (self._in_header and self._is_busy):
            self._wait(self.settings.header_seconds if self._in_header else self.settings.stall_seconds)
        elif self._in_header and self._header_bytes:
            self._refuse(408)
        else:
            self.transport.abort()

    def _not_taken(self) -> None:
        self.transport.abort()

    def _refuse(self, status: int) -> None:
        """Say why and end the connection; no answer goes between the parts of another one."""
        if not self._is_busy:
            body = REFUSALS[status]
            head = b"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nConnection: close\r\n" % (status, PHRASES[status])
            self.transport.write(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._refused = True
        self._wait(None)
        self.transport.close()


def patient_protocol(settings: HttpSettings) -> type[PatientProtocol]:
    """Answer the protocol for connections under the limits of some settings."""
    return type("PatientProtocol", (PatientProtocol,), {"settings": settings})
