"""The one port: real sockets on both sides of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from elevon.front_door import HTTP2_PREFACE, UNAVAILABLE_BODY, Backend, FrontDoor

from tests.servers import free_port

MEBIBYTE = 1024 * 1024
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def backend(handler: Handler, port: int = 0) -> AsyncIterator[int]:
    """A server on loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=MEBIBYTE)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def named(name: bytes) -> Handler:
    """Answers its name and then everything it is sent, until the other side ends."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name + b":")
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    return handle


@contextlib.asynccontextmanager
async def door(
    grpc: int, http: int, first: float = 10, wait: float = 10, most: int = 1000
) -> AsyncIterator[tuple[FrontDoor, int]]:
    """An open front door and its port."""
    opened = FrontDoor(
        Backend("grpc", "127.0.0.1", grpc),
        Backend("http", "127.0.0.1", http),
        first_bytes_seconds=first,
        backend_seconds=wait,
        most=most,
    )
    port = await opened.open("127.0.0.1", 0)
    try:
        yield opened, port
    finally:
        await opened.close()


async def exchange(port: int, *packets: bytes) -> bytes:
    """Send packets, end the sending side, and read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for packet in packets:
        writer.write(packet)
        await asyncio.sleep(0.005)
    writer.write_eof()
    answer = await reader.read(-1)
    writer.close()
    return answer


@pytest.mark.parametrize("size", [1, 2, 3, 7, 24])
async def test_a_preface_in_pieces_goes_to_grpc(size: int) -> None:
    pieces = [HTTP2_PREFACE[start : start + size] for start in range(0, len(HTTP2_PREFACE), size)]
    async with backend(named(b"grpc")) as grpc, backend(named(b"http")) as http, door(grpc, http) as (_, port):
        assert await exchange(port, *pieces) == b"grpc:" + HTTP2_PREFACE


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\n\r\n", b"PUT /x HTTP/1.1\r\n", b"PROPFIND /", b"P", b"x"])
async def test_everything_else_goes_to_http(request_line: bytes) -> None:
    pieces = [request_line[:2], request_line[2:]] if len(request_line) > 2 else [request_line + b"ATCH"]
    async with backend(named(b"grpc")) as grpc, backend(named(b"http")) as http, door(grpc, http) as (_, port):
        assert await exchange(port, *pieces) == b"http:" + b"".join(pieces)


@pytest.mark.parametrize("first", [b"", b"P", b"PR"])
async def test_a_connection_that_says_too_little_is_cut(first: bytes) -> None:
    async with backend(named(b"http")) as http, door(http, http, first=0.05) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()


async def test_who_leaves_before_saying_enough_leaves_nothing_behind() -> None:
    async with backend(named(b"http")) as http, door(http, http) as (opened, port):
        assert await exchange(port, b"PR") == b""
        await no_visitors(opened)


async def no_visitors(opened: FrontDoor) -> None:
    async with asyncio.timeout(20):
        while opened._visitors:
            await asyncio.sleep(0.005)


async def test_a_connection_waits_for_a_backend_that_comes_up() -> None:
    late = free_port()
    async with door(late, late, wait=20) as (_, port):
        asking = asyncio.create_task(exchange(port, b"GET /"))
        await asyncio.sleep(0.1)
        async with backend(named(b"late"), late):
            assert await asking == b"late:GET /"


async def test_a_backend_that_stays_away_is_said_in_http_and_hung_up_in_grpc() -> None:
    nobody, other = free_port(), free_port()
    async with door(nobody, other, wait=0.05) as (opened, port):
        answer = await exchange(port, b"GET / HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(UNAVAILABLE_BODY)
        assert await exchange(port, HTTP2_PREFACE) == b""
        await no_visitors(opened)


async def test_large_transfers_both_ways_arrive_whole() -> None:
    data = bytes(range(256)) * (16 * MEBIBYTE // 256)
    async with backend(named(b"echo")) as http, door(http, http) as (opened, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MEBIBYTE)

        async def send() -> None:
            writer.write(b"GET ")
            for start in range(0, len(data), MEBIBYTE):
                writer.write(data[start : start + MEBIBYTE])
                await writer.drain()
            writer.write_eof()

        sending = asyncio.create_task(send())
        answer = await reader.read(-1)
        await sending
        writer.close()
        assert answer == b"echo:GET " + data
        await no_visitors(opened)


async def test_a_reader_that_pauses_holds_the_sender_back() -> None:
    """What a client does not read stays with the backend, not in the memory of the front door."""
    sent = 0
    total = 64 * MEBIBYTE

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.read(1)
        while sent < total:
            writer.write(bytes(MEBIBYTE))
            await writer.drain()
            sent += MEBIBYTE

    async with backend(pour) as http, door(http, http) as (opened, port):
        client = socket.create_connection(("127.0.0.1", port))
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"GET ")
        before = -1
        while before != sent or sent == 0:
            before = sent
            await asyncio.sleep(0.2)
        assert sent < total
        (visitor,) = opened._visitors
        assert visitor.transport is not None
        assert visitor.transport.get_write_buffer_size() < MEBIBYTE
        received = 0
        while data := await loop.sock_recv(client, MEBIBYTE):
            received += len(data)
        client.close()
        assert received == total


async def test_an_upload_that_the_backend_does_not_read_is_held_back_from_the_first_bytes_on() -> None:
    release = asyncio.Event()
    received = 0

    async def lazy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await release.wait()
        while data := await reader.read(MEBIBYTE):
            received += len(data)

    async with backend(lazy) as http, door(http, http) as (opened, port):
        client = socket.create_connection(("127.0.0.1", port))
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(client, bytes(64 * MEBIBYTE)))
        async with asyncio.timeout(20):
            while not any(each.other is not None and each.other.transport is not None for each in opened._visitors):
                await asyncio.sleep(0.01)
        (done, _) = await asyncio.wait((sending,), timeout=0.5)
        assert not done
        (visitor,) = opened._visitors
        assert visitor.other is not None
        assert visitor.other.transport is not None
        assert visitor.other.transport.get_write_buffer_size() < MEBIBYTE
        release.set()
        await sending
        client.close()
        await no_visitors(opened)
        async with asyncio.timeout(20):
            while received < 64 * MEBIBYTE:
                await asyncio.sleep(0.01)


async def test_the_client_may_end_its_side_and_still_be_answered() -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"%d bytes" % len(await reader.read(-1)))

    async with backend(answer_at_the_end) as http, door(http, http) as (opened, port):
        assert await exchange(port, b"GET ", b"x" * 1000) == b"1004 bytes"
        await no_visitors(opened)


async def test_the_backend_may_end_its_side_and_still_be_told() -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"done")
        writer.write_eof()
        heard.set_result(await reader.read(-1))

    async with backend(listen_on) as http, door(http, http) as (opened, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET ")
        assert await reader.read(-1) == b"done"
        writer.write(b"more")
        writer.write_eof()
        async with asyncio.timeout(20):
            assert await heard == b"GET more"
        await no_visitors(opened)
        writer.close()


async def test_a_client_that_vanishes_takes_the_backend_connection_along() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def until_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began.set()
        with contextlib.suppress(ConnectionError):
            await reader.read(-1)
        ended.set()

    async with backend(until_end) as http, door(http, http) as (opened, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET ")
        async with asyncio.timeout(20):
            await began.wait()
        writer.transport.abort()
        async with asyncio.timeout(20):
            await ended.wait()
        await no_visitors(opened)


async def test_many_connections_at_once() -> None:
    async with backend(named(b"grpc")) as grpc, backend(named(b"http")) as http, door(grpc, http) as (opened, port):
        answers = await asyncio.gather(
            *(exchange(port, HTTP2_PREFACE if number % 2 else b"GET %d" % number) for number in range(200))
        )
        expected = [b"grpc:" + HTTP2_PREFACE if number % 2 else b"http:GET %d" % number for number in range(200)]
        assert answers == expected
        await no_visitors(opened)


async def test_refusing_lets_connections_go_on_and_closing_ends_them() -> None:
    async with backend(named(b"http")) as http, door(http, http) as (opened, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET ")
        assert await reader.readexactly(9) == b"http:GET "
        opened.refuse()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"on")
        assert await reader.readexactly(2) == b"on"
        await opened.close()
        assert await reader.read(-1) == b""
        assert not opened._visitors
        writer.close()


async def test_closing_does_not_wait_for_a_client_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elevon.front_door.GOODBYE_SECONDS", 0.05)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(MEBIBYTE))
            await writer.drain()

    async with backend(pour) as http, door(http, http) as (opened, port):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"GET ")
        await asyncio.sleep(0.2)
        await opened.close()
        await no_visitors(opened)
        client.close()


async def test_a_port_in_use_is_an_os_error() -> None:
    async with door(1, 1) as (_, port):
        second = FrontDoor(Backend("grpc", "127.0.0.1", 1), Backend("http", "127.0.0.1", 1))
        with pytest.raises(OSError, match="in use"):
            await second.open("127.0.0.1", port)
        await second.close()


async def test_when_the_door_is_full_the_longest_silent_connection_makes_room() -> None:
    async with backend(named(b"http")) as http, door(http, http, most=3) as (opened, port):
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for number in (1, 0, 2):  # the second is then the one that spoke first
            reader, writer = kept[number]
            writer.write(b"GET %d" % number)
            assert await reader.readexactly(10) == b"http:GET %d" % number
        assert await exchange(port, b"GET ") == b"http:GET "
        assert await kept[1][0].read(-1) == b""
        for number in (0, 2):
            reader, writer = kept[number]
            writer.write(b"on")
            assert await reader.readexactly(2) == b"on"
            writer.close()
        await no_visitors(opened)


async def test_a_flood_of_silent_connections_keeps_nobody_out() -> None:
    async with backend(named(b"http")) as http, door(http, http, most=50) as (opened, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(400)]
        assert len(opened._visitors) <= 50
        assert await exchange(port, b"GET ") == b"http:GET "
        for _, writer in silent:
            writer.close()
        await no_visitors(opened)


async def test_what_a_client_does_not_take_is_thrown_away_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elevon.front_door.STALL_SECONDS", 0.1)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                writer.write(bytes(MEBIBYTE))
            await asyncio.sleep(0.3)
            writer.transport.abort()

    async with backend(pour) as http, door(http, http) as (opened, port):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"GET ")
        async with asyncio.timeout(20):
            while not opened._visitors:
                await asyncio.sleep(0.005)
        await no_visitors(opened)
        client.close()
