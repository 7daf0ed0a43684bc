"""MemoService."""

from __future__ import annotations

from typing import Any

from elevon_idl.catalog import v1 as catalog
from elevon_idl.catalog.v1 import memo_service_pb2_grpc
from grpc.aio import ServicerContext

from elevon_catalog.usecases.memo import Memo
from elevon_catalog.usecases.reservations import Reservations

Context = ServicerContext[Any, Any]


class MemoServicer(memo_service_pb2_grpc.MemoServiceServicer):
    """Serves memoization in batches."""

    def __init__(self, memo: Memo, reservations: Reservations) -> None:
        self._memo = memo
        self._reservations = reservations

    async def Lookup(self, request: catalog.LookupRequest, context: Context) -> catalog.LookupResponse:
        """See the proto."""
        return catalog.LookupResponse(results=await self._memo.lookup(request))

    async def Store(self, request: catalog.StoreRequest, context: Context) -> catalog.StoreResponse:
        """See the proto."""
        stored = await self._memo.store(request)
        return catalog.StoreResponse(
            results=[
                catalog.StoreResult(
                    outcome=catalog.StoreResult.Outcome.ValueType(each.outcome), artifact_id=each.artifact_id
                )
                for each in stored
            ]
        )

    async def Reserve(self, request: catalog.ReserveRequest, context: Context) -> catalog.ReserveResponse:
        """See the proto."""
        return catalog.ReserveResponse(reservations=await self._reservations.reserve(request))

    async def Release(self, request: catalog.ReleaseRequest, context: Context) -> catalog.ReleaseResponse:
        """See the proto."""
        await self._reservations.release(request)
        return catalog.ReleaseResponse()
