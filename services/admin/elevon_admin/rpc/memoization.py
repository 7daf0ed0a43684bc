"""MemoizationService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import memoization_service_pb2

from elevon_admin.usecases.memoization import Memoization

MEMOIZATION_SERVICE = memoization_service_pb2.DESCRIPTOR.services_by_name["MemoizationService"].full_name


class MemoizationServicer:
    """Decodes, calls, encodes."""

    def __init__(self, memoization: Memoization) -> None:
        self._memoization = memoization

    async def ExplainNode(self, request: admin.ExplainNodeRequest, context: object) -> admin.ExplainNodeResponse:
        """Answer why a node hit or missed."""
        return await self._memoization.explain(request.id, _element(request))

    async def EvictNode(self, request: admin.EvictNodeRequest, context: object) -> admin.EvictNodeResponse:
        """Remove what a node would hit."""
        return await self._memoization.evict(request.id, _element(request))


def _element(request: admin.ExplainNodeRequest | admin.EvictNodeRequest) -> int | None:
    return request.element if request.HasField("element") else None
