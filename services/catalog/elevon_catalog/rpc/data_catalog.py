"""DataCatalog."""

from __future__ import annotations

from typing import Any

from elevon_idl.catalog import v1 as catalog
from elevon_idl.catalog.v1 import data_catalog_pb2_grpc
from grpc.aio import ServicerContext

from elevon_catalog.usecases.artifacts import Artifacts
from elevon_catalog.usecases.datasets import Datasets
from elevon_catalog.usecases.reservations import Reservations

Context = ServicerContext[Any, Any]


class DataCatalogServicer(data_catalog_pb2_grpc.DataCatalogServicer):
    """Serves datasets, artifacts, tags and reservations as existing clients know them."""

    def __init__(self, datasets: Datasets, artifacts: Artifacts, reservations: Reservations) -> None:
        self._datasets = datasets
        self._artifacts = artifacts
        self._reservations = reservations

    async def CreateDataset(
        self, request: catalog.CreateDatasetRequest, context: Context
    ) -> catalog.CreateDatasetResponse:
        """See the proto."""
        await self._datasets.create(request)
        return catalog.CreateDatasetResponse()

    async def GetDataset(self, request: catalog.GetDatasetRequest, context: Context) -> catalog.GetDatasetResponse:
        """See the proto."""
        return catalog.GetDatasetResponse(dataset=await self._datasets.read(request))

    async def CreateArtifact(
        self, request: catalog.CreateArtifactRequest, context: Context
    ) -> catalog.CreateArtifactResponse:
        """See the proto."""
        await self._artifacts.create(request)
        return catalog.CreateArtifactResponse()

    async def GetArtifact(self, request: catalog.GetArtifactRequest, context: Context) -> catalog.GetArtifactResponse:
        """See the proto."""
        return catalog.GetArtifactResponse(artifact=await self._artifacts.read(request))

    async def AddTag(self, request: catalog.AddTagRequest, context: Context) -> catalog.AddTagResponse:
        """See the proto."""
        await self._artifacts.add_tag(request)
        return catalog.AddTagResponse()

    async def ListArtifacts(
        self, request: catalog.ListArtifactsRequest, context: Context
    ) -> catalog.ListArtifactsResponse:
        """See the proto."""
        return await self._artifacts.list(request)

    async def ListDatasets(
        self, request: catalog.ListDatasetsRequest, context: Context
    ) -> catalog.ListDatasetsResponse:
        """See the proto."""
        return await self._datasets.list(request)

    async def UpdateArtifact(
        self, request: catalog.UpdateArtifactRequest, context: Context
    ) -> catalog.UpdateArtifactResponse:
        """See the proto."""
        return catalog.UpdateArtifactResponse(artifact_id=await self._artifacts.update(request))

    async def GetOrExtendReservation(
        self, request: catalog.GetOrExtendReservationRequest, context: Context
    ) -> catalog.GetOrExtendReservationResponse:
        """See the proto."""
        return catalog.GetOrExtendReservationResponse(reservation=await self._reservations.extend(request))

    async def ReleaseReservation(
        self, request: catalog.ReleaseReservationRequest, context: Context
    ) -> catalog.ReleaseReservationResponse:
        """See the proto."""
        await self._reservations.give_up(request)
        return catalog.ReleaseReservationResponse()
