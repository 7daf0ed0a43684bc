"""A right that lasts only as long as it is renewed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from elevon_core.errors import FailedPrecondition
from elevon_kit.logging import get_logger

log = get_logger("leasing")


class Lease:
    """Whether the right is still held, as far as is known here: it ends when it was not renewed for `seconds`."""

    def __init__(self, what: str, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._seconds = seconds
        self._clock = clock
        self._lost = False
        self._renewed_at = clock()

    def check(self) -> None:
        """Raise FailedPrecondition when somebody else has, or may have, taken over."""
        if self._lost:
            raise FailedPrecondition(f"{self._what}: another process has taken over")
        if self._clock() - self._renewed_at >= self._seconds:
            raise FailedPrecondition(f"{self._what}: it could not be renewed for {self._seconds:g} s")

    async def renew(self, claim: Callable[[], Awaitable[bool]], every_seconds: float) -> None:
        """Claim again and again, until somebody else has it."""
        while not self._lost:
            await asyncio.sleep(every_seconds)
            begun = self._clock()
            try:
                self._lost = not await claim()
            except Exception as error:
                log.warning("lease not renewed", what=self._what, reason=str(error))
            else:
                self._renewed_at = begun


@contextlib.asynccontextmanager
async def renewing(
    what: str, claim: Callable[[], Awaitable[bool]], every_seconds: float, lease_seconds: float
) -> AsyncIterator[Lease]:
    """Renew a right that was claimed just now, and lasts so long, as long as the block lasts."""
    lease = Lease(what, lease_seconds)
    task = asyncio.create_task(lease.renew(claim, every_seconds), name=f"lease of {what}")
    try:
        yield lease
    finally:
        task.cancel()
        await asyncio.wait([task])
