"""The server proper: one thread, one selector, and the processes of the attempts."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from typing import Any

from . import PROTOCOL
from .attempt import be_the_attempt
from .children import Family
from .frames import Connection
from .kernel import kill_group
from .preloaded import Preloaded
from .records import Attempt
from .rehearsal import rehearse
from .spares import Spares, wait_to_be_needed

_ESSENTIAL = ("flytekit", "flytekit.bin.entrypoint")

# What flytekit and its dependencies import late, on the way to a task's first line and back; absent ones do no harm.
_IMPORTED_LATE = ("fsspec.implementations.local", "multiprocessing.connection", "concurrent.futures.thread")


class Server:
    """One thread and one selector: threads do not survive forks."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.selector = selectors.DefaultSelector()
        self.connections: set[Connection] = set()
        self.family = Family(self._on_end, self._let_go_in_child)
        self.spares = Spares(options.spares, lambda: self.family.fork_with_channel(self._be_spare))
        self.leaving = False
        self.alone_since = time.monotonic()
        self.trouble = ""
        self.version = ""
        self.preloaded = Preloaded(options.preload)
        self.wake_reader, self.wake_writer = os.pipe()
        self.lock = -1
        self.listener: socket.socket

    def begin(self) -> None:
        """Take the folder and listen."""
        self.lock = os.open(os.path.join(self.options.folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)  # a server on its way out may still hold it
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.options.socket)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.options.socket)
        os.chmod(self.options.socket, 0o600)
        self.listener.listen(16)
        self.listener.setblocking(False)

    def warm_up(self) -> None:
        """Import what every attempt needs; clients are told of what fails."""
        for module in (*_ESSENTIAL, *_IMPORTED_LATE, *self.options.preload):
            try:
                importlib.import_module(module)
            except BaseException as error:  # an import may also leave the interpreter
                traceback.print_exc()
                if module in _ESSENTIAL:
                    self.trouble = f"{type(error).__name__}: {error}"
        if not self.trouble:
            rehearse(threads=False)
        self.version = str(getattr(sys.modules.get("flytekit"), "__version__", ""))

    def serve(self) -> None:
        """Work until told to leave, or until nobody has been there for the time of grace."""
        gc.collect()
        gc.freeze()  # the collector would otherwise touch, and so copy, every page in every child
        self._handle_signals()
        self.selector.register(self.wake_reader, selectors.EVENT_READ, None)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        while self.family.attempts or not self.leaving:
            for key, mask in self.selector.select(self._patience()):
                self._on_ready(key, mask)
            self.family.reap(self.spares)
            self._on_time()
        self.spares.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.options.socket)

    def _handle_signals(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._leave("the fork server was told to end"))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        os.set_blocking(self.wake_reader, False)
        os.set_blocking(self.wake_writer, False)
        signal.set_wakeup_fd(self.wake_writer, warn_on_full_buffer=False)

    # -- clients

    def _on_ready(self, key: selectors.SelectorKey, mask: int) -> None:
        if key.fileobj is self.listener:
            self._accept()
        elif key.fileobj == self.wake_reader:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake_reader, 4096)
        elif key.data in self.connections:
            self._on_connection(key.data, mask)

    def _accept(self) -> None:
        try:
            peer, _ = self.listener.accept()
        except OSError:
            return
        peer.setblocking(False)
        connection = Connection(peer)
        self.connections.add(connection)
        self.selector.register(peer, selectors.EVENT_READ, connection)

    def _on_connection(self, connection: Connection, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            connection.flush()
        messages = connection.receive() if mask & selectors.EVENT_READ else []
        if messages is None:
            self.selector.unregister(connection.peer)
            connection.peer.close()
            self.connections.discard(connection)
            self.alone_since = time.monotonic()
            return
        for message in messages:
            self._on_message(connection, message)
        self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.outgoing else 0)
        self.selector.modify(connection.peer, events, connection)

    def _send(self, connection: Connection, message: dict[str, Any]) -> None:
        if connection in self.connections:
            connection.send(message)
            self._watch(connection)

    # -- what clients ask

    def _on_message(self, connection: Connection, message: dict[str, Any]) -> None:
        handlers = {
            "hello": self._on_hello,
            "launch": self._on_launch,
            "stop": self._on_stop,
            "leave": self._on_leave,
        }
        try:
            answer = handlers[message["op"]](connection, message)
        except Exception as error:
            traceback.print_exc()
            answer = {"state": "refused", "reason": f"{type(error).__name__}: {error}"}
        if answer is not None:
            self._send(connection, {**answer, "id": message["id"]})

    def _on_hello(self, connection: Connection, message: dict[str, Any]) -> dict[str, Any]:
        return {
            "protocol": PROTOCOL,
            "identity": self.options.identity,
            "pid": os.getpid(),
            "flytekit": self.version,
            "trouble": self.trouble,
        }

    def _on_launch(self, connection: Connection, message: dict[str, Any]) -> dict[str, Any]:
        """Start an attempt, or say what has become of it; without a spec, only say."""
        name, folder = message["name"], message["folder"]
        if name in self.family.attempts:
            return {"state": "running"}
        with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, "exit.json")) as file:
            return {"state": "exited", "exit": json.load(file)}
        if message["spec"] is None:
            return {"state": "unknown"}
        if message.get("until") is not None and time.monotonic() >= message["until"]:
            return {"state": "late"}
        lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return {"state": "held"}
        return self._launch(name, folder, message["spec"], lock)

    def _launch(self, name: str, folder: str, spec: dict[str, Any], lock: int) -> dict[str, Any]:
        """Let a spare process be the attempt, or a new one; only the attempt keeps the lock."""
        try:
            pid = self.spares.take({"folder": folder, "spec": spec}, lock)
            if pid is None:
                pid = self.family.fork(lambda: self._be_attempt(folder, spec, lock))
        finally:
            os.close(lock)
        self.family.add(Attempt(name, folder, pid))
        return {"state": "running"}

    def _on_stop(self, connection: Connection, message: dict[str, Any]) -> dict[str, Any] | None:
        """End an attempt; answers when nothing of it runs."""
        attempt = self.family.attempts.get(message["name"])
        if attempt is None:
            return {"state": "gone"}
        attempt.waiting.append((connection, message["id"]))
        attempt.stop(message["reason"], message["grace"])
        return None

    def _on_leave(self, connection: Connection, message: dict[str, Any]) -> dict[str, Any]:
        """The client goes for good: leave at once when idle, or, with `kill`, when all attempts are ended.

        While others are connected, stay.
        """
        if self.connections == {connection} and message["kill"]:
            self._leave("the service ended")
        elif self.connections == {connection} and not self.family.attempts:
            self.leaving = True
        return {"state": "leaving" if self.leaving else "staying"}

    def _leave(self, reason: str) -> None:
        """End everything without an exit.json, so that it is run again."""
        self.leaving = True
        for attempt in list(self.family.attempts.values()):
            attempt.folder = ""
            attempt.stop(reason, self.options.kill_grace)

    # -- in a child

    def _let_go_in_child(self) -> None:
        """Close everything that is the server's."""
        signal.set_wakeup_fd(-1)
        self.selector.close()
        self.listener.close()
        self.spares.close(in_child=True)
        for connection in self.connections:
            connection.peer.close()
        for descriptor in (self.wake_reader, self.wake_writer, self.lock):
            os.close(descriptor)

    def _be_attempt(self, folder: str, spec: dict[str, Any], lock: int) -> None:
        os.set_inheritable(lock, True)
        be_the_attempt(folder, spec, self.preloaded)

    def _be_spare(self, channel: socket.socket) -> None:
        received = wait_to_be_needed(channel, lambda: None if self.trouble else rehearse(threads=True))
        channel.close()
        if received is None:
            os._exit(0)
        be_the_attempt(received["folder"], received["spec"], self.preloaded)

    # -- what happens by itself

    def _on_end(self, attempt: Attempt, record: dict[str, Any]) -> None:
        """Tell everybody that an attempt has ended, and those who waited that nothing of it runs."""
        if attempt.folder:
            for connection in list(self.connections):
                self._send(connection, {"event": "exited", "name": attempt.name, "exit": record})
        for connection, request in attempt.waiting:
            self._send(connection, {"id": request, "state": "gone"})

    def _on_time(self) -> None:
        now = time.monotonic()
        for attempt in self.family.attempts.values():
            if attempt.kill_at is not None and now >= attempt.kill_at and attempt.status is None:
                kill_group(attempt.pid, signal.SIGKILL)
                attempt.kill_at = now + 1
        if not self.connections and not self.leaving and now - self.alone_since >= self.options.grace:
            self._leave("nobody came back for it")
        if not self.leaving and self._has_capacity():
            self.spares.refill()

    def _has_capacity(self) -> bool:
        """Whether there are fewer attempts than processors; spare processes cost work, which then slows nobody."""
        return len(self.family.by_pid) < (os.cpu_count() or 1)

    def _patience(self) -> float | None:
        """Seconds until something is due; None when nothing is."""
        alive = (attempt for attempt in self.family.attempts.values() if attempt.status is None)
        moments = [attempt.kill_at for attempt in alive if attempt.kill_at is not None]
        refill = self.spares.moment() if not self.leaving and self._has_capacity() else None
        if refill is not None:
            moments.append(refill)
        if not self.connections and not self.leaving:
            moments.append(self.alone_since + self.options.grace)
        if self.family.ending:
            moments.append(time.monotonic() + 0.02)
        return max(0.0, min(moments) - time.monotonic()) if moments else None
