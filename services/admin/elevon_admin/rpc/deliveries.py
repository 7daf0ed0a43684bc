"""DeliveryService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import delivery_service_pb2

from elevon_admin.usecases.delivery_queries import DeliveryQueries

DELIVERY_SERVICE = delivery_service_pb2.DESCRIPTOR.services_by_name["DeliveryService"].full_name


class DeliveryServicer:
    """Decodes, calls, encodes."""

    def __init__(self, queries: DeliveryQueries) -> None:
        self._queries = queries

    async def ListReceivers(self, request: admin.ListReceiversRequest, context: object) -> admin.ListReceiversResponse:
        """Answer all receivers."""
        return await self._queries.list_receivers()

    async def ListDeliveries(
        self, request: admin.ListDeliveriesRequest, context: object
    ) -> admin.ListDeliveriesResponse:
        """Answer a page of messages."""
        return await self._queries.list_deliveries(request)

    async def RetryDeliveries(
        self, request: admin.RetryDeliveriesRequest, context: object
    ) -> admin.RetryDeliveriesResponse:
        """Try again what was given up."""
        return await self._queries.retry(request)
