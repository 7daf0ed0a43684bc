"""Events of the engine: one by one through AdminService, in batches through EventService."""

from __future__ import annotations

from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import event_service_pb2

from elevon_admin.usecases.record_events import RecordEvents

EVENT_SERVICE = event_service_pb2.DESCRIPTOR.services_by_name["EventService"].full_name

_Request = admin.WorkflowExecutionEventRequest | admin.NodeExecutionEventRequest | admin.TaskExecutionEventRequest


class EventRpcs:
    """Decodes, calls, encodes."""

    record_events: RecordEvents

    async def CreateWorkflowEvent(
        self, request: admin.WorkflowExecutionEventRequest, context: object
    ) -> admin.WorkflowExecutionEventResponse:
        """Record a change of a workflow execution."""
        _check(request)
        await self.record_events.one(request.event)
        return admin.WorkflowExecutionEventResponse()

    async def CreateNodeEvent(
        self, request: admin.NodeExecutionEventRequest, context: object
    ) -> admin.NodeExecutionEventResponse:
        """Record a change of a node execution."""
        _check(request)
        await self.record_events.one(request.event)
        return admin.NodeExecutionEventResponse()

    async def CreateTaskEvent(
        self, request: admin.TaskExecutionEventRequest, context: object
    ) -> admin.TaskExecutionEventResponse:
        """Record a change of a task execution."""
        _check(request)
        await self.record_events.one(request.event)
        return admin.TaskExecutionEventResponse()


class EventServicer:
    """EventService."""

    def __init__(self, record_events: RecordEvents) -> None:
        self._record_events = record_events

    async def RecordEvents(self, request: admin.RecordEventsRequest, context: object) -> admin.RecordEventsResponse:
        """Record many events, in order."""
        return admin.RecordEventsResponse(outcomes=await self._record_events.batch(request.events))


def _check(request: _Request) -> None:
    if not request.HasField("event"):
        raise InvalidArgument.missing("event")
