"""Explaining why a node hit or missed the cache, and evicting what it would hit."""

from __future__ import annotations

from collections.abc import Collection

from elevon_core.errors import FailedPrecondition, InvalidArgument, NotFound
from elevon_core.hashing import cache_tag
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.cache_differences import explanation, input_differences, version_differences
from elevon_admin.domain.entities import EntityKey
from elevon_admin.domain.executions import StoredNode
from elevon_admin.ports import MemoCatalog, MemoEntry
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.literals import LiteralStore
from elevon_admin.usecases.registry_reads import RegistryReads

COMPARED = 50
"""How many of a dataset's newest entries are compared with the node."""

TOLD = 5
"""How many of them are told, the most alike first."""

_TOLD_OF = (core.CACHE_MISS, core.CACHE_POPULATED, core.CACHE_PUT_FAILURE)


class Memoization:
    """Puts together what admin knows of a node and what the catalog holds; `catalog` is None when it is not known."""

    def __init__(
        self, queries: ExecutionQueries, reads: RegistryReads, literals: LiteralStore, catalog: MemoCatalog | None
    ) -> None:
        self._queries = queries
        self._reads = reads
        self._literals = literals
        self._known_catalog = catalog

    async def explain(self, identifier: core.NodeExecutionIdentifier) -> admin.ExplainNodeResponse:
        """Raises NotFound for an unknown node, FailedPrecondition without a catalog, Unavailable while it is away."""
        node = await self._queries.node(identifier)
        metadata = node.closure.task_node_metadata
        answer = admin.ExplainNodeResponse(
            id=node.key.identifier(), cache_status=metadata.cache_status, entry=metadata.catalog_key
        )
        if metadata.catalog_key.dataset_id.name:
            answer.present = await self._is_present(metadata.catalog_key)
            if metadata.cache_status in _TOLD_OF:
                answer.nearby.extend(await self._nearby(node, metadata.catalog_key))
        answer.explanation = explanation(metadata.cache_status, entry=metadata.catalog_key, present=answer.present)
        return answer

    async def evict(self, identifier: core.NodeExecutionIdentifier) -> admin.EvictNodeResponse:
        """Remove the entry of a node's inputs. Raises as `explain`, and FailedPrecondition for one that has none."""
        node = await self._queries.node(identifier)
        key = node.closure.task_node_metadata.catalog_key
        if not key.dataset_id.name:
            raise FailedPrecondition(f"node {node.key} is not cached: there is no entry to evict")
        tag = key.artifact_tag.name or await self._tag(node)
        return admin.EvictNodeResponse(artifact_id=await self._catalog.evict(key.dataset_id, tag))

    @property
    def _catalog(self) -> MemoCatalog:
        if self._known_catalog is None:
            raise FailedPrecondition("admin does not know where the catalog is: set catalog_address")
        return self._known_catalog

    async def _is_present(self, key: core.CatalogMetadata) -> bool:
        if not key.artifact_tag.name:
            return False
        found = await self._catalog.entry(key.dataset_id, key.artifact_tag.name)
        return found is not None

    async def _nearby(self, node: StoredNode, own: core.CatalogMetadata) -> list[admin.NearbyEntry]:
        inputs, ignored = await self._literals.read_leniently(node.inputs), await self._ignored(node)
        found = [
            await self._compared(own.dataset_id, entry, inputs, ignored)
            for entry in await self._catalog.entries(own.dataset_id, COMPARED)
            if entry.tag != own.artifact_tag.name
        ]
        found += [
            admin.NearbyEntry(
                entry=core.CatalogMetadata(dataset_id=dataset),
                differences=version_differences(own.dataset_id.version, dataset.version),
            )
            for dataset in await self._catalog.datasets(own.dataset_id)
            if dataset.version != own.dataset_id.version
        ]
        return sorted(found, key=lambda entry: len(entry.differences))[:TOLD]

    async def _compared(
        self, dataset: core.Identifier, entry: MemoEntry, inputs: core.LiteralMap, ignored: Collection[str]
    ) -> admin.NearbyEntry:
        told = admin.NearbyEntry(
            entry=core.CatalogMetadata(
                dataset_id=dataset,
                artifact_tag=core.CatalogArtifactTag(artifact_id=entry.artifact_id, name=entry.tag),
                source_task_execution=entry.source,
            )
        )
        told.created_at.CopyFrom(entry.created_at)
        try:
            source = await self._queries.node(entry.source.node_execution_id)
        except (NotFound, InvalidArgument):
            told.differences.add(kind=admin.CacheDifference.KIND_SOURCE_GONE)
            return told
        theirs = await self._literals.read_leniently(source.inputs)
        told.differences.extend(input_differences(inputs, theirs, ignored))
        return told

    async def _tag(self, node: StoredNode) -> str:
        return cache_tag(await self._literals.read(node.inputs), await self._ignored(node))

    async def _ignored(self, node: StoredNode) -> Collection[str]:
        """The inputs that do not count, which the task of the node's first attempt tells; none when it never ran."""
        attempt = await self._queries.attempt(node.key, 0)
        if attempt is None:
            return ()
        key = attempt.key
        try:
            task = await self._reads.task(EntityKey(key.project, key.domain, key.name, key.version))
        except NotFound:
            return ()  # made by a dynamic task and never registered
        return list(task.compiled.template.metadata.cache_ignore_input_vars)
