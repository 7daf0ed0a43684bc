"""What the fork server wants of the system: processes, threads, files that are there or not."""

from __future__ import annotations

import array
import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any

PARENT_DEATH_SIGNAL = 1
CHILD_SUBREAPER = 36
_FRAME = struct.Struct("!I")
_DESCRIPTOR = array.array("i").itemsize
_MOST_DESCRIPTORS = 200

_libc: ctypes.CDLL | None = None


def ask_kernel(option: int, value: int) -> None:
    """Call prctl; does nothing where there is none."""
    global _libc
    if sys.platform == "linux":
        _libc = _libc or ctypes.CDLL(None, use_errno=True)
        _libc.prctl(option, value, 0, 0, 0)


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


def send_with_descriptors(channel: socket.socket, message: dict[str, Any], descriptors: Sequence[int]) -> None:
    """Send a message and open files; blocks as the socket does. Until it is read, the kernel keeps the files open.

    Raises OSError only when the message was not sent whole, so that the other end cannot have acted on it.
    """
    data = json.dumps(message).encode()
    frame = _FRAME.pack(len(data)) + data
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    sent = channel.sendmsg([frame], rights)
    if sent < len(frame):  # even of nothing, a send fails once the other end has read everything and closed
        channel.sendall(frame[sent:])


def receive_with_descriptors(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Wait for such a message; None when the other end is gone."""
    data, descriptors = bytearray(), array.array("i")
    while len(data) < _FRAME.size or len(data) < _FRAME.size + _FRAME.unpack_from(data)[0]:
        part, control, _, _ = channel.recvmsg(1 << 16, socket.CMSG_SPACE(_MOST_DESCRIPTORS * _DESCRIPTOR))
        for _, _, rights in control:
            descriptors.frombytes(rights[: len(rights) - len(rights) % _DESCRIPTOR])
        if not part:
            return None
        data += part
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return json.loads(bytes(data[_FRAME.size :])), list(descriptors)


def end_child(pid: int) -> None:
    """Kill a child and what it leads, and wait for its end."""
    kill_group(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
