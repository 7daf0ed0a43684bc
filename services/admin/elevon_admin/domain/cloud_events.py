"""Events as CloudEvents 1.0, in their structured and their binary form."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote

from elevon_idl.admin import v1 as admin
from elevon_idl.event import v1 as event
from google.protobuf.json_format import MessageToDict

from elevon_admin.domain.deliveries import DeliveryKind, NewDelivery, message_id
from elevon_admin.domain.event_batches import AnyEvent
from elevon_admin.domain.phases import node_phase_name, task_phase_name, workflow_phase_name
from elevon_admin.domain.records import ExecutionKey, NodeKey, TaskKey

STRUCTURED_TYPE = "application/cloudevents+json; charset=utf-8"
KINDS = ("workflow", "node", "task")
_REQUESTS = {
    "workflow": "WorkflowExecutionEventRequest",
    "node": "NodeExecutionEventRequest",
    "task": "TaskExecutionEventRequest",
}


@dataclass(frozen=True, slots=True)
class EventRoute:
    """A receiver of events of some kinds: workflow, node, task."""

    name: str
    kinds: Collection[str] = KINDS


@dataclass(frozen=True, slots=True)
class _About:
    """What an event is about: its id within the source, its subject, the kind of its request."""

    identity: str
    subject: str
    kind: str


def owed_events(routes: Collection[EventRoute], reported: AnyEvent) -> list[NewDelivery]:
    """The messages about one event."""
    about = _about(reported)
    routes = [route for route in routes if about.kind in route.kinds]
    if not routes:
        return []
    payload = _wrapped(reported).SerializeToString()
    return [
        NewDelivery(
            route.name,
            DeliveryKind.CLOUD_EVENT,
            str(_execution(reported)),
            message_id(route.name, about.identity),
            payload,
        )
        for route in routes
    ]


def structured(payload: bytes, source: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a delivery, with the attributes in the body."""
    attributes, data = _cloud_event(payload, source)
    body = {**attributes, "datacontenttype": "application/json", "data": data}
    return {"content-type": STRUCTURED_TYPE}, json.dumps(body).encode()


def binary(payload: bytes, source: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a delivery, with the attributes in headers."""
    attributes, data = _cloud_event(payload, source)
    # Header values are printable ASCII; the specification has everything else, and quotes, percent-encoded.
    headers = {f"ce-{name}": quote(value, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~") for name, value in attributes.items()}
    return {**headers, "content-type": "application/json"}, json.dumps(data).encode()


def _cloud_event(payload: bytes, source: str) -> tuple[dict[str, str], object]:
    wrapped = admin.ExecutionEvent.FromString(payload)
    reported: AnyEvent = getattr(wrapped, wrapped.WhichOneof("event") or "workflow")
    about = _about(reported)
    attributes = {
        "specversion": "1.0",
        "id": about.identity,
        "source": source,
        "type": f"com.flyte.resource.flyteidl.admin.{_REQUESTS[about.kind]}",
        "subject": about.subject,
    }
    if reported.HasField("occurred_at"):
        attributes["time"] = reported.occurred_at.ToJsonString()
    return attributes, {"event": MessageToDict(reported)}


def _wrapped(reported: AnyEvent) -> admin.ExecutionEvent:
    if isinstance(reported, event.WorkflowExecutionEvent):
        return admin.ExecutionEvent(workflow=reported)
    if isinstance(reported, event.NodeExecutionEvent):
        return admin.ExecutionEvent(node=reported)
    return admin.ExecutionEvent(task=reported)


def _execution(reported: AnyEvent) -> ExecutionKey:
    if isinstance(reported, event.WorkflowExecutionEvent):
        return ExecutionKey.of(reported.execution_id)
    if isinstance(reported, event.NodeExecutionEvent):
        return ExecutionKey.of(reported.id.execution_id)
    return ExecutionKey.of(reported.parent_node_execution_id.execution_id)


def _about(reported: AnyEvent) -> _About:
    """The id ends in phase and time: an entity may be in one phase more than once."""
    moment = reported.occurred_at.ToNanoseconds()
    if isinstance(reported, event.WorkflowExecutionEvent):
        key = ExecutionKey.of(reported.execution_id)
        return _About(f"{key}.{workflow_phase_name(reported.phase)}.{moment}", "/".join(key), "workflow")
    if isinstance(reported, event.NodeExecutionEvent):
        node = NodeKey.of(reported.id)
        subject = "/".join((*node.execution, node.node_id))
        return _About(f"{node}.{node_phase_name(reported.phase)}.{moment}", subject, "node")
    task = TaskKey.of(reported.task_id, reported.parent_node_execution_id, reported.retry_attempt)
    subject = "/".join((*task.node.execution, task.node.node_id, str(task.attempt)))
    version = f"{task_phase_name(reported.phase)}.{reported.phase_version}"
    return _About(f"{task}.{version}.{moment}", subject, "task")
