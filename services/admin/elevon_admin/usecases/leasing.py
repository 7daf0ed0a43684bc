"""A right that lasts only as long as it is renewed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from elevon_core.errors import ElevonError, FailedPrecondition
from elevon_kit.logging import get_logger

log = get_logger("leasing")


class Lease:
    """Whether the right is still held, as far as is known here."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lost = False

    def check(self) -> None:
        """Raise FailedPrecondition when somebody else has taken over."""
        if self._lost:
            raise FailedPrecondition(f"{self._what}: another process has taken over")

    async def renew(self, claim: Callable[[], Awaitable[bool]], every_seconds: float) -> None:
        """Claim again and again, until somebody else has it."""
        while not self._lost:
            await asyncio.sleep(every_seconds)
            try:
                self._lost = not await claim()
            except ElevonError as error:
                log.warning("lease not renewed", what=self._what, reason=error.message)


@contextlib.asynccontextmanager
async def renewing(what: str, claim: Callable[[], Awaitable[bool]], every_seconds: float) -> AsyncIterator[Lease]:
    """Renew a right that was claimed just now as long as the block lasts."""
    lease = Lease(what)
    task = asyncio.create_task(lease.renew(claim, every_seconds), name=f"lease of {what}")
    try:
        yield lease
    finally:
        task.cancel()
        await asyncio.wait([task])
