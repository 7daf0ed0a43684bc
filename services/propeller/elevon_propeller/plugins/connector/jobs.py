"""The life of a job: made once, looked at until it ends; or run within one call.

How close to once: the answer to CreateTask is durable before anything else is done with it, so a propeller that starts
again goes on with GetTask. Between a connector's acting on CreateTask and that moment (a few milliseconds, or an answer
that was lost on the way) nobody but the connector can know that the job exists, and the protocol has no call to ask for
it. The same request, to the byte, is then sent once more; it names execution, node and attempt, so a connector that
derives the name of its job from them, or asks its warehouse for it, finds the job it has. ExecuteTaskSync is likewise
sent again when its answer was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TypeVar

from elevon_core.errors import DeadlineExceeded, ElevonError
from elevon_idl.connector import v1 as connector
from elevon_kit.logging import get_logger

from elevon_propeller.plugins import reports
from elevon_propeller.plugins.clock import Clock, system_clock
from elevon_propeller.plugins.connector import answers, requests
from elevon_propeller.plugins.connector.answers import Interpreter
from elevon_propeller.plugins.connector.endpoint import Endpoint, is_passing
from elevon_propeller.plugins.connector.pace import Pauses, persistently
from elevon_propeller.plugins.connector.records import JobRecord, owner_of
from elevon_propeller.plugins.connector.routes import Route
from elevon_propeller.plugins.connector.service import NonsenseAnswer
from elevon_propeller.plugins.connector.settings import ConnectorSettings
from elevon_propeller.plugins.connector.watched import Watched
from elevon_propeller.plugins.contract import AttemptPhase, Report
from elevon_propeller.plugins.in_time import in_time
from elevon_propeller.plugins.state import PluginState

log = get_logger("connectors")

Answer = TypeVar("Answer")

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(milliseconds=200), timedelta(seconds=15)


class GivenUp(Exception):
    """The attempt has failed; `report` says how."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.error.message if report.error is not None else "")
        self.report = report


KEY = "job/"
"""What the key of a job's record begins with; the name of the attempt follows."""


class Jobs:
    """Makes jobs and follows them, and gives attempts up when nothing else is left."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        state: PluginState,
        interpreter: Interpreter,
        settings: ConnectorSettings,
        *,
        outputs_limit: int,
        clock: Clock = system_clock,
    ) -> None:
        self._endpoints = endpoints
        self._state = state
        self._interpreter = interpreter
        self._settings = settings
        self._outputs_limit = outputs_limit
        self._clock = clock

    async def create(self, watched: Watched, route: Route, request: connector.CreateTaskRequest) -> JobRecord:
        """Have a job made; raises GivenUp when that cannot be."""
        endpoint = self._endpoints[route.endpoint]

        async def once() -> JobRecord:
            watched.creating = asyncio.create_task(self._create(watched, route, request, endpoint))
            return await asyncio.shield(watched.creating)

        return await self._until_answered(watched, endpoint, once)

    async def execute(self, watched: Watched, route: Route, request: connector.CreateTaskRequest) -> Report:
        """Run a job within one call; raises GivenUp when that cannot be."""
        endpoint = self._endpoints[route.endpoint]
        header = requests.create_header(request, self._outputs_limit)

        async def once() -> connector.Resource:
            watched.say("", self._clock, AttemptPhase.RUNNING)
            service = endpoint.service
            return await endpoint.call(lambda: service.execute_task_sync(header, request.inputs))

        resource = await self._until_answered(watched, endpoint, once)
        try:
            report = await self._interpreter.interpret(watched.attempt, resource, endpoint.where)
        except NonsenseAnswer as error:
            return answers.refused(error, endpoint.where, self._clock)
        if report.phase.is_final:
            return report
        message = f"{endpoint.where} answered a synchronous task with {report.phase.value}, which is no end"
        return answers.refused(NonsenseAnswer(message), endpoint.where, self._clock)

    async def follow(self, watched: Watched, record: JobRecord) -> Report:
        """Look at a job until it ends; raises GivenUp when it cannot be looked at."""
        endpoint = self._endpoints.get(record.endpoint)
        if endpoint is None:
            raise GivenUp(self._homeless(record))
        pauses = Pauses(self._settings.first_poll, self._settings.poll_interval)
        failures = 0
        while True:
            try:
                report = await self._look(watched, record, endpoint)
            except ElevonError as error:
                failures = self._not_seen(watched, endpoint, error, failures)
            else:
                failures = 0
                if report.phase.is_final:
                    return report
                if watched.report(report):
                    pauses.restart()
            if endpoint.is_open:
                await asyncio.sleep(pauses.take())

    async def _create(
        self, watched: Watched, route: Route, request: connector.CreateTaskRequest, endpoint: Endpoint
    ) -> JobRecord:
        """One CreateTask, and its answer made durable; not to be interrupted in between."""
        attempt = watched.attempt
        meta = await endpoint.call(lambda: endpoint.service.create_task(request))
        record = JobRecord(owner_of(attempt), endpoint.name, route.category, meta, request.output_prefix)
        await persistently(lambda: self._state.write(KEY + attempt.name, record.pack()))
        return record

    async def _until_answered(
        self, watched: Watched, endpoint: Endpoint, once: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Repeat a call that makes something until it is answered; raises GivenUp."""
        pauses, failures = Pauses(_FIRST_PAUSE, _LONGEST_PAUSE), 0
        while True:
            await self._reach(watched, endpoint)
            await endpoint.turn_to_write()
            await in_time(watched.attempt)
            try:
                answer = await once()
            except ElevonError as error:
                if not is_passing(error):
                    raise GivenUp(answers.refused(error, endpoint.where, self._clock)) from error
                failures += isinstance(error, DeadlineExceeded)
                if failures >= self._settings.max_failures:
                    raise GivenUp(self._unanswered(error, failures)) from error
                self._wait_on(watched, endpoint.reason or error.message)
            else:
                watched.goes_on()
                return answer
            if endpoint.is_open:
                await asyncio.sleep(pauses.take())

    async def _look(self, watched: Watched, record: JobRecord, endpoint: Endpoint) -> Report:
        await self._reach(watched, endpoint)
        service, request = endpoint.service, requests.get_task(record)
        resource = await endpoint.read(partial(service.get_task, request))
        watched.goes_on()
        return await self._interpreter.interpret(watched.attempt, resource, endpoint.where)

    def _not_seen(self, watched: Watched, endpoint: Endpoint, error: ElevonError, failures: int) -> int:
        """Count a look that failed, unless that passes, which is waited for; raises GivenUp in the end."""
        failures += isinstance(error, DeadlineExceeded) or not is_passing(error)
        if isinstance(error, NonsenseAnswer) or failures >= self._settings.max_failures:
            raise GivenUp(answers.unpollable(error, failures, self._clock)) from error
        self._wait_on(watched, endpoint.reason or error.message)
        return failures

    async def _reach(self, watched: Watched, endpoint: Endpoint) -> None:
        """Wait while the endpoint is away; raises GivenUp when patience ends."""
        if endpoint.away_since is None:
            return
        remaining = self._wait_on(watched, endpoint.reason)
        try:
            async with asyncio.timeout(remaining):
                await endpoint.reachable()
        except TimeoutError:
            raise GivenUp(answers.away(endpoint.reason, str(self._settings.patience), self._clock)) from None

    def _wait_on(self, watched: Watched, reason: str) -> float:
        """Tell what is waited for; answers how much longer, in seconds, and raises GivenUp when patience has ended."""
        watched.say(reason, self._clock)
        remaining = watched.waits(self._settings.patience)
        if remaining <= 0:
            raise GivenUp(answers.away(reason, str(self._settings.patience), self._clock))
        return remaining

    def _unanswered(self, error: ElevonError, failures: int) -> Report:
        message = f"asked {failures} times without an answer; the last error: {error.message}"
        return reports.retryable(self._clock(), answers.AWAY, message, reports.SYSTEM)

    def _homeless(self, record: JobRecord) -> Report:
        message = (
            f"the job runs at the connector service {record.endpoint!r}, which is not configured any more; "
            f"there are {sorted(self._endpoints)}"
        )
        return reports.retryable(self._clock(), answers.AWAY, message, reports.SYSTEM)
