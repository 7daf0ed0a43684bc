"""How long this replica is sure of its shards: what it begins after that, another one may have begun as well."""

from __future__ import annotations

import asyncio
import math

from elevon_propeller.runtime.actors import Actor


class Tenure:
    """Guards whatever cannot be fenced by the database: calls, processes, events.

    `until` is a moment of the event loop's clock, which does not stop while the process is paused. Nobody can take a
    shard away before it; without leases it never comes.
    """

    def __init__(self) -> None:
        self.until = math.inf
        self._changed = asyncio.Event()

    def confirm(self, until: float) -> None:
        """The leases were renewed; shards that are lost have been let go of already."""
        self.until = until
        self._changed.set()

    def recall(self) -> None:
        """Some actors were closed: those who wait to act for them need not wait any longer."""
        self._changed.set()

    def of(self, actor: Actor) -> float:
        """The moment up to which an execution surely is this replica's to act for."""
        return -math.inf if actor.closed else self.until

    async def holds(self, actor: Actor) -> bool:
        """Whether this replica may act for an execution; waits while that is not sure, as after a pause."""
        while not actor.closed and self._is_over():
            await self._change()
        return not actor.closed

    async def sure(self) -> None:
        """Wait until this replica is sure of what it owns."""
        while self._is_over():
            await self._change()

    def _is_over(self) -> bool:
        return asyncio.get_running_loop().time() >= self.until

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
