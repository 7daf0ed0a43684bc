"""HTTP clients that are slow, silent, greedy or rude; each is a raw socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from elevon_kit.http_server import HttpServer
from elevon_kit.settings import HttpSettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

MEBIBYTE = 1024 * 1024
GET = b"GET /size HTTP/1.1\r\nHost: x\r\n"
PATIENCE = 60
"""Seconds a test waits for what is to happen much sooner."""

TRIES = 5
"""How often in a row nobody is late."""


async def size(request: Request) -> Response:
    """Answer how large the body was."""
    return PlainTextResponse(str(sum([len(chunk) async for chunk in request.stream()])))


async def slow(_request: Request) -> Response:
    """Answer later than any of the limits under test."""
    await asyncio.sleep(0.7)
    return PlainTextResponse("done")


async def large(_request: Request) -> Response:
    """Answer more than sockets hold."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(16):
            yield bytes(MEBIBYTE)

    return StreamingResponse(chunks())


@contextlib.asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[tuple[HttpServer, int]]:
    """A server and its port."""
    routes = [
        Route("/size", size, methods=["GET", "PUT"]),
        Route("/slow", slow, methods=["GET", "PUT"]),
        Route("/large", large),
    ]
    server = HttpServer(HttpSettings(drain_seconds=1, **settings), routes)
    port = await server.start()
    try:
        yield server, port
    finally:
        await server.stop()


async def said(port: int, *packets: bytes, pause: float = 0.0) -> bytes:
    """Send packets and read all that comes until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        for packet in packets:
            writer.write(packet)
            await writer.drain()
            await asyncio.sleep(pause)
    answer = bytearray()
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while chunk := await reader.read(MEBIBYTE):
                answer += chunk
    writer.close()
    return bytes(answer)


async def ask(port: int) -> bytes:
    """Ask as a decent client does, which on a busy machine may be late, and asks again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await said(port, GET + b"Connection: close\r\n\r\n")
            if answer and not answer.startswith(b"HTTP/1.1 408 "):
                return answer


async def heard(
    port: int, *packets: bytes, begin: bytes = b"", end: bytes = b"", within: bytes = b"", pause: float = 0.0
) -> None:
    """Assert what a client hears that may be late itself on a busy machine, and then tries again."""
    for _ in range(TRIES):
        answer = await said(port, *packets, pause=pause)
        if answer.startswith(begin) and answer.endswith(end) and within in answer:
            return
    raise AssertionError(answer)


@pytest.mark.parametrize(
    ("begun", "told"),
    [(b"", b""), (b"G", b"HTTP/1.1 408 "), (GET, b"HTTP/1.1 408 "), (GET + b"A: b", b"HTTP/1.1 408 ")],
)
async def test_a_header_that_does_not_end_in_time_ends_the_connection(begun: bytes, told: bytes) -> None:
    async with serving(header_seconds=0.1) as (_, port):
        await heard(port, begun, begin=told)
        assert (await ask(port)).endswith(b"\r\n0")


async def test_drops_of_a_header_do_not_keep_a_connection() -> None:
    async with serving(header_seconds=0.2) as (server, port):
        drops = [bytes([letter]) for letter in GET + b"X: " + b"y" * 100]
        answer = await said(port, *drops, pause=0.01)
        assert not answer or answer.startswith(b"HTTP/1.1 408 ")  # drops that come too late take the answer away
        assert not connections(server)


async def test_hundreds_of_slow_connections_neither_stop_others_nor_stay() -> None:
    async with serving(header_seconds=1.0) as (server, port):
        slow = [asyncio.create_task(said(port, GET, b"X-a: b\r\n", pause=0.02)) for _ in range(300)]
        answers = [await ask(port) for _ in range(20)]
        assert all(answer.endswith(b"\r\n0") for answer in answers)
        told = await asyncio.gather(*slow)
        # What a client sends after its time takes the answer away.
        assert all(not answer or answer.startswith(b"HTTP/1.1 408 ") for answer in told)
        assert not connections(server)


def connections(server: HttpServer) -> set[Any]:
    assert server._server is not None
    return server._server.server_state.connections


@pytest.mark.parametrize("piece", [b"X-Large: " + b"x" * 9000, b"X: y\r\n" * 3000])
async def test_a_large_header_is_refused(piece: bytes) -> None:
    async with serving(header_bytes=8192) as (_, port):
        assert (await said(port, GET, piece, pause=0.01)).startswith(b"HTTP/1.1 431 ")
        assert (await ask(port)).endswith(b"\r\n0")


@pytest.mark.parametrize("piece", [b"X-Large: " + b"x" * 9000, b"X: y\r\n" * 3000])
async def test_a_large_header_is_refused_also_when_it_comes_in_one_piece(piece: bytes) -> None:
    async with serving(header_bytes=8192) as (_, port):
        whole = GET + piece.rstrip() + b"\r\n\r\n"
        assert (await said(port, whole)).startswith(b"HTTP/1.1 431 ")
        answer = await said(port, whole + GET + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        body = b"PUT /size HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000)
        assert (await said(port, body)).endswith(b"\r\n100000")
        put = whole.replace(b"GET", b"PUT").replace(b"Host: x", b"Host: x\r\nContent-Length: 4")
        assert (await said(port, put + b"body")).startswith(b"HTTP/1.1 431 ")


async def test_drops_of_a_body_do_not_keep_a_connection() -> None:
    async with serving(stall_seconds=0.3, body_bytes_per_second=1000) as (server, port):
        head = b"PUT /size HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        assert await said(port, head, *[b"x"] * 100, pause=0.02) == b""
        assert not connections(server)


async def test_a_body_that_keeps_the_pace_may_take_its_time() -> None:
    async with serving(stall_seconds=0.5, body_bytes_per_second=1000) as (_, port):
        head = b"PUT /size HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 150000\r\n\r\n"
        await heard(port, head, *[bytes(5000)] * 30, pause=0.05, end=b"\r\n150000")


async def test_a_body_that_nobody_reads_is_waited_for() -> None:
    async with serving(stall_seconds=0.2, body_bytes_per_second=1_000_000) as (_, port):
        head = b"PUT /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n"
        await heard(port, head, bytes(300_000), end=b"\r\ndone")


async def test_a_body_that_stops_ends_the_connection() -> None:
    async with serving(stall_seconds=0.1) as (server, port):
        head = b"PUT /size HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        assert await said(port, head + b"only this") == b""
        assert not connections(server)


async def test_a_body_that_moves_may_take_its_time() -> None:
    async with serving(stall_seconds=30, header_seconds=0.5) as (_, port):
        head = b"PUT /size HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\n"
        await heard(port, head, *[b"0123456789"] * 10, pause=0.1, end=b"\r\n100")


async def test_what_takes_long_on_our_side_is_waited_for() -> None:
    async with serving(stall_seconds=0.3, header_seconds=0.3) as (_, port):
        await heard(port, b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", end=b"\r\ndone")


async def test_a_request_that_is_begun_while_another_is_answered_spoils_nothing() -> None:
    async with serving(header_seconds=0.3) as (_, port):
        begun = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /si"
        await heard(port, begun, begin=b"HTTP/1.1 200 ", within=b"\r\ndone")


async def test_bytes_between_requests_do_not_keep_a_connection() -> None:
    async with serving(header_seconds=0.3) as (server, port):
        await heard(port, GET + b"\r\n", b"\r\n", pause=0.2, end=b"\r\n0")
        assert not connections(server)


async def test_an_answer_that_is_not_taken_is_given_up() -> None:
    async with serving(stall_seconds=0.2) as (server, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            while not connections(server):
                await asyncio.sleep(0.01)
            while connections(server):
                await asyncio.sleep(0.01)
        writer.close()


async def test_an_answer_that_is_taken_arrives_whole() -> None:
    async with serving(stall_seconds=5) as (_, port):
        answer = await said(port, b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert len(answer) > 16 * MEBIBYTE


async def test_one_connection_too_many_is_turned_away() -> None:
    async with serving(connections=3) as (server, port):
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        async with asyncio.timeout(PATIENCE):
            while len(connections(server)) < 3:
                await asyncio.sleep(0.01)
        assert (await said(port)).startswith(b"HTTP/1.1 503 ")
        for _, writer in kept:
            writer.close()
        async with asyncio.timeout(PATIENCE):
            while connections(server):
                await asyncio.sleep(0.01)
        assert (await ask(port)).endswith(b"\r\n0")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"GET /size HTTP/9.9\r\n\r\n",
        b"PUT /size HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"PUT /size HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PUT /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /%zz\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_garbage_is_answered_or_hung_up_on(garbage: bytes) -> None:
    async with serving(header_seconds=0.1, stall_seconds=0.1) as (server, port):
        answer = await said(port, garbage)
        assert not answer or answer.startswith(b"HTTP/1.1 4"), answer
        assert (await ask(port)).endswith(b"\r\n0")
        assert not connections(server)
