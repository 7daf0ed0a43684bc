"""WatchService."""

from __future__ import annotations

from collections.abc import AsyncIterator

from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import watch_service_pb2

from elevon_admin.usecases.watch import Watch

WATCH_SERVICE = watch_service_pb2.DESCRIPTOR.services_by_name["WatchService"].full_name


class WatchServicer:
    """Decodes, calls, encodes."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def WatchExecution(
        self, request: admin.WatchExecutionRequest, context: object
    ) -> AsyncIterator[admin.WatchExecutionResponse]:
        """Follow one execution."""
        async for response in self._watch.execution(request):
            yield response

    async def WatchExecutions(
        self, request: admin.WatchExecutionsRequest, context: object
    ) -> AsyncIterator[admin.WatchExecutionsResponse]:
        """Follow the executions of a project and domain."""
        async for response in self._watch.executions(request):
            yield response
