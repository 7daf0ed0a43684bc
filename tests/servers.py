"""Servers that tests start: real processes on loopback, private to the session."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

LOOPBACK = "127.0.0.1"
START_SECONDS = 60


_KEPT: list[socket.socket] = []


def free_port() -> int:
    """Answer a port that nobody listens on, and that nobody who asks for any port is given while this process lives.

    A server that asks for this one, and may reuse addresses as all do, can listen there.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind((LOOPBACK, 0))
    _KEPT.append(kept)
    port: int = kept.getsockname()[1]
    return port


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a server to answer; fails with its log when it ends before, or takes longer than a minute."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)


def end(process: subprocess.Popen[bytes], with_signal: int) -> None:
    """End a server that this session started."""
    if process.poll() is None:
        process.send_signal(with_signal)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
