"""Learning from attempts what to import for all: in the server.

What attempts import of the installed packages is tried in a process apart, the successor (see `successor`). When all
went well there, it takes the server's place; whatever harms it is not tried again while the packages stay the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from .frames import Connection
from .kernel import end_child, receive_with_descriptors, send_with_descriptors, write_durably
from .preloaded import Preloaded

_WORTHWHILE = 0.03
"""Seconds attempts must spend on imports before it pays to do them once for all."""

_PAUSE = 0.2
_MOST_TRIALS = 25
_MOST_MODULES = 3000
_HAND_OVER_TIMEOUT = 5.0


class Adoption:
    """What was learned, kept in a file, and the successor that tries it.

    `fork` makes the successor: it is given the message to begin with, and answers its process id and a channel to it.
    """

    def __init__(
        self,
        file: str,
        preloaded: Preloaded,
        patience: float,
        fork: Callable[[dict[str, Any]], tuple[int, socket.socket]],
    ) -> None:
        self._file = file
        self._preloaded = preloaded
        self._patience = patience
        self._fork = fork
        self._wanted: list[str] = []
        self._rejected: dict[str, str] = {}
        self._unsaved_seconds = 0.0
        self._trials = 0
        self._try_at: float | None = None
        self._importing = ""
        self._deadline = 0.0
        self.pid = 0
        self.channel: Connection | None = None
        self.is_ready = False
        self._read()

    # -- what is known

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError), open(self._file) as file:
            kept = json.load(file)
            self._wanted = [name for name in kept["modules"] if isinstance(name, str)]
            if kept["environment"] == self._environment():
                self._rejected = dict(kept["rejected"])
        if self._candidates():
            self._try_at = time.monotonic() + _PAUSE

    def _write(self) -> None:
        content = {"environment": self._environment(), "modules": self._wanted, "rejected": self._rejected}
        with contextlib.suppress(OSError):
            write_durably(self._file, content)

    def _environment(self) -> str:
        return hashlib.sha256(self._preloaded.environment.encode()).hexdigest()

    def _candidates(self) -> list[str]:
        known = set(self._preloaded.modules)
        return [name for name in self._wanted if name not in known and not self._is_rejected(name)]

    def _is_rejected(self, name: str) -> bool:
        parts = name.split(".")
        return any(".".join(parts[:length]) in self._rejected for length in range(1, len(parts) + 1))

    def learn(self, report: dict[str, Any]) -> None:
        """Take note of what an attempt imported by itself."""
        known = set(self._wanted)
        fresh = [name for name in report["modules"] if name not in known and not self._is_rejected(name)]
        if not fresh or len(self._wanted) + len(fresh) > _MOST_MODULES:
            return
        self._wanted += fresh
        self._unsaved_seconds += report["seconds"]
        if self._unsaved_seconds >= _WORTHWHILE and self._try_at is None:
            self._try_at = time.monotonic() + _PAUSE

    # -- the successor

    def moment(self) -> float | None:
        """When `on_time` wants to be called, in monotonic seconds."""
        if self.channel is not None:
            return None if self.is_ready else self._deadline
        return self._try_at if self._trials < _MOST_TRIALS else None

    def on_time(self) -> None:
        """Begin a trial when it is time for one; end one that hangs."""
        moment = self.moment()
        if moment is None or time.monotonic() < moment:
            return
        if self.channel is not None:
            self._give_up(f"did not end within {self._patience:g} seconds")
            return
        self._try_at = None
        fresh = not self._preloaded.is_current()
        names = [*self._preloaded.modules, *self._candidates()]
        if fresh or len(names) > len(self._preloaded.modules):
            self._trials += 1
            self._importing = ""
            pid, channel = self._fork({"modules": names, "fresh": fresh, "loaded": self._preloaded.modules})
            channel.setblocking(False)
            self.pid, self.channel, self._deadline = pid, Connection(channel), time.monotonic() + self._patience

    def refresh(self) -> None:
        """Try a successor with the packages as they are now, if they are others than this process imported."""
        if self.channel is None and self._try_at is None and not self._preloaded.is_current():
            self._rejected.clear()
            self._try_at = time.monotonic() + _PAUSE

    def on_message(self) -> None:
        """Hear from the successor."""
        assert self.channel is not None
        messages = self.channel.receive()
        for message in messages or []:
            self._deadline = time.monotonic() + self._patience
            if "importing" in message:
                self._importing = message["importing"]
            elif "rejected" in message:
                self._importing = message["rejected"]
                self._give_up(message["reason"])
                return
            elif "ready" in message:
                self._importing = ""
                self._wanted = list(message["ready"])
                self._write()
                self.is_ready = True
        if messages is None:
            self._give_up("ended the process that imported it")

    def died(self, pid: int) -> None:
        """Take note that a child has ended; what follows from it does when its channel is read."""
        if pid == self.pid:
            self.pid = 0

    def _give_up(self, reason: str) -> None:
        if not self.is_ready:  # else it did nothing wrong
            for name in [self._importing] if self._importing else self._candidates():
                self._rejected[name] = reason
                sys.stderr.write(f"{name} is not imported for all tasks: it {reason}\n")
                sys.stderr.flush()
        self.end()
        self._write()
        if self._candidates():
            self._try_at = time.monotonic() + _PAUSE

    def end(self, *, in_child: bool = False) -> None:
        """End the successor, if there is one; in a child of the server only let go of it."""
        if self.channel is not None:
            self.channel.peer.close()
        if self.pid and not in_child:
            end_child(self.pid)
        self.pid, self.channel, self.is_ready = 0, None, False

    def hand_over(self, descriptors: list[int]) -> bool:
        """Give the server's files to the successor; once this answers True, this process must do nothing more."""
        assert self.channel is not None
        channel = self.channel.peer
        try:
            channel.settimeout(_HAND_OVER_TIMEOUT)
            send_with_descriptors(channel, {"take": "over"}, descriptors)
            if receive_with_descriptors(channel) is None:
                raise ConnectionError("the successor is gone")
            send_with_descriptors(channel, {"go": "on"}, [])
        except (OSError, ValueError):
            self.end()
            return False
        return True
