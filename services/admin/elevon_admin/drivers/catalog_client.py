"""The catalog behind DataCatalog and CatalogAdminService."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import grpc
from elevon_core.errors import NotFound
from elevon_core.portions import portions
from elevon_idl.catalog import v1 as catalog
from elevon_idl.catalog.v1 import catalog_admin_service_pb2_grpc, data_catalog_pb2_grpc
from elevon_idl.core import v1 as core
from elevon_kit.grpc_client import translate_errors

from elevon_admin.ports import MemoEntry

WHERE = "catalog"
PLACES_AT_ONCE = 5000
MOST_DATASETS = 100
"""How many versions of one task's dataset are read, the newest first."""


class GrpcMemoCatalog:
    """The MemoCatalog at the other end of a channel; `timeout` in seconds is that of one call."""

    def __init__(self, channel: grpc.aio.Channel, timeout: float = 15.0) -> None:
        # Over an asynchronous channel the generated stub is what the generator types as the ...AsyncStub.
        self._data = cast("data_catalog_pb2_grpc.DataCatalogAsyncStub", data_catalog_pb2_grpc.DataCatalogStub(channel))
        self._upkeep = cast(
            "catalog_admin_service_pb2_grpc.CatalogAdminServiceAsyncStub",
            catalog_admin_service_pb2_grpc.CatalogAdminServiceStub(channel),
        )
        self._timeout = timeout

    async def datasets(self, like: core.Identifier) -> Sequence[core.Identifier]:
        """See MemoCatalog."""
        request = catalog.ListDatasetsRequest(pagination=catalog.PaginationOptions(limit=MOST_DATASETS))
        for field in ("project", "domain", "name"):
            equal = catalog.DatasetPropertyFilter(**{field: getattr(like, field)})
            request.filter.filters.add(dataset_filter=equal)
        with translate_errors(WHERE):
            found = await self._data.ListDatasets(request, timeout=self._timeout)
        return [_identifier(dataset.id) for dataset in found.datasets]

    async def entries(self, dataset: core.Identifier, limit: int) -> Sequence[MemoEntry]:
        """See MemoCatalog."""
        request = catalog.ListArtifactsRequest(
            dataset=_dataset_id(dataset), pagination=catalog.PaginationOptions(limit=limit)
        )
        try:
            with translate_errors(WHERE):
                found = await self._data.ListArtifacts(request, timeout=self._timeout)
        except NotFound:
            return []
        return [_entry(artifact) for artifact in found.artifacts if artifact.tags]

    async def entry(self, dataset: core.Identifier, tag: str) -> MemoEntry | None:
        """See MemoCatalog."""
        request = catalog.GetArtifactRequest(dataset=_dataset_id(dataset), tag_name=tag)
        try:
            with translate_errors(WHERE):
                found = await self._data.GetArtifact(request, timeout=self._timeout)
        except NotFound:
            return None
        return _entry(found.artifact)

    async def evict(self, dataset: core.Identifier, tag: str) -> str:
        """See MemoCatalog."""
        request = catalog.EvictTagRequest(dataset=_dataset_id(dataset), tag_name=tag)
        try:
            with translate_errors(WHERE):
                return (await self._upkeep.EvictTag(request, timeout=self._timeout)).deleted_artifact_id
        except NotFound:
            return ""

    async def evict_pointing(self, places: Sequence[str], *, dry_run: bool) -> int:
        """See CachedResults."""
        count = 0
        for some in portions(places, PLACES_AT_ONCE):
            request = catalog.EvictPointingRequest(places=some, dry_run=dry_run)
            with translate_errors(WHERE):
                count += (await self._upkeep.EvictPointing(request, timeout=self._timeout)).deleted_artifacts
        return count

    async def prune(self, project: str, domain: str, age: int, *, dry_run: bool) -> int:
        """See CachedResults."""
        request = catalog.PruneArtifactsRequest(project=project, domain=domain, dry_run=dry_run)
        request.older_than.FromNanoseconds(age)
        with translate_errors(WHERE):
            return (await self._upkeep.PruneArtifacts(request, timeout=self._timeout)).deleted_artifacts


def _entry(artifact: catalog.Artifact) -> MemoEntry:
    facts = artifact.metadata.key_map
    execution = core.WorkflowExecutionIdentifier(
        project=facts.get("exec-project", ""), domain=facts.get("exec-domain", ""), name=facts.get("execution-name", "")
    )
    source = core.TaskExecutionIdentifier(
        node_execution_id=core.NodeExecutionIdentifier(node_id=facts.get("exec-node", ""), execution_id=execution)
    )
    return MemoEntry(artifact.tags[0].name if artifact.tags else "", artifact.id, artifact.created_at, source)


def _dataset_id(dataset: core.Identifier) -> catalog.DatasetID:
    return catalog.DatasetID(project=dataset.project, domain=dataset.domain, name=dataset.name, version=dataset.version)


def _identifier(dataset: catalog.DatasetID) -> core.Identifier:
    return core.Identifier(
        resource_type=core.DATASET,
        project=dataset.project,
        domain=dataset.domain,
        name=dataset.name,
        version=dataset.version,
    )
