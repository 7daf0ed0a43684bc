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
from collections.abc import Callable
from typing import Any, NoReturn

from . import PROTOCOL
from .adoption import Adoption
from .attempt import be_the_attempt
from .frames import Connection
from .kernel import (
    CHILD_SUBREAPER,
    PARENT_DEATH_SIGNAL,
    ask_kernel,
    children_of_this_process,
    kill_group,
    receive_with_descriptors,
    write_durably,
)
from .preloaded import Preloaded
from .records import Attempt
from .rehearsal import rehearse
from .spares import Spares, wait_to_be_needed
from .successor import take_over, try_modules, write_pid

_ESSENTIAL = ("flytekit", "flytekit.bin.entrypoint")

# What flytekit and its dependencies import late, on the way to a task's first line and back; absent ones do no harm.
_IMPORTED_LATE = ("fsspec.implementations.local", "multiprocessing.connection", "concurrent.futures.thread")


class Server:
    """One thread and one selector: threads do not survive forks."""

    def __init__(self, options: argparse.Namespace, predecessor: Server | None = None) -> None:
        self.options = options
        self.selector = selectors.DefaultSelector()
        self.connections: set[Connection] = set()
        self.attempts: dict[str, Attempt] = {}
        self.by_pid: dict[int, Attempt] = {}
        self.ending: list[Attempt] = []
        self.leaving = False
        self.alone_since = time.monotonic()
        self.trouble: str = predecessor.trouble if predecessor else ""
        self.version: str = predecessor.version if predecessor else ""
        self.preloaded: Preloaded = predecessor.preloaded if predecessor else Preloaded()
        self.wake_reader, self.wake_writer = os.pipe()
        self.spares = Spares(options.spares, self._fork_spare)
        self.adoption = Adoption(
            os.path.join(options.folder, "modules.json"), self.preloaded, options.patience, self._fork_successor
        )
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

    def inherit(self, descriptors: list[int]) -> None:
        """Go on with the lock, the socket and the clients of another process."""
        self.lock = descriptors[0]
        self.listener = socket.socket(fileno=descriptors[1])
        for descriptor in descriptors[2:]:
            self._welcome(socket.socket(fileno=descriptor))

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
        """Work until told to leave, until nobody has been there for the time of grace, or until a successor does."""
        self.preloaded.loaded = frozenset(sys.modules)
        gc.collect()
        gc.freeze()  # the collector would otherwise touch, and so copy, every page in every child
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._leave("the fork server was told to end"))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        os.set_blocking(self.wake_reader, False)
        os.set_blocking(self.wake_writer, False)
        signal.set_wakeup_fd(self.wake_writer, warn_on_full_buffer=False)
        self.selector.register(self.wake_reader, selectors.EVENT_READ, None)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        while self.attempts or not self.leaving:
            for key, mask in self.selector.select(self._patience()):
                self._on_ready(key, mask)
            self._reap()
            self._on_time()
            if self.adoption.is_ready and self._is_idle() and self._hand_over():
                os._exit(0)  # what is to be done at the end of the interpreter is the successor's
        self._end_helpers()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.options.socket)

    def _on_ready(self, key: selectors.SelectorKey, mask: int) -> None:
        if key.fileobj is self.listener:
            self._accept()
        elif key.fileobj == self.wake_reader:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake_reader, 4096)
        elif self.adoption.channel is not None and key.fileobj is self.adoption.channel.peer:
            self._on_successor()
        elif key.data in self.connections:
            self._on_connection(key.data, mask)

    def _accept(self) -> None:
        try:
            peer, _ = self.listener.accept()
        except OSError:
            return
        self._welcome(peer)

    def _welcome(self, peer: socket.socket) -> None:
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
            "modules": self.preloaded.modules,
        }

    def _on_launch(self, connection: Connection, message: dict[str, Any]) -> dict[str, Any]:
        """Start an attempt, or say what has become of it; without a spec, only say."""
        name, folder = message["name"], message["folder"]
        if name in self.attempts:
            return {"state": "running"}
        with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, "exit.json")) as file:
            return {"state": "exited", "exit": json.load(file)}
        if message["spec"] is None:
            return {"state": "unknown"}
        lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return {"state": "held"}
        return self._fork(name, folder, message["spec"], lock)

    def _fork(self, name: str, folder: str, spec: dict[str, Any], lock: int) -> dict[str, Any]:
        """Let a spare process be the attempt, or a new one; only the attempt keeps the lock."""
        try:
            taken = self.spares.take({"folder": folder, "spec": spec}, lock)
            if taken is None:
                taken = self._fork_child(lambda channel: self._be_attempt(folder, spec, lock, channel))
        finally:
            os.close(lock)
        pid, channel = taken
        self.attempts[name] = self.by_pid[pid] = Attempt(name, folder, pid, channel)
        if self.options.adapt:
            self.adoption.refresh()
        return {"state": "running"}

    # -- children

    def _fork_child(self, work: Callable[[socket.socket], None]) -> tuple[int, socket.socket]:
        """Fork a process that does some work and ends; answers its id and the near end of a channel to it."""
        near, far = socket.socketpair()
        server = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # which a child must not take for the server's
        try:
            pid = os.fork()
            if pid == 0:
                near.close()
                self._become(server, lambda: work(far))
        except BaseException:
            near.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            far.close()
        return pid, near

    def _become(self, server: int, work: Callable[[], None]) -> NoReturn:
        """In a child: let go of all that is the server's, lead a group that dies with it, do the work."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            self.selector.close()
            self.listener.close()
            self.spares.close(in_child=True)
            self.adoption.end(in_child=True)
            for peer in (*(found.peer for found in self.connections), *(a.channel for a in self.by_pid.values())):
                peer.close()
            for descriptor in (self.wake_reader, self.wake_writer, self.lock):
                os.close(descriptor)
            os.setsid()
            ask_kernel(PARENT_DEATH_SIGNAL, signal.SIGKILL)
            ask_kernel(CHILD_SUBREAPER, 1)
            if os.getppid() == server:
                work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def _be_attempt(self, folder: str, spec: dict[str, Any], lock: int, channel: socket.socket) -> None:
        os.set_inheritable(lock, True)
        be_the_attempt(folder, spec, channel, self.preloaded)

    def _fork_spare(self) -> tuple[int, socket.socket]:
        return self._fork_child(self._be_spare)

    def _be_spare(self, channel: socket.socket) -> None:
        received = wait_to_be_needed(channel, lambda: None if self.trouble else rehearse(threads=True))
        if received is None:
            os._exit(0)
        message, _ = received
        be_the_attempt(message["folder"], message["spec"], channel, self.preloaded)

    def _fork_successor(self, beginning: dict[str, Any]) -> tuple[int, socket.socket]:
        pid, channel = self._fork_child(lambda channel: self._be_successor(channel, beginning))
        self.selector.register(channel, selectors.EVENT_READ, None)
        return pid, channel

    def _be_successor(self, channel: socket.socket, beginning: dict[str, Any]) -> None:
        if beginning["fresh"]:
            channel.set_inheritable(True)
            words = sys.argv[: sys.argv.index("--channel")] if "--channel" in sys.argv else sys.argv
            told = ["--channel", str(channel.fileno()), "--modules", json.dumps(beginning["modules"])]
            os.execv(sys.executable, [sys.executable, *words, *told])  # noqa: S606  # itself
        succeed(self, beginning["modules"], channel)

    def _on_successor(self) -> None:
        channel = self.adoption.channel
        assert channel is not None
        descriptor = channel.peer
        number = descriptor.fileno()
        self.adoption.on_message()
        if self.adoption.channel is not channel:
            self.selector.unregister(number)

    def _is_idle(self) -> bool:
        busy = any(connection.incoming or connection.outgoing for connection in self.connections)
        return not (self.attempts or self.ending or self.leaving or busy)

    def _hand_over(self) -> bool:
        """Let the successor go on with everything; answers whether this process is of no use any more."""
        assert self.adoption.channel is not None
        number = self.adoption.channel.peer.fileno()
        peers = [connection.peer.fileno() for connection in self.connections]
        if self.adoption.hand_over([self.lock, self.listener.fileno(), *peers]):
            self.spares.close()
            return True
        self.selector.unregister(number)
        write_pid(self.options.folder)
        return False

    def _end_helpers(self) -> None:
        self.spares.close()
        self.adoption.end()

    def _on_stop(self, connection: Connection, message: dict[str, Any]) -> dict[str, Any] | None:
        """End an attempt; answers when nothing of it runs."""
        attempt = self.attempts.get(message["name"])
        if attempt is None:
            return {"state": "gone"}
        attempt.waiting.append((connection, message["id"]))
        self._stop(attempt, message["reason"], message["grace"])
        return None

    def _stop(self, attempt: Attempt, reason: str, grace: float) -> None:
        if attempt.status is None and attempt.kill_at is None:
            attempt.stopped = reason or "stopped"
            attempt.kill_at = time.monotonic() + grace
            kill_group(attempt.pid, signal.SIGTERM)

    def _on_leave(self, connection: Connection, message: dict[str, Any]) -> dict[str, Any]:
        """The client goes for good: leave at once when idle, or, with `kill`, when all attempts are ended.

        While others are connected, stay.
        """
        if self.connections == {connection} and message["kill"]:
            self._leave("the service ended")
        elif self.connections == {connection} and not self.attempts:
            self.leaving = True
        return {"state": "leaving" if self.leaving else "staying"}

    def _leave(self, reason: str) -> None:
        """End everything without an exit.json, so that it is run again."""
        self.leaving = True
        for attempt in list(self.attempts.values()):
            attempt.folder = ""
            self._stop(attempt, reason, self.options.kill_grace)

    # -- what happens by itself

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self.spares.died(pid)
            self.adoption.died(pid)
            attempt = self.by_pid.pop(pid, None)
            if attempt is not None:
                attempt.status, attempt.usage = status, usage
                self._learn(attempt)
                kill_group(pid, signal.SIGKILL)
                self.ending.append(attempt)
        if self.ending:
            self._finish()

    def _learn(self, attempt: Attempt) -> None:
        """Read what the process left in its channel."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), attempt.channel as channel:
            channel.settimeout(0)
            report = receive_with_descriptors(channel)
            if report is not None and self.options.adapt:
                self.adoption.learn(report[0])

    def _finish(self) -> None:
        """Kill what ended attempts left behind; when nothing is left, they have ended.

        An attempt adopts its own descendants while it lives; orphans come to this process only by its death. So every
        child that is not an attempt belongs to one that has ended. Their deaths wake the loop.
        """
        orphans = children_of_this_process() - set(self.by_pid) - self.spares.pids - {self.adoption.pid}
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not orphans:
            ended, self.ending = self.ending, []
            for attempt in ended:
                self._ended(attempt)

    def _ended(self, attempt: Attempt) -> None:
        del self.attempts[attempt.name]
        record = attempt.record()
        if attempt.folder:
            path = os.path.join(attempt.folder, "exit.json")
            try:
                if attempt.stopped or not os.path.exists(path):
                    write_durably(path, record)
            except OSError:
                traceback.print_exc()
            for connection in list(self.connections):
                self._send(connection, {"event": "exited", "name": attempt.name, "exit": record})
        for connection, request in attempt.waiting:
            self._send(connection, {"id": request, "state": "gone"})

    def _on_time(self) -> None:
        now = time.monotonic()
        for attempt in self.attempts.values():
            if attempt.kill_at is not None and now >= attempt.kill_at and attempt.status is None:
                kill_group(attempt.pid, signal.SIGKILL)
                attempt.kill_at = now + 1
        if not self.connections and not self.leaving and now - self.alone_since >= self.options.grace:
            self._leave("nobody came back for it")
        if not self.leaving:
            if self._has_capacity():
                self.spares.refill()
            self._adapt()

    def _has_capacity(self) -> bool:
        """Whether there are fewer attempts than processors; spare processes cost work, which then slows nobody."""
        return len(self.by_pid) < (os.cpu_count() or 1)

    def _adapt(self) -> None:
        channel = self.adoption.channel
        number = channel.peer.fileno() if channel is not None else -1
        if self.options.adapt:
            self.adoption.on_time()
        if channel is not None and self.adoption.channel is not channel:
            self.selector.unregister(number)

    def _patience(self) -> float | None:
        alive = (attempt for attempt in self.attempts.values() if attempt.status is None)
        moments = [attempt.kill_at for attempt in alive if attempt.kill_at is not None]
        if not self.leaving:
            refill = self.spares.moment() if self._has_capacity() else None
            moments += [moment for moment in (refill, self._adoption_moment()) if moment is not None]
        if not self.connections and not self.leaving:
            moments.append(self.alone_since + self.options.grace)
        if self.ending:
            moments.append(time.monotonic() + 0.02)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _adoption_moment(self) -> float | None:
        return self.adoption.moment() if self.options.adapt else None


def succeed(server: Server, modules: list[str], channel: socket.socket) -> NoReturn:
    """In a process forked or started for it: prove fit, take a server's place, and serve to the end."""
    if not try_modules(modules, channel, server.preloaded):
        os._exit(1)
    descriptors = take_over(channel, server.options.folder)
    if descriptors is None:
        os._exit(0)
    ask_kernel(PARENT_DEATH_SIGNAL, 0)
    channel.close()
    successor = Server(server.options, server)
    successor.inherit(descriptors)
    successor.serve()
    os._exit(0)
