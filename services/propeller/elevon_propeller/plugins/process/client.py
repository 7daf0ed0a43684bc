"""The near end of a fork server's socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from elevon_core.errors import Internal, Unavailable

from elevon_propeller.plugins.process.folder import Exit

_FRAME = struct.Struct("!I")


class ServerLost(Unavailable):
    """The connection to a fork server is gone, and most likely the server and its attempts with it."""


class ForkServerClient:
    """One connection: requests answered in any order, and the ends of attempts as they happen.

    After the connection is lost every call raises ServerLost, and so does whatever waits for an answer or for an end.
    """

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ends: dict[str, asyncio.Future[Exit]] = {}
        self._last_id = 0

    async def connect(self, socket: Path) -> None:
        """Connect; raises OSError when nobody listens there."""
        reader, self._writer = await asyncio.open_unix_connection(str(socket))
        self._reading = asyncio.create_task(self._read(reader), name=f"fork server at {socket}")

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands."""
        return self._reading is not None and not self._reading.done()

    async def hello(self) -> dict[str, Any]:
        """Who is there; answered when the server is warm."""
        return await self._ask("hello")

    async def launch(
        self, name: str, folder: Path, spec: Mapping[str, Any] | None, until: float = math.inf
    ) -> dict[str, Any]:
        """Start an attempt, or without a spec ask what has become of it.

        The answer's `state` is `running`, `exited` (with `exit`), `unknown`, `held` (something of an earlier run holds
        the lock), `late` (`until` was over, in seconds of the machine's monotonic clock, when the server read this) or
        `refused` (with `reason`).
        """
        limit = None if until == math.inf else until
        return await self._ask("launch", name=name, folder=str(folder), spec=spec, until=limit)

    async def stop(self, name: str, reason: str, grace: float) -> None:
        """End an attempt; returns when nothing of it runs. `grace` is seconds between SIGTERM and SIGKILL."""
        await self._ask("stop", name=name, reason=reason, grace=grace)

    async def leave(self, *, kill: bool) -> bool:
        """Say goodbye; answers whether the server ends, at once when idle, or with `kill` after its attempts."""
        answer = await self._ask("leave", kill=kill)
        return bool(answer["state"] == "leaving")

    async def dismiss(self) -> None:
        """Tell the server to leave, as soon as it reads this."""
        if self._writer is not None:
            self._write({"op": "leave", "id": 0, "kill": True})
            await self._writer.drain()

    def expect(self, name: str) -> asyncio.Future[Exit]:
        """The future end of an attempt; ask for it before its launch, or the end may be missed. Cancel it if unused."""
        future = self._ends.get(name)
        if future is None or future.done():
            future = self._ends[name] = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: self._forget(name, done))
            if not self.is_connected:
                _fail(future)
        return future

    async def closed(self) -> None:
        """Wait until the server has closed the connection."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def close(self) -> None:
        """Let go of the connection; the server stays."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        if not self.is_connected:
            raise ServerLost("the fork server is gone")
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._write({"op": operation, "id": number, **arguments})
        try:
            return await answer
        finally:
            self._answers.pop(number, None)

    def _write(self, message: dict[str, Any]) -> None:
        assert self._writer is not None
        data = json.dumps(message).encode()
        self._writer.write(_FRAME.pack(len(data)) + data)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                (length,) = _FRAME.unpack(await reader.readexactly(_FRAME.size))
                self._on_message(json.loads(await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._lose()

    def _on_message(self, message: dict[str, Any]) -> None:
        if message.get("event") == "exited":
            end = self._ends.get(message["name"])
            if end is not None and not end.done():
                end.set_result(Exit(**message["exit"]))
            return
        answer = self._answers.get(message["id"])
        if answer is None or answer.done():
            return
        if message.get("state") == "refused":
            answer.set_exception(Internal(f"the fork server refused: {message['reason']}"))
        else:
            answer.set_result(message)

    def _lose(self) -> None:
        if self._writer is not None:
            self._writer.close()
        for answer in list(self._answers.values()):
            _fail(answer)
        for end in list(self._ends.values()):
            _fail(end)
        self._on_lost()

    def _forget(self, name: str, end: asyncio.Future[Exit]) -> None:
        if self._ends.get(name) is end:
            del self._ends[name]


def _fail(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(ServerLost("the fork server is gone"))
        future.exception()  # nobody may be waiting, which is fine
