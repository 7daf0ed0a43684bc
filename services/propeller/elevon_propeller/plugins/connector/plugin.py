"""The `connector-service` plugin: tasks as jobs of Flyte connector services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from elevon_core.errors import ElevonError, InvalidArgument
from elevon_idl.connector import v1 as connector
from elevon_kit.blobs import BlobStore
from elevon_kit.logging import get_logger
from elevon_kit.retry import ATOMIC

from elevon_propeller.plugins import reports
from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.connector import answers, requests
from elevon_propeller.plugins.connector.answers import Interpreter
from elevon_propeller.plugins.connector.deletions import Deletions
from elevon_propeller.plugins.connector.discovery import Discovery
from elevon_propeller.plugins.connector.endpoint import Endpoint
from elevon_propeller.plugins.connector.grpc_service import GrpcConnectorService
from elevon_propeller.plugins.connector.jobs import KEY, GivenUp, Jobs
from elevon_propeller.plugins.connector.pace import persistently
from elevon_propeller.plugins.connector.records import JobRecord, owner_of
from elevon_propeller.plugins.connector.routes import Category, Route, Routes
from elevon_propeller.plugins.connector.service import ConnectorService
from elevon_propeller.plugins.connector.settings import ConnectorSettings, EndpointSettings
from elevon_propeller.plugins.connector.watched import Watched
from elevon_propeller.plugins.contract import Attempt, Leftover, Report, ReportSink
from elevon_propeller.plugins.results import Examiner
from elevon_propeller.plugins.state import PluginState

log = get_logger("connectors")

Connect = Callable[[str, EndpointSettings], ConnectorService]
"""Makes the connection to an endpoint, by name."""

_ABORT_PATIENCE = 3.0
"""Seconds that an abort waits for the connector; the deletion goes on behind it, and is durable."""


class ConnectorPlugin:
    """Runs attempts at connector services; see `jobs.py` for how often a job is made.

    The task types it serves are those that were listed last, those listed before a restart, and those assigned by
    settings. An attempt of any other type waits while an endpoint has not been listed, and fails for good then. What
    must be known after a restart is in `state`, under the attempt's name.

    A job whose attempt has failed because it could not be looked at is deleted when the engine lets go of the attempt,
    not before: a replica that has lost the execution to another one must not stop its jobs.
    """

    id = "connector-service"

    def __init__(
        self,
        settings: ConnectorSettings,
        blobs: BlobStore,
        state: PluginState,
        *,
        outputs_limit: int = 10 * 1024 * 1024,
        clock: Clock = system_clock,
        connect: Connect = GrpcConnectorService,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._state = state
        self._clock = clock
        self._endpoints = {
            name: Endpoint(name, endpoint, connect(name, endpoint), clock)
            for name, endpoint in settings.endpoints.items()
        }
        self._routes = Routes(self._endpoints, settings.task_types)
        self._discovery = Discovery(self._endpoints, self._routes, state, settings.discovery_interval)
        self._deletions = Deletions(self._endpoints, state)
        interpreter = Interpreter(Examiner(blobs, outputs_limit, clock), clock)
        self._jobs = Jobs(self._endpoints, state, interpreter, settings, outputs_limit=outputs_limit, clock=clock)
        self._watched: dict[str, Watched] = {}
        self._given_up: dict[str, JobRecord] = {}

    @property
    def task_types(self) -> frozenset[str]:
        """The task types that connectors serve now."""
        return self._routes.task_types

    async def open(self) -> None:
        """Find out what is served, and go on with deletions."""
        await self._discovery.open()
        await self._deletions.open()

    async def start(self, attempt: Attempt, report: ReportSink) -> None:
        """Begin an attempt, or find it again; everything else happens in the background."""
        watched = self._watched.get(attempt.name)
        if watched is not None:
            watched.sink = report
            if watched.last is not None:
                report(watched.last)
            return
        watched = self._watched[attempt.name] = Watched(attempt, report)
        watched.task = asyncio.create_task(self._look_after(watched), name=f"attempt {attempt.name}")

    async def abort(self, name: str, reason: str) -> None:
        """Have the job deleted; returns when it is, or when that is sure to be done and the connector takes long."""
        await self._let_go(name)
        record = await self._recall(name)
        if record is None:
            return
        deletion = await self._delete(name, record)
        await asyncio.wait([deletion], timeout=_ABORT_PATIENCE)

    async def finalize(self, name: str) -> None:
        """Forget an attempt; a job that was given up is deleted."""
        is_known = name in self._watched
        await self._let_go(name)
        record = self._given_up.get(name) if is_known else await self._recall(name)
        if record is not None and record.given_up:
            await self._delete(name, record)
        else:
            await self._state.delete(KEY + name)

    async def leftovers(self) -> list[Leftover]:
        """The jobs that are remembered of attempts nobody has started in this process."""
        found = []
        for key, data in (await self._state.find(KEY)).items():
            name = key.removeprefix(KEY)
            record = self._unpacked(name, data) if name not in self._watched else None
            if record is not None:
                found.append(Leftover(name, *record.owner.node, record.owner.number))
        return found

    async def detach(self, name: str) -> None:
        """Leave an attempt to the replica that owns it now, which finds its job in `state`."""
        await self._let_go(name)

    async def close(self) -> None:
        """Let go; jobs go on and are found again by `start`."""
        for name in list(self._watched):
            await self._let_go(name)
        await self._deletions.close()
        await self._discovery.close()
        for endpoint in self._endpoints.values():
            await endpoint.close()

    # -- the life of an attempt

    async def _look_after(self, watched: Watched) -> None:
        try:
            final = await self._run(watched)
        except GivenUp as given_up:
            final = given_up.report
            await persistently(partial(self._give_up, watched.attempt.name))
        except Exception as error:  # whatever it was, the engine must hear of it
            log.error("attempt failed", attempt=watched.attempt.name, exc_info=error)
            message = error.message if isinstance(error, ElevonError) else f"{type(error).__name__}: {error}"
            final = reports.retryable(self._clock(), "RuntimeExecutionError", message, reports.SYSTEM)
        watched.report(final)

    async def _run(self, watched: Watched) -> Report:
        attempt = watched.attempt
        record = await self._recall(attempt.name)
        if record is not None and record.owner != owner_of(attempt):
            message = f"the job of another attempt, {record.owner}, has the same name {attempt.name}"
            return reports.retryable(self._clock(), "NameCollision", message, reports.SYSTEM)
        if record is not None and record.given_up:
            self._given_up[attempt.name] = record
            message = "the job was given up, and propeller was started again before it could say so"
            return reports.retryable(self._clock(), answers.AWAY, message, reports.SYSTEM)
        if record is None:
            route = await self._route(watched)
            request = await self._prepare(attempt)
            await self._wait_for_deletions(watched)
            if route.is_sync:
                return await self._jobs.execute(watched, route, request)
            record = await self._jobs.create(watched, route, request)
        return await self._jobs.follow(watched, record)

    async def _route(self, watched: Watched) -> Route:
        """Where the attempt goes, waited for while there are endpoints nobody knows; raises GivenUp."""
        task = watched.attempt.task
        category = Category(task.type, task.task_type_version)
        while True:
            route = self._routes.find(category)
            if route is not None:
                watched.goes_on()
                return route
            unlisted = self._routes.unlisted
            if not unlisted:
                raise GivenUp(reports.permanent(self._clock(), "UnsupportedTaskType", self._unserved(category)))
            reason = f"no connector is known to serve task type {category}; waiting for {self._missing(unlisted)}"
            await self._wait(watched, reason, self._discovery.news())

    def _unserved(self, category: Category) -> str:
        versions = self._routes.versions(category.name)
        served = f"it is served in versions {versions}" if versions else f"they serve {sorted(self.task_types)}"
        return f"no connector of the services {self._routes.endpoints} serves task type {category}; {served}"

    def _missing(self, unlisted: list[str]) -> str:
        troubles = self._discovery.troubles
        return "; ".join(f"{self._endpoints[name].where} ({troubles.get(name, 'no answer yet')})" for name in unlisted)

    async def _prepare(self, attempt: Attempt) -> connector.CreateTaskRequest:
        """The request, and the files that the job may read; raises GivenUp for what cannot be rendered."""
        try:
            request = requests.create_task(attempt)
        except InvalidArgument as error:
            message = f"the arguments cannot be rendered: {error.message}"
            raise GivenUp(reports.permanent(self._clock(), "FailedToBuildResource", message)) from error
        paths = attempt.paths
        if requests.needs_inputs_file(attempt.task) and not attempt.shares_inputs_file:
            inputs = attempt.inputs.SerializeToString(deterministic=True)
            await ATOMIC.run(lambda: self._blobs.write(paths.inputs, inputs), what="write inputs")
        if requests.needs_task_file(attempt.task):
            template = attempt.task.SerializeToString(deterministic=True)
            await ATOMIC.run(lambda: self._blobs.write(paths.task_template, template), what="write the task")
        return request

    async def _wait_for_deletions(self, watched: Watched) -> None:
        """An earlier attempt's job must be stopped before another one begins."""
        node = owner_of(watched.attempt).node
        for name, record in [*self._given_up.items()]:
            if record.owner.node == node:
                await self._delete(name, record)
        if self._deletions.of_node(node):
            reason = "waiting until the job of an earlier attempt is deleted"
            await self._wait(watched, reason, self._deletions.settled(node))
            watched.goes_on()

    async def _give_up(self, name: str) -> None:
        """Remember that a job is to be deleted once the engine has taken the attempt for failed."""
        record = await self._recall(name)
        if record is not None:
            self._given_up[name] = replace(record, given_up=True)
            await self._state.write(KEY + name, self._given_up[name].pack())

    async def _delete(self, name: str, record: JobRecord) -> asyncio.Task[None]:
        """Have a job deleted and forget the attempt."""
        deletion = await self._deletions.request(name, record)
        await self._state.delete(KEY + name)
        self._given_up.pop(name, None)
        return deletion

    # -- pieces

    async def _wait(self, watched: Watched, reason: str, event: Awaitable[None]) -> None:
        """Wait for others; raises GivenUp when patience ends."""
        remaining = watched.waits(self._settings.patience)
        watched.say(reason, self._clock)
        try:
            async with asyncio.timeout(max(remaining, 0.0)):
                await event
        except TimeoutError:
            raise GivenUp(answers.away(reason, str(self._settings.patience), self._clock)) from None

    async def _recall(self, name: str) -> JobRecord | None:
        return self._unpacked(name, await ATOMIC.run(lambda: self._state.read(KEY + name), what="recall a job"))

    def _unpacked(self, name: str, data: bytes | None) -> JobRecord | None:
        """A record; one that is broken counts as none, and the log says so."""
        try:
            return None if data is None else JobRecord.unpack(data)
        except ValueError as error:
            log.error("the record of a job is broken", attempt=name, error=str(error))
            return None

    async def _let_go(self, name: str) -> None:
        """Stop looking after an attempt, but see a CreateTask to its end: what it made must be known."""
        watched = self._watched.pop(name, None)
        if watched is None or watched.task is None:
            return
        watched.task.cancel()
        await asyncio.wait([watched.task])
        if watched.creating is not None:
            await asyncio.wait([watched.creating])
            watched.creating.exception()
