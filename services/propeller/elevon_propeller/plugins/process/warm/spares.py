"""Processes forked ahead of the attempts they are for: when one is needed, all it waits for is to be told which."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from .kernel import end_child, receive_with_descriptors, send_with_descriptors

_LONGEST_REHEARSAL = 30
_PAUSE = 0.02
_MOST_FAILURES = 3
_HAND_OVER_TIMEOUT = 5.0


class Spares:
    """A few processes that wait; `fork` makes one and answers its process id and the near end of its channel."""

    def __init__(self, size: int, fork: Callable[[], tuple[int, socket.socket]]) -> None:
        self._size = size
        self._fork = fork
        self._waiting: dict[int, socket.socket] = {}
        self._failures = 0
        self._refill_at = time.monotonic()

    @property
    def pids(self) -> set[int]:
        """Process ids of those who wait."""
        return set(self._waiting)

    def take(self, message: dict[str, Any], lock: int) -> int | None:
        """Turn one into an attempt, which gets the message and the lock; answers its process id, None without one."""
        self._refill_at = time.monotonic() + _PAUSE  # what starts now should not have to share the processor
        while self._waiting:
            pid = next(iter(self._waiting))  # the one that had most time to get ready
            channel = self._waiting.pop(pid)
            try:
                channel.settimeout(_HAND_OVER_TIMEOUT)
                send_with_descriptors(channel, message, [lock])
            except OSError:
                self._failed(pid, channel)
                continue
            channel.close()
            self._failures = 0
            return pid
        return None

    def moment(self) -> float | None:
        """When `refill` wants to be called, in monotonic seconds; None when there are enough."""
        wanted = len(self._waiting) < self._size and self._failures < _MOST_FAILURES
        return self._refill_at if wanted else None

    def refill(self) -> None:
        """Fork one if one is missing and it is time; to be called while a processor is free for it."""
        moment = self.moment()
        if moment is not None and time.monotonic() >= moment:
            pid, channel = self._fork()
            self._waiting[pid] = channel

    def died(self, pid: int) -> bool:
        """Take note that a child has ended; answers whether it was one of these."""
        channel = self._waiting.pop(pid, None)
        if channel is None:
            return False
        channel.close()
        self._failures += 1
        return True

    def close(self, *, in_child: bool = False) -> None:
        """End them all; in a child of the server only let go of them."""
        for pid, channel in self._waiting.items():
            channel.close()
            if not in_child:
                end_child(pid)
        self._waiting.clear()

    def _failed(self, pid: int, channel: socket.socket) -> None:
        channel.close()
        end_child(pid)
        self._failures += 1


def wait_to_be_needed(channel: socket.socket, rehearse: Callable[[], object]) -> dict[str, Any] | None:
    """In a spare: get ready, then wait for the message and the lock; None when the server is gone."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LONGEST_REHEARSAL)
    with contextlib.suppress(Exception):
        rehearse()
    signal.alarm(0)
    received = receive_with_descriptors(channel)
    if received is None:
        return None
    message, descriptors = received
    os.set_inheritable(descriptors[0], True)
    return message
