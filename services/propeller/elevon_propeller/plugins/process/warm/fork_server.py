"""The warm fork server: imports flytekit once, then forks for every attempt.

This file is run by path with the Python of the tasks, which has flytekit but nothing of Elevon: it uses the standard
library only and runs on Python 3.9 and later. It is the parent of all attempts of one Python environment and outlives
the process that started it; whoever connects to its socket speaks frames of JSON (see `Connection`).

What it promises:

* every process of an attempt that was forked and not executed anew holds the folder's `lock`, every other one has
  its `ELEVON_ATTEMPT` in the environment: where neither is found, nothing of the attempt lives;
* `exit.json` appears in the folder, whole and on disk, when an attempt has ended by itself or was stopped;
* when the server dies, the kernel kills its attempts (Linux); when nobody is connected for the time of grace, it kills
  them and leaves, without an `exit.json`, so that they are run again.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import ctypes
import errno
import fcntl
import gc
import importlib
import json
import os
import random
import resource
import selectors
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Iterator
from typing import Any, NoReturn

PROTOCOL = 1
"""Raised when messages change their meaning; a client that finds another number starts a server of its own."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_FRAME = struct.Struct("!I")
_ENTRY_POINTS = {"pyflyte-execute": "execute_task_cmd", "pyflyte-map-execute": "map_execute_task_cmd"}

_ESSENTIAL = ("flytekit", "flytekit.bin.entrypoint")

# What flytekit and its dependencies import late, on the way to a task's first line and back; absent ones do no harm.
_IMPORTED_LATE = ("fsspec.implementations.local", "multiprocessing.connection", "concurrent.futures.thread")

_DOCSTRINGS = ("One line.", "One.\n\nArgs:\n    a: b\n", "One.\n\n:param a: b\n", "One.\n\nReturns\n-------\nint\n")


# ------------------------------------------------------------------------------------------------- the machine below


def ask_kernel(option: int, value: int) -> None:
    """Call prctl; does nothing where there is none."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def children_of_this_process() -> set[int]:
    """Process ids of the children, zombies included; empty where the system does not tell."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as listing:
            return {int(pid) for pid in listing.read().split()}
    except (OSError, ValueError):
        return set()


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for lack of memory since it booted; 0 where it does not tell."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat") as counters:
        for line in counters:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def write_durably(path: str, content: dict[str, Any]) -> None:
    """Put JSON into a file that is either wholly there or not at all, also after a power cut."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def kill_group(pid: int, number: int) -> None:
    """Signal a process and the group it leads; whoever is gone is fine."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(pid, number)


# ------------------------------------------------------------------------------------------------------- an attempt


class Attempt:
    """One attempt that is alive, or whose last processes are being waited for."""

    def __init__(self, name: str, folder: str, pid: int) -> None:
        self.name = name
        self.folder = folder
        self.pid = pid
        self.started = time.time()
        self.kills_before = out_of_memory_kills()
        self.status: int | None = None
        self.usage: resource.struct_rusage | None = None
        self.stopped = ""
        self.kill_at: float | None = None
        self.waiting: list[tuple[Connection, int]] = []

    def record(self) -> dict[str, Any]:
        """What exit.json says; `code` is negative for a signal."""
        status = self.status or 0
        killed_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        starved = killed_by == signal.SIGKILL and not self.stopped and out_of_memory_kills() > self.kills_before
        code = -killed_by if killed_by else os.WEXITSTATUS(status)
        return exit_record(code, self.started, self.usage, stopped=self.stopped, out_of_memory=starved)


def exit_record(
    code: int,
    started: float,
    usage: resource.struct_rusage | None,
    *,
    stopped: str = "",
    out_of_memory: bool = False,
) -> dict[str, Any]:
    """The content of exit.json; times are seconds since 1970."""
    return {
        "code": code,
        "stopped": stopped,
        "out_of_memory": out_of_memory,
        "started": started,
        "ended": time.time(),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3) if usage else 0.0,
        "peak_memory_kib": usage.ru_maxrss if usage else 0,
    }


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


# ------------------------------------------------------------------------------------------------------- the server


class Server:
    """One thread and one selector: threads do not survive forks."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.selector = selectors.DefaultSelector()
        self.connections: set[Connection] = set()
        self.attempts: dict[str, Attempt] = {}
        self.by_pid: dict[int, Attempt] = {}
        self.ending: list[Attempt] = []
        self.leaving = False
        self.alone_since = time.monotonic()
        self.trouble = ""
        self.version = ""
        self.lock = os.open(os.path.join(options.folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)  # a server on its way out may still hold it
        self.listener = self._listen()
        self.wake_reader, self.wake_writer = os.pipe()

    def _listen(self) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.options.socket)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.options.socket)
        os.chmod(self.options.socket, 0o600)
        listener.listen(16)
        listener.setblocking(False)
        return listener

    def warm_up(self) -> None:
        """Import what every attempt needs; clients are told of what fails."""
        for module in (*_ESSENTIAL, *_IMPORTED_LATE, *self.options.preload):
            try:
                importlib.import_module(module)
            except BaseException as error:  # an import may also leave the interpreter
                traceback.print_exc()
                if module in _ESSENTIAL:
                    self.trouble = f"{type(error).__name__}: {error}"
        rehearse()
        self.version = str(getattr(sys.modules.get("flytekit"), "__version__", ""))
        gc.collect()
        gc.freeze()  # the collector would otherwise touch, and so copy, every page in every child

    def serve(self) -> None:
        """Work until told to leave, or until nobody has been there for the time of grace."""
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
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.options.socket)

    def _on_ready(self, key: selectors.SelectorKey, mask: int) -> None:
        if key.fileobj is self.listener:
            self._accept()
        elif key.fileobj == self.wake_reader:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake_reader, 4096)
        else:
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
        try:
            pid = os.fork()
            if pid == 0:
                self._become(folder, spec, lock)
        finally:
            os.close(lock)
        self.attempts[name] = self.by_pid[pid] = Attempt(name, folder, pid)
        return {"state": "running"}

    def _become(self, folder: str, spec: dict[str, Any], lock: int) -> NoReturn:
        """In a child: let go of all that is the server's, lead a group that dies with it, be the attempt."""
        server = os.getppid()
        try:
            signal.set_wakeup_fd(-1)
            self.selector.close()
            self.listener.close()
            for connection in self.connections:
                connection.peer.close()
            for descriptor in (self.wake_reader, self.wake_writer, self.lock):
                os.close(descriptor)
            os.set_inheritable(lock, True)
            os.setsid()
            ask_kernel(_PR_SET_PDEATHSIG, signal.SIGKILL)
            ask_kernel(_PR_SET_CHILD_SUBREAPER, 1)
            if os.getppid() == server:
                be_the_attempt(folder, spec)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

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
            attempt = self.by_pid.pop(pid, None)
            if attempt is not None:
                attempt.status, attempt.usage = status, usage
                kill_group(pid, signal.SIGKILL)
                self.ending.append(attempt)
        if self.ending:
            self._finish()

    def _finish(self) -> None:
        """Kill what ended attempts left behind; when nothing is left, they have ended.

        An attempt adopts its own descendants while it lives; orphans come to this process only by its death. So every
        child that is not an attempt belongs to one that has ended. Their deaths wake the loop.
        """
        orphans = children_of_this_process() - set(self.by_pid)
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

    def _patience(self) -> float | None:
        alive = (attempt for attempt in self.attempts.values() if attempt.status is None)
        moments = [attempt.kill_at for attempt in alive if attempt.kill_at is not None]
        if not self.connections and not self.leaving:
            moments.append(self.alone_since + self.options.grace)
        if self.ending:
            moments.append(time.monotonic() + 0.02)
        return max(0.0, min(moments) - time.monotonic()) if moments else None


# ----------------------------------------------------------------------------------------------------- in the child


def be_the_attempt(folder: str, spec: dict[str, Any]) -> NoReturn:
    """Become what the spec says."""
    started = time.time()
    prepare(spec)
    arguments = spec["arguments"]
    if spec["entry"]:
        code = run_entry_point(spec["entry"], arguments)
        write_durably(
            os.path.join(folder, "exit.json"), exit_record(code, started, resource.getrusage(resource.RUSAGE_SELF))
        )
        os._exit(code)
    try:
        os.execvpe(arguments[0], arguments, spec["environment"])  # noqa: S606  # running it is what was asked for
    except OSError as error:
        sys.stderr.write(f"cannot run {arguments[0]!r}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(126 if error.errno == errno.EACCES else 127)


def prepare(spec: dict[str, Any]) -> None:
    """Streams, environment, folder, signals and limits of a process that has just begun."""
    empty = os.open(os.devnull, os.O_RDONLY)
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for source, target in ((empty, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(empty)
    os.close(log)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(spec["environment"])
    os.chdir(spec["working_folder"])
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("500")  # when memory runs out, the attempt should go, not the server
    for name, value in spec["limits"].items():
        kind = getattr(resource, name)
        ceiling = resource.getrlimit(kind)[1]
        bounded = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
        resource.setrlimit(kind, (bounded, bounded))


def run_entry_point(entry: str, arguments: list[str]) -> int:
    """Run flytekit's command as its console script would; answers the exit code."""
    code = 0
    try:
        forget_the_server(entry, arguments)
        module = importlib.import_module("flytekit.bin.entrypoint")
        getattr(module, _ENTRY_POINTS[entry]).main(args=arguments, prog_name=entry)
    except SystemExit as leaving:
        code = exit_code(leaving)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    return wind_down(code)


def exit_code(leaving: SystemExit) -> int:
    """The exit code of sys.exit, as the interpreter would choose it."""
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    sys.stderr.write(f"{leaving.code}\n")
    return 1


def wind_down(code: int) -> int:
    """What the interpreter does at its end: wait for threads, run what was registered, write out what was printed."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter itself calls
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as leaving:
        code = exit_code(leaving)
    except BaseException:
        traceback.print_exc()
    return code


def forget_the_server(entry: str, arguments: list[str]) -> None:
    """Make a forked interpreter look like one that has just started for this command."""
    scripts = os.path.join(sys.prefix, "bin")
    sys.argv = [os.path.join(scripts, entry), *arguments]
    main = types.ModuleType("__main__")
    main.__file__ = sys.argv[0]
    sys.modules["__main__"] = main
    added = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.path[:] = [scripts, *added, *sys.path]
    tempfile.tempdir = None
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # else every attempt would draw the same numbers
    sys.stdout = os.fdopen(1, "w", 1, "utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
    refresh_flytekit()


def refresh_flytekit() -> None:
    """Let flytekit read again what it read from the server's environment when it was imported."""
    loggers = importlib.import_module("flytekit.loggers")
    context: Any = importlib.import_module("flytekit.core.context_manager")
    persistence: Any = importlib.import_module("flytekit.core.data_persistence")
    if any(name.startswith("FLYTE_SDK_") for name in os.environ):
        loggers.initialize_global_loggers()
    scratch = tempfile.mkdtemp(prefix="flyte-")
    provider = persistence.FileAccessProvider(os.path.join(scratch, "sandbox"), os.path.join(scratch, "raw"))
    persistence.default_local_file_access_provider = provider
    context.default_local_file_access_provider = provider
    context.FlyteContextManager.initialize()


def rehearse() -> None:
    """In the server: do for nothing what every attempt does first, so that children find all caches filled.

    No thread may be started here, so a task is not run.
    """
    scratch = tempfile.mkdtemp(prefix="rehearsal-")
    with contextlib.suppress(Exception):
        entrypoint: Any = importlib.import_module("flytekit.bin.entrypoint")
        docstring: Any = importlib.import_module("flytekit.core.docstring")
        for text in _DOCSTRINGS:
            docstring.Docstring(docstring=text)
        refresh_flytekit()
        arguments = ["--inputs", "i", "--output-prefix", "o", "--resolver", "r", "--", "a"]
        entrypoint.execute_task_cmd.make_context("pyflyte-execute", arguments)
        with entrypoint.setup_execution(scratch, scratch, scratch):
            pass
    shutil.rmtree(scratch, ignore_errors=True)


# -------------------------------------------------------------------------------------------------------- the start


def main() -> None:
    """Parse the command line, take the folder, warm up, serve."""
    parser = argparse.ArgumentParser(description="Forks one process per attempt of a task.")
    parser.add_argument("--folder", required=True, help="where lock and log of the server are")
    parser.add_argument("--socket", required=True, help="where to listen")
    parser.add_argument("--identity", required=True, help="told to clients, to tell servers apart")
    parser.add_argument("--grace", type=float, required=True, help="seconds to live without a client")
    parser.add_argument("--kill-grace", type=float, required=True, help="seconds between SIGTERM and SIGKILL")
    parser.add_argument("--preload", nargs="*", default=[], help="modules to import before the first fork")
    options = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [part for part in sys.path if os.path.abspath(part or ".") != here]
    server = Server(options)
    if os.fork():
        os._exit(0)  # tells the caller that the socket is there, and leaves the server to itself
    os.setsid()
    ask_kernel(_PR_SET_CHILD_SUBREAPER, 1)
    server.warm_up()
    server.serve()


if __name__ == "__main__":
    main()
