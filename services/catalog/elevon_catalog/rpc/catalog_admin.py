"""CatalogAdminService."""

from __future__ import annotations

from typing import Any

from elevon_idl.catalog import v1 as catalog
from elevon_idl.catalog.v1 import catalog_admin_service_pb2_grpc
from grpc.aio import ServicerContext

from elevon_catalog.usecases.upkeep import Upkeep

Context = ServicerContext[Any, Any]


class CatalogAdminServicer(catalog_admin_service_pb2_grpc.CatalogAdminServiceServicer):
    """Serves deletion and usage."""

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    async def DeleteArtifact(
        self, request: catalog.DeleteArtifactRequest, context: Context
    ) -> catalog.DeleteArtifactResponse:
        """See the proto."""
        return catalog.DeleteArtifactResponse(artifact_id=await self._upkeep.delete_artifact(request))

    async def EvictTag(self, request: catalog.EvictTagRequest, context: Context) -> catalog.EvictTagResponse:
        """See the proto."""
        return catalog.EvictTagResponse(deleted_artifact_id=await self._upkeep.evict_tag(request))

    async def DeleteDataset(
        self, request: catalog.DeleteDatasetRequest, context: Context
    ) -> catalog.DeleteDatasetResponse:
        """See the proto."""
        return catalog.DeleteDatasetResponse(deleted_artifacts=await self._upkeep.delete_dataset(request))

    async def PruneArtifacts(
        self, request: catalog.PruneArtifactsRequest, context: Context
    ) -> catalog.PruneArtifactsResponse:
        """See the proto."""
        return catalog.PruneArtifactsResponse(deleted_artifacts=await self._upkeep.prune(request))

    async def EvictPointing(
        self, request: catalog.EvictPointingRequest, context: Context
    ) -> catalog.EvictPointingResponse:
        """See the proto."""
        return catalog.EvictPointingResponse(deleted_artifacts=await self._upkeep.evict_pointing(request))

    async def ListUsage(self, request: catalog.ListUsageRequest, context: Context) -> catalog.ListUsageResponse:
        """See the proto."""
        return catalog.ListUsageResponse(usages=await self._upkeep.list_usage(request))
