"""One configured connector service: whether it can be reached, and calls at the rate it allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from elevon_core.errors import Cancelled, DeadlineExceeded, ElevonError, ResourceExhausted, Unavailable
from elevon_kit.logging import get_logger

from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.connector.pace import Pauses, Rate
from elevon_propeller.plugins.connector.service import ConnectorService
from elevon_propeller.plugins.connector.settings import EndpointSettings

log = get_logger("connectors")

_Answer = TypeVar("_Answer")
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(milliseconds=200), timedelta(seconds=15)
_TOO_LARGE = "larger than max"


class Endpoint:
    """A connector service with its name and its rates.

    A call that finds it away closes the gate for all: nobody calls until a connection is there again, tried for after
    pauses of 0.2 to 15 seconds. `away_since` is None while it is not known to be away, `trouble` says what is wrong.
    """

    def __init__(
        self, name: str, settings: EndpointSettings, service: ConnectorService, clock: Clock = system_clock
    ) -> None:
        self.name = name
        self.address = settings.address
        self.service = service
        self.away_since: datetime | None = None
        self.trouble = ""
        self._clock = clock
        self._reads = Rate(settings.calls_per_second, settings.burst)
        self._writes = Rate(settings.calls_per_second, settings.burst)
        self._pauses = Pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._open = asyncio.Event()
        self._open.set()
        self._probe: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connection."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])
        await self.service.close()

    @property
    def reason(self) -> str:
        """Why nothing goes on here, for people; empty while it is not known to be away."""
        if self.away_since is None:
            return ""
        since = self.away_since.isoformat(timespec="seconds")
        return f"{self.where} cannot be reached since {since}: {self.trouble}"

    @property
    def where(self) -> str:
        """The endpoint in messages."""
        return f"connector service {self.name!r} at {self.address}"

    @property
    def is_open(self) -> bool:
        """Whether calls may be made."""
        return self._open.is_set()

    async def reachable(self) -> None:
        """Return once calls may be made."""
        await self._open.wait()

    async def read(self, operation: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Make a call that changes nothing."""
        await self._reads.take()
        return await self.call(operation)

    async def turn_to_write(self) -> None:
        """Wait until a call may be made that changes something."""
        await self._writes.take()

    async def call(self, operation: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Make a call, and learn from it whether the service is there."""
        try:
            answer = await operation()
        except Unavailable as error:
            self._lost(error.message)
            raise
        except ElevonError as error:
            if not is_passing(error):
                self._found()
            raise
        self._found()
        return answer

    def _found(self) -> None:
        self.away_since, self.trouble = None, ""
        self._pauses.restart()
        self._open.set()

    def _lost(self, trouble: str) -> None:
        self.trouble = trouble
        if self.away_since is None:
            self.away_since = self._clock()
            log.warning("connector service is away", endpoint=self.name, address=self.address, error=trouble)
        self._open.clear()
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._wait_for_it(), name=f"probe connector service {self.name}")

    async def _wait_for_it(self) -> None:
        """Let calls through again once there is a connection; they find out whether it is any good."""
        await asyncio.sleep(self._pauses.take())
        await self.service.connected()
        self._open.set()


def is_passing(error: ElevonError) -> bool:
    """Whether a call failed for what may pass by itself: an outage, a deadline, too many calls."""
    if isinstance(error, ResourceExhausted):
        return _TOO_LARGE not in error.message
    return isinstance(error, Unavailable | DeadlineExceeded | Cancelled)
