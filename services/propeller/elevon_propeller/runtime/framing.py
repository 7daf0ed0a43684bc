"""Events as bytes: the `events` field of RecordEventsRequest, so that stored chunks can be joined without parsing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from elevon_idl.admin import v1 as admin

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
