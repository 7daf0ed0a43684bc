"""CacheService."""

from __future__ import annotations

from typing import Any

from elevon_idl.cacheservice import v1 as cacheservice
from elevon_idl.cacheservice.v1 import cache_service_pb2_grpc
from grpc.aio import ServicerContext

from elevon_catalog.usecases.cache import Cache, CacheReservations

Context = ServicerContext[Any, Any]


class CacheServicer(cache_service_pb2_grpc.CacheServiceServicer):
    """Serves outputs under keys, and leases on keys."""

    def __init__(self, cache: Cache, reservations: CacheReservations) -> None:
        self._cache = cache
        self._reservations = reservations

    async def Get(self, request: cacheservice.GetCacheRequest, context: Context) -> cacheservice.GetCacheResponse:
        """See the proto."""
        return cacheservice.GetCacheResponse(output=await self._cache.read(request))

    async def Put(self, request: cacheservice.PutCacheRequest, context: Context) -> cacheservice.PutCacheResponse:
        """See the proto."""
        await self._cache.put(request)
        return cacheservice.PutCacheResponse()

    async def Delete(
        self, request: cacheservice.DeleteCacheRequest, context: Context
    ) -> cacheservice.DeleteCacheResponse:
        """See the proto."""
        await self._cache.delete(request)
        return cacheservice.DeleteCacheResponse()

    async def GetOrExtendReservation(
        self, request: cacheservice.GetOrExtendReservationRequest, context: Context
    ) -> cacheservice.GetOrExtendReservationResponse:
        """See the proto."""
        return cacheservice.GetOrExtendReservationResponse(reservation=await self._reservations.extend(request))

    async def ReleaseReservation(
        self, request: cacheservice.ReleaseReservationRequest, context: Context
    ) -> cacheservice.ReleaseReservationResponse:
        """See the proto."""
        await self._reservations.release(request)
        return cacheservice.ReleaseReservationResponse()
