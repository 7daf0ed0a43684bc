"""Asks connector services again and again what they serve."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from elevon_core.errors import ElevonError, Unimplemented
from elevon_kit.logging import get_logger
from elevon_kit.tasks import BackgroundTasks

from elevon_propeller.plugins.connector.endpoint import Endpoint
from elevon_propeller.plugins.connector.routes import Routes, listing_of, packed, unpacked
from elevon_propeller.plugins.state import PluginState

log = get_logger("connectors")

_PREFIX = "routes/"
_FIRST_ROUND = 2.0
"""Seconds that the start waits for the first answers; whoever is slower is heard later."""


class Discovery:
    """Keeps `routes` up to date: at the start, at intervals, and as soon as an endpoint can be reached again.

    What an endpoint served is remembered, so that after a restart its tasks still go there while it is away.
    """

    def __init__(
        self, endpoints: Mapping[str, Endpoint], routes: Routes, state: PluginState, interval: timedelta
    ) -> None:
        self.troubles: dict[str, str] = {}
        self._endpoints = endpoints
        self._routes = routes
        self._state = state
        self._interval = interval.total_seconds()
        self._tasks = BackgroundTasks("connector discovery")
        self._news = asyncio.Event()

    async def open(self) -> None:
        """Remember, ask everyone once, and go on asking in the background."""
        await self._remember()
        first = {name: self._tasks.start(self._ask(each), name) for name, each in self._endpoints.items()}
        if first:
            await asyncio.wait(first.values(), timeout=_FIRST_ROUND)
        for name, asking in first.items():
            self._tasks.keep_running(partial(self._watch, self._endpoints[name], asking), name)

    async def close(self) -> None:
        """Stop asking."""
        await self._tasks.stop()

    async def news(self) -> None:
        """Return when an endpoint has been listed after this call."""
        await self._news.wait()

    async def _watch(self, endpoint: Endpoint, first: asyncio.Task[None]) -> None:
        await asyncio.wait([first])
        while True:
            if endpoint.is_open:
                await asyncio.sleep(self._interval)
            await endpoint.reachable()
            await self._ask(endpoint)

    async def _ask(self, endpoint: Endpoint) -> None:
        """Ask once; an endpoint that cannot list serves only what is assigned to it."""
        try:
            agents = await endpoint.call(endpoint.service.list_agents)
        except Unimplemented:
            agents = ()
        except ElevonError as error:
            if self.troubles.get(endpoint.name) != error.message:
                log.warning("connectors cannot be listed", endpoint=endpoint.name, error=error.message)
            self.troubles[endpoint.name] = error.message
            return
        self.troubles.pop(endpoint.name, None)
        listing = listing_of(agents)
        if self._routes.replace(endpoint.name, listing):
            log.info("connectors listed", endpoint=endpoint.name, categories=[str(each) for each in sorted(listing)])
            await self._keep(endpoint.name, packed(listing))
        told, self._news = self._news, asyncio.Event()
        told.set()

    async def _keep(self, endpoint: str, data: bytes) -> None:
        try:
            await self._state.write(_PREFIX + endpoint, data)
        except ElevonError as error:
            log.warning("connectors cannot be remembered", endpoint=endpoint, error=error.message)

    async def _remember(self) -> None:
        for key, data in (await self._state.find(_PREFIX)).items():
            endpoint = key.removeprefix(_PREFIX)
            try:
                listing = unpacked(data)
            except (ValueError, TypeError) as error:
                log.warning("a remembered list of connectors is broken", endpoint=endpoint, error=str(error))
                continue
            if endpoint in self._endpoints:
                self._routes.remember(endpoint, listing)
