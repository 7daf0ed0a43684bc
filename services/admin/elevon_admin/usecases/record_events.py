"""What the engine reports: single events and batches take the same path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from elevon_core import places
from elevon_core.errors import AlreadyExists, ElevonError, InvalidArgument, ResourceExhausted
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_idl.event import v1 as event

from elevon_admin.domain.event_batches import EVENTS_AT_ONCE, AnyEvent, PreparedEvent, validate_event
from elevon_admin.domain.records import NO_DATA, EventData, ExecutionKey, StoredLiterals
from elevon_admin.execution_ports import EventRepository
from elevon_admin.usecases.execution_measurements import ExecutionMeasurements
from elevon_admin.usecases.literals import LiteralStore

Listener = Callable[[Sequence[AnyEvent]], Awaitable[None]]
"""Told of recorded events; may be told of one several times."""

MOST_EVENTS = 10_000
"""Events of one batch; more are refused as a whole."""


class RecordEvents:
    """Validates events, moves large literals out of them, and has them applied."""

    def __init__(self, events: EventRepository, literals: LiteralStore, measurements: ExecutionMeasurements) -> None:
        self._events = events
        self._literals = literals
        self._measurements = measurements
        self._listeners: list[Listener] = []

    def tell(self, listener: Listener) -> None:
        """Have a listener told of all events that are recorded, before whoever reported them has an answer."""
        self._listeners.append(listener)

    async def one(self, reported: AnyEvent) -> None:
        """Record one event.

        Raises InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, or ResourceExhausted for oversized outputs.
        """
        prepared = PreparedEvent(reported)
        await self._prepare(prepared)
        (outcome,) = await self._events.record([prepared])
        self._measurements.reported([outcome])
        if outcome is not None:
            raise outcome
        await self._tell([reported])

    async def batch(self, events: Sequence[admin.ExecutionEvent]) -> list[admin.EventOutcome]:
        """Record events in order, in one transaction; an event that is repeated is told from a new one.

        Raises ResourceExhausted for too many, Unavailable when database or object store are out of reach.
        """
        if len(events) > MOST_EVENTS:
            raise ResourceExhausted(f"{len(events)} events in one call, at most {MOST_EVENTS} are accepted")
        outcomes: list[ElevonError | None] = [None] * len(events)
        accepted: list[tuple[int, PreparedEvent]] = []
        for index, wrapped in enumerate(events):
            if index % EVENTS_AT_ONCE == EVENTS_AT_ONCE - 1:
                await asyncio.sleep(0)
            try:
                prepared = PreparedEvent(_unwrapped(wrapped), replayable=True)
                await self._prepare(prepared)
                if told := wrapped.places:
                    prepared.places |= frozenset(told)
            except (InvalidArgument, ResourceExhausted) as error:
                outcomes[index] = error
            else:
                accepted.append((index, prepared))
        if accepted:
            recorded = await self._recorded([prepared for _, prepared in accepted])
            for (index, _), outcome in zip(accepted, recorded, strict=True):
                outcomes[index] = outcome
            # Repeated events count as well: the first time, nobody may have lived to tell of them.
            await self._tell([prepared.reported for _, prepared in accepted])
        self._measurements.reported(outcomes)
        return [_outcome(error) for error in outcomes]

    async def _recorded(self, prepared: Sequence[PreparedEvent]) -> Sequence[ElevonError | None]:
        """Record events together; one by one when the database does not take something of one of them."""
        try:
            return await self._events.record(prepared)
        except InvalidArgument as error:
            if len(prepared) == 1:
                return [error]
        return [outcome for each in prepared for outcome in await self._recorded([each])]

    async def _tell(self, events: Sequence[AnyEvent]) -> None:
        for listener in self._listeners:
            await listener(events)

    async def _prepare(self, prepared: PreparedEvent) -> None:
        reported = prepared.reported
        validate_event(reported)
        if isinstance(reported, event.WorkflowExecutionEvent):
            prepared.data = await self._workflow_data(prepared.execution, reported)
        elif isinstance(reported, event.NodeExecutionEvent):
            prepared.data = await self._node_data(prepared.execution, reported)
        else:
            prepared.data = await self._task_data(prepared.execution, reported)
        prepared.places = _places(prepared)

    async def _workflow_data(self, key: ExecutionKey, reported: event.WorkflowExecutionEvent) -> EventData:
        if not reported.HasField("output_data"):
            return NO_DATA
        return EventData(outputs=await self._keep(reported.output_data, key, "offloaded_outputs"))

    async def _node_data(self, key: ExecutionKey, reported: event.NodeExecutionEvent) -> EventData:
        dynamic = reported.HasField("task_node_metadata") and reported.task_node_metadata.HasField("dynamic_workflow")
        if not (dynamic or reported.HasField("input_data") or reported.HasField("output_data")):
            return NO_DATA
        data = EventData()
        node_id = reported.id.node_id
        if reported.HasField("input_data"):
            data.inputs = await self._keep(reported.input_data, key, node_id, "offloaded_inputs")
        if reported.HasField("output_data"):
            data.outputs = await self._keep(reported.output_data, key, node_id, "offloaded_outputs")
        if dynamic:
            closure = reported.task_node_metadata.dynamic_workflow.compiled_workflow
            content = closure.SerializeToString(deterministic=True)
            data.dynamic_workflow = await self._literals.keep(content, key, node_id, "dynamic_workflow")
        return data

    async def _task_data(self, key: ExecutionKey, reported: event.TaskExecutionEvent) -> EventData:
        if not (reported.HasField("input_data") or reported.HasField("output_data")):
            return NO_DATA
        data = EventData()
        task = reported.task_id
        node_id, attempt = reported.parent_node_execution_id.node_id, str(reported.retry_attempt)
        folder = (node_id, task.project, task.domain, task.name, task.version, attempt)
        if reported.HasField("input_data"):
            data.inputs = await self._keep(reported.input_data, key, *folder, "offloaded_inputs")
        if reported.HasField("output_data"):
            data.outputs = await self._keep(reported.output_data, key, *folder, "offloaded_outputs")
        return data

    async def _keep(self, values: core.LiteralMap, execution: ExecutionKey, *parts: str) -> StoredLiterals:
        data = values.SerializeToString()
        self._literals.check_size(len(data), parts[-1].removeprefix("offloaded_"))
        if self._literals.fits_inline(len(data)):
            return StoredLiterals(data=data)
        return await self._literals.keep(data, execution, *parts)


def _places(prepared: PreparedEvent) -> frozenset[str]:
    """Whose data the outputs point at, as far as they are here."""
    reported, kept = prepared.reported, prepared.data.outputs
    data = b""
    if kept is not None and kept.data is not None:
        data = kept.data
    elif reported.HasField("output_data"):
        data = reported.output_data.SerializeToString()
    elif reported.HasField("output_uri"):
        data = reported.output_uri.encode()
    return frozenset(places.elsewhere(data, *prepared.execution)) if data else frozenset()


def _unwrapped(wrapped: admin.ExecutionEvent) -> AnyEvent:
    kind = wrapped.WhichOneof("event")
    if kind == "workflow":
        return wrapped.workflow
    if kind == "node":
        return wrapped.node
    if kind == "task":
        return wrapped.task
    raise InvalidArgument.missing("event")


_RECORDED = admin.EventOutcome(result=admin.EventOutcome.RESULT_RECORDED)


def _outcome(error: ElevonError | None) -> admin.EventOutcome:
    if error is None:
        return _RECORDED
    already = isinstance(error, AlreadyExists)
    result = admin.EventOutcome.RESULT_ALREADY_RECORDED if already else admin.EventOutcome.RESULT_REFUSED
    return admin.EventOutcome(result=result, message="" if already else error.message)
