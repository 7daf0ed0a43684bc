"""Delivering to the engine what it is owed, until it acknowledges."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from elevon_core.errors import (
    AlreadyExists,
    ElevonError,
    ErrorKind,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event
from elevon_idl.propeller import v1 as propeller
from elevon_kit.logging import get_logger
from elevon_kit.tasks import BackgroundTasks

from elevon_admin.domain.dispatches import Dispatch, DispatchKind
from elevon_admin.domain.records import ExecutionKey, StoredLiterals
from elevon_admin.execution_ports import DispatchRepository, Engine
from elevon_admin.ports import Clock
from elevon_admin.usecases.backing_off import Pause, backoff
from elevon_admin.usecases.closures import Closures, digest_of
from elevon_admin.usecases.execution_measurements import ExecutionMeasurements
from elevon_admin.usecases.literals import LiteralStore
from elevon_admin.usecases.record_events import RecordEvents

log = get_logger("dispatch")

FINAL_ERRORS = (InvalidArgument, FailedPrecondition, NotFound)
"""What the engine answers when no further attempt can succeed."""


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """How hard to try; times in seconds."""

    in_flight: int = 64
    in_memory: int = 10_000
    sweep_seconds: float = 30.0
    others_seconds: float = 10.0
    first_pause: float = 0.05
    longest_pause: float = 5.0


class Dispatcher:
    """The Outbox that delivers: many executions at a time, one call after the other for each."""

    def __init__(
        self,
        repository: DispatchRepository,
        engine: Engine,
        closures: Closures,
        literals: LiteralStore,
        events: RecordEvents,
        clock: Clock,
        measurements: ExecutionMeasurements,
        settings: DispatchSettings | None = None,
    ) -> None:
        self._repository = repository
        self._engine = engine
        self._closures = closures
        self._literals = literals
        self._events = events
        self._clock = clock
        self._measurements = measurements
        self._settings = settings or DispatchSettings()
        self._queues: dict[ExecutionKey, deque[Dispatch]] = {}
        self._failures: dict[ExecutionKey, int] = {}
        self._refused: dict[int, event.WorkflowExecutionEvent] = {}
        self._known: set[int] = set()
        self._ready: asyncio.Queue[ExecutionKey] = asyncio.Queue()
        self._pause = Pause(self._settings.first_pause, self._settings.longest_pause)
        self._behind = False
        self._room = asyncio.Event()
        self._tasks = BackgroundTasks("dispatch")
        measurements.watch_waiting(lambda: self.waiting)

    @property
    def waiting(self) -> int:
        """How many dispatches are held in memory."""
        return len(self._known)

    def start(self) -> None:
        """Begin to deliver: what an earlier process left first, then what is put."""
        for number in range(self._settings.in_flight):
            self._tasks.keep_running(self._deliver_all, f"delivery {number}")
        self._tasks.keep_running(self._sweep, "sweep")

    async def stop(self) -> None:
        """Stop delivering; what is left waits in the database."""
        await self._tasks.stop()

    def put(self, dispatches: Sequence[Dispatch]) -> None:
        """See Outbox; what does not fit into memory is read from the database later."""
        for dispatch in dispatches:
            if dispatch.row_id in self._known:
                continue
            if len(self._known) >= self._settings.in_memory:
                self._behind = True
                return
            self._known.add(dispatch.row_id)
            queue = self._queues.get(dispatch.key)
            if queue is None:
                self._queues[dispatch.key] = deque([dispatch])
                self._ready.put_nowait(dispatch.key)
            else:
                queue.append(dispatch)

    async def _sweep(self) -> None:
        """Find what is in the database and not in memory: what is older than this process, and what did not fit.

        What another replica has just committed is left to it for a while.
        """
        others = 0.0
        while True:
            before = self._clock() - int(others * 1_000_000_000)
            self._behind = False
            self._room.clear()
            most = self._settings.in_memory + len(self._known)
            found = await self._repository.undelivered(most, before)
            self.put(found)
            self._behind |= len(found) == most
            self._tell_room()
            try:
                async with asyncio.timeout(self._settings.sweep_seconds):
                    await self._room.wait()
            except TimeoutError:
                others = self._settings.others_seconds
            else:
                others = 0.0

    async def _deliver_all(self) -> None:
        while True:
            key = await self._ready.get()
            await self._pause.over()
            queue = self._queues[key]
            try:
                await self._deliver(queue[0])
            except Unavailable as error:
                self._pause.failed()
                self._again(key, error)
            except ElevonError as error:
                self._again(key, error)
            except Exception as error:
                log.error("delivery failed", execution=str(key), exc_info=error)
                self._again(key, Internal(str(error)))
            else:
                self._delivered(key, queue)

    def _delivered(self, key: ExecutionKey, queue: deque[Dispatch]) -> None:
        self._failures.pop(key, None)
        dispatch = queue.popleft()
        self._known.discard(dispatch.row_id)
        self._measurements.delivered(dispatch.kind, "acknowledged")
        self._tell_room()
        if queue:
            self._ready.put_nowait(key)
        else:
            del self._queues[key]

    def _tell_room(self) -> None:
        if self._behind and len(self._known) <= self._settings.in_memory // 2:
            self._room.set()

    def _again(self, key: ExecutionKey, error: ElevonError) -> None:
        self._measurements.delivered(self._queues[key][0].kind, "failed")
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        pause = backoff(failures, self._settings.first_pause, self._settings.longest_pause)
        if failures == 1 or failures % 20 == 0:
            log.warning("not delivered", execution=str(key), failures=failures, reason=error.message)
        asyncio.get_running_loop().call_later(pause, self._ready.put_nowait, key)

    async def _deliver(self, dispatch: Dispatch) -> None:
        if dispatch.kind is DispatchKind.CREATE:
            await self._create(dispatch)
        elif dispatch.kind is DispatchKind.ABORT:
            await self._abort(dispatch)
        elif dispatch.kind is DispatchKind.CANCEL:
            await self._record(self._ended(dispatch.key, core.WorkflowExecution.ABORTED))
        else:
            await self._signal(dispatch)
        await self._repository.delivered(dispatch.row_id)

    async def _create(self, dispatch: Dispatch) -> None:
        refused = self._refused.get(dispatch.row_id)
        if refused is None:
            try:
                await self._hand_over(dispatch)
            except FINAL_ERRORS as error:
                log.warning("execution refused by the engine", execution=str(dispatch.key), reason=error.message)
                refused = self._refused[dispatch.row_id] = self._failed(dispatch.key, error)
        if refused is not None:  # once and for all: should the record fail, the engine is not asked again
            await self._record(refused)
            del self._refused[dispatch.row_id]
        self._pause.succeeded()

    async def _hand_over(self, dispatch: Dispatch) -> None:
        request = propeller.CreateExecutionRequest.FromString(dispatch.payload)
        inputs = StoredLiterals(dispatch.inputs_uri, dispatch.inputs)
        request.inputs.CopyFrom(await self._literals.read(inputs))
        response = await self._engine.create(request)
        if response.closure_required:
            await self._create_with_closure(dispatch, request)

    async def _create_with_closure(self, dispatch: Dispatch, request: propeller.CreateExecutionRequest) -> None:
        if dispatch.workflow_row is None:
            raise NotFound(f"execution {dispatch.key} has no workflow")
        launch_plan = request.options.launch_plan_id.name
        closure = await self._closures.closure(dispatch.workflow_row, dispatch.key, launch_plan)
        request.closure.CopyFrom(closure)
        request.closure_digest = digest_of(closure)
        response = await self._engine.create(request)
        if response.closure_required:
            raise Internal("the engine asked for the closure it was sent")

    async def _abort(self, dispatch: Dispatch) -> None:
        request = propeller.AbortExecutionRequest.FromString(dispatch.payload)
        known = await self._engine.abort(request.execution_id, request.cause)
        self._pause.succeeded()
        if not known:
            await self._record(self._ended(dispatch.key, core.WorkflowExecution.ABORTED))

    async def _signal(self, dispatch: Dispatch) -> None:
        request = propeller.SetSignalRequest.FromString(dispatch.payload)
        known = await self._engine.set_signal(request.execution_id, request.signal_id, request.value)
        self._pause.succeeded()
        if not known:
            log.warning("signal for an unknown execution", execution=str(dispatch.key), signal=request.signal_id)

    async def _record(self, ended: event.WorkflowExecutionEvent) -> None:
        """Record the end of an execution and tell the engine of it; both may be repeated."""
        try:
            await self._events.one(ended)
        except (AlreadyExists, FailedPrecondition):
            log.info("execution had ended before", execution=str(ExecutionKey.of(ended.execution_id)))
        # Nobody else tells a node that has launched it: the engine has never run it.
        await self._engine.tell_end(ended.execution_id)
        self._pause.succeeded()

    def _failed(self, key: ExecutionKey, error: ElevonError) -> event.WorkflowExecutionEvent:
        user_error = error.kind is ErrorKind.INVALID_ARGUMENT
        ended = self._ended(key, core.WorkflowExecution.FAILED)
        ended.error.code = "".join(word.capitalize() for word in error.kind.value.split())
        ended.error.message = error.message
        ended.error.kind = core.ExecutionError.USER if user_error else core.ExecutionError.SYSTEM
        return ended

    def _ended(self, key: ExecutionKey, phase: core.WorkflowExecution.Phase.ValueType) -> event.WorkflowExecutionEvent:
        ended = event.WorkflowExecutionEvent(execution_id=key.identifier(), phase=phase)
        ended.occurred_at.FromNanoseconds(self._clock())
        return ended
