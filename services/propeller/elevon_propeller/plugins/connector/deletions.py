"""Jobs that are to be stopped, until they are: across outages of their connector and restarts of propeller."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from elevon_core.errors import ElevonError, NotFound, Unimplemented
from elevon_kit.logging import get_logger
from elevon_kit.retry import ATOMIC
from elevon_kit.tasks import BackgroundTasks

from elevon_propeller.plugins.connector import requests
from elevon_propeller.plugins.connector.endpoint import Endpoint, is_passing
from elevon_propeller.plugins.connector.pace import Pauses, persistently
from elevon_propeller.plugins.connector.records import JobRecord
from elevon_propeller.plugins.state import PluginState

log = get_logger("connectors")

Node = tuple[str, str, str, str]

_PREFIX = "delete/"
_MOST_FAILURES = 5
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(milliseconds=500), timedelta(seconds=15)
_LOOK_EVERY = 30.0
"""Seconds between looks for deletions that a replica which is gone has left behind."""


class Deletions:
    """Calls DeleteTask for each job until the connector has taken it.

    An outage is waited for, however long; a connector that cannot delete, or fails to five times, is given up, and the
    log says so. What is to be done is durable before `request` returns.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint], state: PluginState) -> None:
        self._endpoints = endpoints
        self._state = state
        self._tasks = BackgroundTasks("connector deletions")
        self._under_way: dict[str, tuple[Node, asyncio.Task[None]]] = {}

    async def open(self) -> None:
        """Go on with what was not done before the restart."""
        for name, data in (await self._state.find(_PREFIX)).items():
            self._adopt(name.removeprefix(_PREFIX), data)
        self._tasks.keep_running(self._look, "look for others")

    async def close(self) -> None:
        """Leave what is not done for the next start."""
        await self._tasks.stop()

    async def request(self, name: str, record: JobRecord) -> asyncio.Task[None]:
        """Have the job of an attempt stopped; the task ends when that is over."""
        await ATOMIC.run(lambda: self._state.write(_PREFIX + name, record.pack()), what="note a deletion")
        return self._begin(name, record)

    async def settled(self, node: Node) -> None:
        """Return when no job of earlier attempts of a node is left to be stopped."""
        tasks = [task for owner, task in self._under_way.values() if owner == node]
        if tasks:
            await asyncio.wait(tasks)

    def of_node(self, node: Node) -> bool:
        """Whether jobs of earlier attempts of a node are left to be stopped."""
        return any(owner == node for owner, _ in self._under_way.values())

    def _adopt(self, name: str, data: bytes) -> None:
        try:
            self._begin(name, JobRecord.unpack(data))
        except ValueError as error:
            log.error("a deletion cannot be read", attempt=name, error=str(error))

    def _begin(self, name: str, record: JobRecord) -> asyncio.Task[None]:
        known = self._under_way.get(name)
        if known is not None:
            return known[1]
        task = self._tasks.start(self._run(name, record), name)
        self._under_way[name] = (record.owner.node, task)
        task.add_done_callback(lambda _: self._under_way.pop(name, None))
        return task

    async def _look(self) -> None:
        """Take what stays undone for a while: whoever began it seems to be gone."""
        before: set[str] = set()
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            found = await self._state.find(_PREFIX)
            for key in before & set(found):
                self._adopt(key.removeprefix(_PREFIX), found[key])
            before = set(found)

    async def _run(self, name: str, record: JobRecord) -> None:
        endpoint = self._endpoints.get(record.endpoint)
        if endpoint is None:
            log.error("a job is left running: its endpoint is gone", attempt=name, endpoint=record.endpoint)
        else:
            await self._delete(name, record, endpoint)
        await persistently(lambda: self._state.delete(_PREFIX + name))

    async def _delete(self, name: str, record: JobRecord, endpoint: Endpoint) -> None:
        pauses, failures = Pauses(_FIRST_PAUSE, _LONGEST_PAUSE), 0
        request = requests.delete_task(record)
        while True:
            await endpoint.reachable()
            await endpoint.turn_to_write()
            try:
                await endpoint.call(lambda: endpoint.service.delete_task(request))
                log.info("job deleted", attempt=name, endpoint=endpoint.name, task_type=record.category.name)
                return
            except NotFound:
                return
            except Unimplemented as error:
                log.warning("a job is left running: its connector cannot delete", attempt=name, error=error.message)
                return
            except ElevonError as error:
                failures += 0 if is_passing(error) else 1
                if failures >= _MOST_FAILURES:
                    log.error("a job is left running: it cannot be deleted", attempt=name, error=error.message)
                    return
            await asyncio.sleep(pauses.take())
