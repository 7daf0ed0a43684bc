"""Admin's EventService: stored bytes go onto the wire as they are."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from elevon_core.errors import ElevonError
from elevon_idl.admin import v1 as admin
from elevon_kit.grpc_client import translate_errors

from elevon_propeller.ports import Refusal

METHOD = "/elevon.admin.v1.EventService/RecordEvents"


class GrpcAdminEvents:
    """Delivers events over one channel; `timeout` in seconds."""

    def __init__(self, channel: grpc.aio.Channel, producer_id: str, timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._head = admin.RecordEventsRequest(producer_id=producer_id).SerializeToString()
        self._call = channel.unary_unary(
            METHOD,
            request_serializer=bytes,
            response_deserializer=admin.RecordEventsResponse.FromString,
        )

    async def record(self, payload: bytes) -> Sequence[Refusal]:
        """Deliver serialized events."""
        with translate_errors("admin"):
            response: admin.RecordEventsResponse = await self._call(self._head + payload, timeout=self._timeout)
        return [
            Refusal(index, outcome.message)
            for index, outcome in enumerate(response.outcomes)
            if outcome.result == admin.EventOutcome.RESULT_REFUSED
        ]


class MemoryAdminEvents:
    """The fake of `AdminEvents`: keeps events and how many came at once; `failures` are raised first, one per call."""

    def __init__(self) -> None:
        self.events: list[admin.ExecutionEvent] = []
        self.sizes: list[int] = []
        self.calls = 0
        self.failures: list[ElevonError] = []

    async def record(self, payload: bytes) -> Sequence[Refusal]:
        """Keep serialized events."""
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        told = admin.RecordEventsRequest.FromString(payload).events
        self.events.extend(told)
        self.sizes.append(len(told))
        return ()
