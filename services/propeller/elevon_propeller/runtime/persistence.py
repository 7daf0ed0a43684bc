"""Work that must not be given up: repeated until it succeeds, fails for good, or nobody wants it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from elevon_core.errors import ElevonError, ErrorKind
from elevon_kit.logging import get_logger

log = get_logger("persistence")

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 10.0
UNCERTAIN_TRIES = 10
"""Errors that are as likely a defect as an outage are met so often."""

_PASSING = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.DEADLINE_EXCEEDED, ErrorKind.RESOURCE_EXHAUSTED})
_UNCERTAIN = frozenset({ErrorKind.INTERNAL, ErrorKind.CANCELLED})
_TOO_LARGE = "larger than max"


async def persist(operation: Callable[[], Awaitable[T]], wanted: Callable[[], bool], *, what: str) -> T | None:
    """Repeat an idempotent operation with growing pauses; None once it is not wanted.

    Raises the error that no repetition can mend. An operation under way is never cut off.
    """
    pause, uncertain = FIRST_PAUSE, 0
    while wanted():
        try:
            return await operation()
        except ElevonError as error:
            uncertain += error.kind in _UNCERTAIN
            if not _may_pass(error) or uncertain >= UNCERTAIN_TRIES:
                raise
            log.info("trying again", what=what, error=error.message, pause=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    return None


async def first(*awaitables: Awaitable[object]) -> None:
    """Wait until one of some awaitables is done; the others are cancelled."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _may_pass(error: ElevonError) -> bool:
    return (error.kind in _PASSING and _TOO_LARGE not in error.message) or error.kind in _UNCERTAIN
