"""Events as bytes: the `events` field of RecordEventsRequest, so that stored chunks can be joined without parsing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_propeller.ports import EventChunk

EVENTS_PER_CHUNK, BYTES_PER_CHUNK = 500, 1024 * 1024
EVENTS_PER_CALL, BYTES_PER_CALL = 4_000, 2 * 1024 * 1024
"""The next call waits until a step is over; admin is to have enough to do until then."""

_EVENTS_TAG = admin.RecordEventsRequest.EVENTS_FIELD_NUMBER << 3 | 2


def frame(events: Iterable[admin.ExecutionEvent]) -> bytes:
    """Events as the bytes of a request that has nothing but them; joined requests are a request."""
    return admin.RecordEventsRequest(events=events).SerializeToString()


def chunks(shard: int, first: int, events: list[admin.ExecutionEvent]) -> Iterator[EventChunk]:
    """Cut events into chunks, numbered from `first`; only an event that is larger by itself makes a larger one."""
    payload, count, number = bytearray(), 0, first
    for told in events:
        content = told.SerializeToString()
        if count and (count >= EVENTS_PER_CHUNK or len(payload) + len(content) > BYTES_PER_CHUNK):
            yield EventChunk(shard, number, bytes(payload), count)
            payload, count, number = bytearray(), 0, number + 1
        _add_framed(payload, content)
        count += 1
    if count:
        yield EventChunk(shard, number, bytes(payload), count)


def _add_framed(payload: bytearray, content: bytes) -> None:
    """Add an event as an element of the field: its tag, its length seven bits a byte, the event itself."""
    payload.append(_EVENTS_TAG)
    length = len(content)
    while length > 127:
        payload.append(length & 127 | 128)
        length >>= 7
    payload.append(length)
    payload += content


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
