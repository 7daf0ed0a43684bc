"""Receivers on loopback that take messages, refuse them, hang, cut the line, and die."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP

ANSWERS = {"ok": b"204 No Content", "fail": b"503 Service Unavailable", "refuse": b"400 Bad Request"}


@dataclass
class Posted:
    """One request that was answered with success."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver:
    """A webhook. `mode` is ok, fail, refuse, hang or cut; `attempts` counts all requests."""

    mode: str = "ok"
    received: list[Posted] = field(default_factory=list)
    attempts: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it is, or will be."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self) -> None:
        """Listen, where it has listened before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """Close everything at once."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, _Cut):
            writer.transport.abort()
        finally:
            self._open.discard(writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.attempts += 1
        if self.mode == "hang":
            await reader.read()
        if self.mode in ("cut", "hang"):
            raise _Cut
        if self.mode == "ok":
            self.received.append(Posted(head[0].split()[1], headers, body))
        writer.write(b"HTTP/1.1 " + ANSWERS[self.mode] + b"\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()


class _Cut(Exception):
    """The line is cut without an answer."""


@dataclass
class MailReceiver:
    """A mail server. `mode` is ok, busy or hang; addresses in `unknown` are refused for good.

    A mail of more than `most_bytes` is refused when it is announced.
    """

    mode: str = "ok"
    received: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    most_bytes: int = 33_554_432
    attempts: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.BaseTransport] = field(default_factory=set)

    async def start(self) -> None:
        """Listen, where it has listened before."""
        receiver = self

        class Connection(SMTP):
            def connection_made(self, transport: Any) -> None:
                receiver._open.add(transport)
                super().connection_made(transport)

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, hostname="test", data_size_limit=self.most_bytes), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """Close everything at once."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in self._open:
            transport.close()
        self._open.clear()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """Take or refuse a recipient."""
        if address in self.unknown:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail."""
        self.attempts += 1
        if self.mode == "busy":
            return "451 come back later"
        if self.mode == "hang":
            await asyncio.Event().wait()
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.received.append(mail)
        self.recipients += envelope.rcpt_tos
        return "250 OK"


@contextlib.asynccontextmanager
async def listening(*receivers: HttpReceiver | MailReceiver) -> AsyncIterator[None]:
    """Start receivers, and end them."""
    for receiver in receivers:
        await receiver.start()
    try:
        yield
    finally:
        for receiver in receivers:
            await receiver.die()
