"""The socket clients speak to."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

_FRAME = struct.Struct("!I")


class Connection:
    """One client: frames of a 4-byte big-endian length and that many bytes of JSON, both ways.

    Nothing here blocks; what a slow client does not read waits in `outgoing`.
    """

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.incoming = bytearray()
        self.outgoing = bytearray()

    def send(self, message: dict[str, Any]) -> None:
        """Queue a frame and send what the socket takes."""
        data = json.dumps(message).encode()
        self.outgoing += _FRAME.pack(len(data)) + data
        self.flush()

    def flush(self) -> None:
        """Send what the socket takes; errors show up when reading."""
        with contextlib.suppress(OSError):
            while self.outgoing:
                del self.outgoing[: self.peer.send(self.outgoing)]

    def receive(self) -> list[dict[str, Any]] | None:
        """The frames that are complete; None when the client is gone."""
        try:
            data = self.peer.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self.incoming += data
        return list(self._frames())

    def _frames(self) -> Iterator[dict[str, Any]]:
        while len(self.incoming) >= _FRAME.size:
            end = _FRAME.size + _FRAME.unpack_from(self.incoming)[0]
            if len(self.incoming) < end:
                return
            yield json.loads(bytes(self.incoming[_FRAME.size : end]))
            del self.incoming[:end]
