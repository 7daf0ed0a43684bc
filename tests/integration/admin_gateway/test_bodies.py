"""Bodies that are too large, too many at once, or not there when the server stops; each client is a raw socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.integration.admin_gateway.harness import World, world

MEBIBYTE = 1024 * 1024
PROJECT = b'{"project": {"id": "mine", "name": "mine"}}'


class Client:
    """One request, in pieces."""

    def __init__(self, running: World) -> None:
        self.place = running.http.base_url.host, running.http.base_url.port

    async def send(self, length: int, body: bytes) -> Client:
        """The header and some of the body."""
        self.reader, self.writer = await asyncio.open_connection(*self.place)
        head = (
            f"POST /api/v1/projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}"
        )
        self.writer.write(head.encode() + b"\r\n\r\n" + body)
        await self.writer.drain()
        return self

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """Code and body of the answer."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split()[0])
            body = json.loads(await self.reader.readexactly(length))
        self.writer.close()
        return int(head.split()[1]), body


async def test_a_body_that_is_announced_too_large_is_not_waited_for(tmp_path: Path) -> None:
    async with world(tmp_path, grpc={"max_message_bytes": 2048}) as small:
        code, status = await (await Client(small).send(2049, b"{")).answer()
        assert (code, status["code"]) == (413, 8)
        assert "2048 bytes" in status["message"]
        code, _ = await (await Client(small).send(2048, PROJECT + b" " * (2048 - len(PROJECT)))).answer()
        assert code == 200


async def test_the_oldest_makes_room_when_unfinished_bodies_hold_too_much(tmp_path: Path) -> None:
    async with world(tmp_path, gateway={"unfinished_bytes": 300_000}, grpc={"max_message_bytes": 300_000}) as small:
        slow = [await Client(small).send(290_000, bytes(100_000)) for _ in range(3)]
        await asyncio.sleep(0.2)
        padded = PROJECT + b" " * 90_000
        code, _ = await (await Client(small).send(len(padded), padded)).answer()
        assert code == 200
        code, status = await slow[0].answer()
        assert (code, status["code"]) == (503, 14)
        assert "admin.gateway.unfinished_bytes, 300000 bytes" in status["message"]
        for other in slow[1:]:
            other.writer.close()
        await asyncio.sleep(0.2)
        whole = PROJECT + b" " * 250_000  # nothing is left of those that went away
        code, status = await (await Client(small).send(len(whole), whole)).answer()
        assert (code, status["code"]) == (409, 6), status


async def test_a_body_that_still_comes_when_the_server_stops(tmp_path: Path) -> None:
    async with world(tmp_path, http={"drain_seconds": 0}) as running:
        unfinished = await Client(running).send(1000, PROJECT)
        await asyncio.sleep(0.1)
    code, status = await unfinished.answer()
    assert (code, status["code"]) == (503, 14)
    assert "stopping" in status["message"]
