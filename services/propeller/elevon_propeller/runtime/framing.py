"""Events as bytes: the `events` field of RecordEventsRequest, so that stored chunks can be joined without parsing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_propeller.ports import EventChunk

EVENTS_PER_CALL = 1_000
BYTES_PER_CALL = 2 * 1024 * 1024


def frame(events: Iterable[admin.ExecutionEvent]) -> bytes:
    """Events as the bytes of a request that has nothing but them; joined requests are a request."""
    return admin.RecordEventsRequest(events=events).SerializeToString()


def chunks(shard: int, first: int, events: list[admin.ExecutionEvent]) -> Iterator[EventChunk]:
    """Cut events into chunks of at most half a call each, numbered from `first`."""
    start, size, number = 0, 0, first
    for index, told in enumerate(events):
        length = told.ByteSize()
        if index > start and (index - start >= EVENTS_PER_CALL // 2 or size + length > BYTES_PER_CALL // 2):
            yield EventChunk(shard, number, frame(events[start:index]), index - start)
            start, size, number = index, 0, number + 1
        size += length
    if start < len(events):
        yield EventChunk(shard, number, frame(events[start:]), len(events) - start)


def side_by_side(events: Iterable[admin.ExecutionEvent]) -> list[admin.ExecutionEvent]:
    """The events of one execution, with RUNNING of a node right behind its QUEUED where both are there.

    A wide step queues all its nodes before it lets them begin. Both events in one batch are one row for admin to write.
    """
    told: list[list[admin.ExecutionEvent]] = []
    queued: dict[str, list[admin.ExecutionEvent]] = {}
    for event in events:
        node_id = event.node.id.node_id if event.HasField("node") else ""
        before = queued.pop(node_id, None) if node_id else None
        if before is not None and event.node.phase == core.NodeExecution.RUNNING:
            before.append(event)
            continue
        told.append([event])
        if node_id and event.node.phase == core.NodeExecution.QUEUED:
            queued[node_id] = told[-1]
    return [event for together in told for event in together]


def split(payload: bytes) -> tuple[bytes, bytes]:
    """Cut a payload of several events into two halves."""
    events = admin.RecordEventsRequest.FromString(payload).events
    middle = len(events) // 2
    return frame(events[:middle]), frame(events[middle:])


def count(payload: bytes) -> int:
    """How many events a payload has."""
    return len(admin.RecordEventsRequest.FromString(payload).events)


def parse(payload: bytes) -> Iterable[admin.ExecutionEvent]:
    """The events of a payload."""
    return admin.RecordEventsRequest.FromString(payload).events
