"""What rude and broken clients send, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Iterable

from elevon.front_door import HTTP2_PREFACE

PATIENCE = 60
"""Seconds a test waits for what is to happen much sooner."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 0x1, 0x4


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", length: int | None = None) -> bytes:
    """An HTTP/2 frame; `length` may lie."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def text(value: bytes) -> bytes:
    """A string of HPACK, not compressed."""
    if len(value) < 127:
        return bytes((len(value),)) + value
    rest = len(value) - 127
    digits = bytearray((127,))
    while rest >= 128:
        digits.append(rest % 128 + 128)
        rest //= 128
    return bytes((*digits, rest)) + value


def fields(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header fields of HPACK that nobody is to remember."""
    return b"".join(b"\x00" + text(name) + text(value) for name, value in pairs)


CALL = fields(
    [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/flyteidl.service.AdminService/GetVersion"),
        (b":authority", b"x"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    ]
)
FIELD = fields([(b"a", b"b")])
HELLO = HTTP2_PREFACE + frame(SETTINGS)


def call(stream: int, *after: bytes) -> bytes:
    """The header of a call, and what follows it."""
    return frame(HEADERS, END_HEADERS, stream, CALL) + b"".join(after)


def many_calls(*after: bytes, count: int = 300) -> bytes:
    """Calls on streams of their own; `after` are payloads of DATA that end nothing."""
    streams = range(1, 2 * count, 2)
    return b"".join(call(stream, *(frame(DATA, 0, stream, each) for each in after)) for stream in streams)


def message(data: bytes) -> bytes:
    """A call with one message, as gRPC frames it, and the end of its stream."""
    return HELLO + call(1, frame(DATA, END_STREAM, 1, data))


HTTP2_ATTACKS = {
    "garbage after the preface": HTTP2_PREFACE + bytes(range(256)) * 64,
    "a preface that goes wrong": HTTP2_PREFACE[:20] + b"\x00" * 100,
    "no settings": HTTP2_PREFACE + frame(PING, payload=bytes(8)),
    "a frame that is longer than it may be": HELLO + frame(DATA, 0, 1, bytes(100), length=0xFFFFFF),
    "a frame that breaks off": HELLO + frame(HEADERS, END_HEADERS, 1, CALL)[:20],
    "settings that are none": HELLO + frame(SETTINGS, payload=b"\x00\x04\xff\xff\xff\xff" * 3 + b"abc"),
    "an unknown kind of frame": HELLO + frame(0x77, 0xFF, 1, b"what?") * 100,
    "data for no stream": HELLO + frame(DATA, 0, 0, b"data") + frame(DATA, END_STREAM, 99, b"data"),
    "a window that grows by nothing": HELLO + call(1, frame(WINDOW_UPDATE, 0, 1, bytes(4))),
    "a window that grows too much": HELLO + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 3,
    "headers that cannot be read": HELLO + frame(HEADERS, END_HEADERS, 1, b"\xff" * 500),
    "headers that refer to nothing": HELLO + frame(HEADERS, END_HEADERS, 1, b"\xfe\x7f\xff\xff\xff\x0f"),
    "headers that never end": HELLO + frame(HEADERS, 0, 1, CALL) + frame(CONTINUATION, 0, 1, FIELD) * 9_000,
    "a table of headers that is to be huge": HELLO + frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\xff\xff\x07" + CALL),
    "a stream of the server's": HELLO + frame(HEADERS, END_HEADERS, 2, CALL),
    "a stream that goes back": HELLO + call(5) + call(3),
    "a promise": HELLO + frame(PUSH, END_HEADERS, 1, bytes(4) + CALL),
    "a stream that depends on itself": HELLO + frame(PRIORITY, 0, 1, b"\x00\x00\x00\x01\x10"),
    "pings": HELLO + frame(PING, payload=bytes(8)) * 5_000,
    "settings, again and again": HELLO + frame(SETTINGS) * 5_000,
    "streams that are reset at once": HELLO
    + b"".join(call(number, frame(RST_STREAM, 0, number, bytes(4))) for number in range(1, 4_001, 2)),
    "goodbye, and on it goes": HELLO + frame(GOAWAY, payload=bytes(8)) + many_calls(b"\x00\x00\x00\x00\x00", count=20),
    "a message that is to have four gigabytes": message(b"\x00\xff\xff\xff\xff" + bytes(100)),
    "a message that breaks off": message(b"\x00\x00\x00\x00\x09abc"),
    "a message that is compressed with nothing": message(b"\x01\x00\x00\x00\x03abc"),
    "bytes that are no message": message(b"\x00\x00\x00\x00\x03\xff\xff\xff"),
    "two messages where one belongs": message(bytes(5) * 2),
    "calls without messages": HELLO + many_calls(),
    "half of many messages": HELLO + many_calls(b"\x00\x00\x10\x00\x00" + bytes(1000)),
}
"""What is sent over HTTP/2, all on one connection."""

HTTP_ATTACKS = {
    "nothing that is HTTP": bytes(range(3, 256)) * 40,
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "HTTP/2 without a preface": frame(SETTINGS) * 10,
    "an endless line": b"GET /" + b"a" * 1_000_000,
    "endless headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 100_000,
    "two lengths": b"POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "a negative length": b"POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nabc",
    "chunks that are none": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n",
    "a body that breaks off": b"POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{",
    "an upgrade to HTTP/2": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    "a web socket": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "hundreds of requests at once": b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 300,
}
"""What is sent in place of HTTP/1.1, all on one connection."""


async def attack(address: str, data: bytes, *, stay: bool = False) -> bytes:
    """Send everything, then end our side unless we `stay`, and read until the server has ended its own."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = bytearray()

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
            if not stay:
                writer.write_eof()

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(PATIENCE):
            while chunk := await reader.read(65_536):
                answer += chunk
    except ConnectionError:
        pass  # as good an end as any
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.transport.abort()
    return bytes(answer)
