"""Handing an attempt over to a process that was forked ahead."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterable
from typing import Any

import pytest
from elevon_propeller.plugins.process.warm.kernel import receive_with_descriptors, send_with_descriptors
from elevon_propeller.plugins.process.warm.spares import Spares

MESSAGE = {"folder": "/somewhere", "spec": {"arguments": ["sh"]}}


class Eager(socket.socket):
    """An end whose peer has read everything, and closed, before a send returns."""

    peer: socket.socket
    received: tuple[dict[str, Any], list[int]] | None = None

    def sendmsg(self, buffers: Iterable[Any], *rest: Any) -> int:
        """Send, and let the peer act at once."""
        sent = super().sendmsg(buffers, *rest)
        self.received = receive_with_descriptors(self.peer)
        self.peer.close()
        return sent


def eager_pair() -> Eager:
    near, far = socket.socketpair()
    eager = Eager(fileno=near.detach())
    eager.peer = far
    return eager


def test_a_message_that_was_read_at_once_counts_as_sent() -> None:
    lock, other = os.pipe()
    channel = eager_pair()
    send_with_descriptors(channel, MESSAGE, [lock])
    assert channel.received is not None
    message, descriptors = channel.received
    assert message == MESSAGE
    for descriptor in (*descriptors, lock, other):
        os.close(descriptor)
    channel.close()


def test_who_took_the_attempt_at_once_is_the_attempt() -> None:
    lock, other = os.pipe()
    channel = eager_pair()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        spares = Spares(1, lambda: (child.pid, channel))
        spares.refill()
        assert spares.take(MESSAGE, lock) == child.pid
        assert child.poll() is None
        child.kill()
    assert channel.received is not None
    for descriptor in (*channel.received[1], lock, other):
        os.close(descriptor)


def test_a_peer_that_is_gone_has_not_taken_it() -> None:
    near, far = socket.socketpair()
    far.close()
    with pytest.raises(OSError, match="Broken pipe"):
        send_with_descriptors(near, MESSAGE, [])
    near.close()
