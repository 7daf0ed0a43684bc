"""What a command says that cannot write what it found."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def ended(arguments: list[str], output: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "elevon", *arguments], stdout=output, stderr=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [["version"], ["--help"]])
def test_a_full_disk(arguments: list[str]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert ended(arguments, full) == (1, "elevon: No space left on device\n")
    finally:
        os.close(full)


def test_nobody_reads() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    try:
        assert ended(["version"], writes) == (1, "")
    finally:
        os.close(writes)


def test_no_output_at_all() -> None:
    closed = ["sh", "-c", 'exec "$0" -m elevon version >&-', sys.executable]
    done = subprocess.run(closed, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
