"""Explaining why a node hit or missed the cache, and evicting what it would hit."""

from __future__ import annotations

import asyncio
from functools import partial

from elevon_core.errors import FailedPrecondition, InvalidArgument, NotFound
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_admin.domain.array_nodes import element_of
from elevon_admin.domain.cache_differences import (
    alikeness,
    elements_explanation,
    explanation,
    input_differences,
    parent_explanation,
    version_differences,
)
from elevon_admin.domain.executions import StoredNode
from elevon_admin.ports import MemoCatalog, MemoEntry
from elevon_admin.usecases.at_once import some_at_once
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.literals import LiteralStore
from elevon_admin.usecases.look_ups import FOUND_OR_KEPT, Elements, LookUp, LookUps
from elevon_admin.usecases.registry_reads import RegistryReads

COMPARED = 500
"""How many of a dataset's newest entries are compared with the node."""

TOLD = 5
"""How many of them are told, the most alike first."""

AT_ONCE = 16
"""Entries that are compared, or evicted, at a time."""

_TOLD_OF = (core.CACHE_MISS, core.CACHE_POPULATED, core.CACHE_PUT_FAILURE)


class Memoization:
    """Puts together what admin knows of a node and what the catalog holds; `catalog` is None when it is not known."""

    def __init__(
        self, queries: ExecutionQueries, reads: RegistryReads, literals: LiteralStore, catalog: MemoCatalog | None
    ) -> None:
        self._queries = queries
        self._look_ups = LookUps(queries, reads, literals)
        self._known_catalog = catalog

    async def explain(
        self, identifier: core.NodeExecutionIdentifier, element: int | None = None
    ) -> admin.ExplainNodeResponse:
        """Raises NotFound for an unknown node, FailedPrecondition without a catalog, Unavailable while it is away."""
        node = await self._queries.node(identifier)
        answer = admin.ExplainNodeResponse(id=node.key.identifier())
        if element is None and node.metadata.is_array:
            return await self._all_elements(node, answer)
        look_up = await self._look_up(node, element, leniently=True)
        if not look_up.is_cached and element is None and (told := await self._add_inner_nodes(node, answer)):
            answer.explanation = told
            return answer
        return await self._explained(node, look_up, answer)

    async def evict(
        self, identifier: core.NodeExecutionIdentifier, element: int | None = None
    ) -> admin.EvictNodeResponse:
        """Remove the entry of a node's inputs, or those of all elements of an array node.

        Raises as `explain`, and FailedPrecondition for one that has none.
        """
        node = await self._queries.node(identifier)
        if element is None and node.metadata.is_array:
            return await self._evict_elements(node)
        look_up = await self._look_up(node, element, leniently=False)
        if not look_up.is_cached:
            raise FailedPrecondition(await self._nothing_to_evict(node, element))
        gone = await self._catalog.evict(look_up.key.dataset_id, look_up.tag())
        return admin.EvictNodeResponse(artifact_id=gone, asked=1, evicted=1 if gone else 0)

    @property
    def _catalog(self) -> MemoCatalog:
        if self._known_catalog is None:
            raise FailedPrecondition("admin does not know where the catalog is: set catalog_address")
        return self._known_catalog

    async def _look_up(self, node: StoredNode, element: int | None, *, leniently: bool) -> LookUp:
        if element is None:
            return await self._look_ups.of_node(node, leniently=leniently)
        if not node.metadata.is_array:
            raise InvalidArgument.invalid("element", element, f"node {node.key} is no array node: it has no elements")
        return (await self._look_ups.of_elements(node, [element]))[0]

    async def _explained(
        self, node: StoredNode, look_up: LookUp, answer: admin.ExplainNodeResponse
    ) -> admin.ExplainNodeResponse:
        answer.cache_status = look_up.status
        answer.entry.CopyFrom(look_up.key)
        overwritten = look_up.is_cached and await self._look_ups.overwrites(node)
        if look_up.is_cached:
            answer.present = await self._is_present(answer.entry, look_up)
            if look_up.status in _TOLD_OF and not overwritten:
                await self._add_nearby(look_up, answer)
        answer.explanation = explanation(
            look_up.status, entry=answer.entry, present=answer.present, overwritten=overwritten
        )
        return answer

    async def _all_elements(self, node: StoredNode, answer: admin.ExplainNodeResponse) -> admin.ExplainNodeResponse:
        statuses = await self._look_ups.statuses(node)
        for index, status in statuses.items():
            answer.elements.add(index=index, cache_status=status)
        answer.explanation = elements_explanation(list(statuses.values()))
        return answer

    async def _add_inner_nodes(self, node: StoredNode, answer: admin.ExplainNodeResponse) -> str:
        """Name what is looked up in a node's place, and say so; empty for a node that stands for no others."""
        is_parent = node.metadata.is_parent_node
        async for below in self._look_ups.below(node):
            is_parent = True
            if below.metadata.is_array or below.closure.task_node_metadata.catalog_key.dataset_id.name:
                answer.inner_nodes.append(below.id.node_id)
        child = node.closure.workflow_node_metadata.executionId.name
        return parent_explanation(answer.inner_nodes, child) if is_parent or child else ""

    async def _nothing_to_evict(self, node: StoredNode, element: int | None) -> str:
        if element is not None:
            return f"element {element} of node {node.key} is not cached: there is no entry to evict"
        told = await self._add_inner_nodes(node, admin.ExplainNodeResponse())
        return f"node {node.key} is not cached: there is no entry to evict" + (f". {told}" if told else "")

    async def _evict_elements(self, node: StoredNode) -> admin.EvictNodeResponse:
        statuses = await self._look_ups.statuses(node)
        indexes = [index for index, status in statuses.items() if status in FOUND_OR_KEPT]
        if not indexes:
            raise FailedPrecondition(f"no element of node {node.key} has found or left an entry to evict")
        look_ups = await self._look_ups.of_elements(node, indexes)
        work = (partial(self._catalog.evict, each.key.dataset_id, each.tag()) for each in look_ups)
        gone = await some_at_once(work, AT_ONCE)
        return admin.EvictNodeResponse(asked=len(indexes), evicted=sum(bool(each) for each in gone))

    async def _is_present(self, key: core.CatalogMetadata, look_up: LookUp) -> bool:
        """Whether the entry is there; completes the key of an element, of which nobody told who had kept it."""
        if not key.artifact_tag.name:
            return False
        found = await self._catalog.entry(key.dataset_id, key.artifact_tag.name)
        if found is not None and not key.artifact_tag.artifact_id and look_up.may_have_met(found):
            key.artifact_tag.artifact_id = found.artifact_id
            key.source_task_execution.CopyFrom(found.source)
        return found is not None

    async def _add_nearby(self, look_up: LookUp, answer: admin.ExplainNodeResponse) -> None:
        own = look_up.key
        entries = await self._catalog.entries(own.dataset_id, COMPARED + 1)
        if len(entries) > COMPARED:
            answer.compared_newest = COMPARED
        sources = _Sources(self._look_ups)
        others = (entry for entry in entries[:COMPARED] if entry.tag != own.artifact_tag.name)
        found = await some_at_once((partial(_compared, look_up, entry, sources) for entry in others), AT_ONCE)
        found += [
            admin.NearbyEntry(
                entry=core.CatalogMetadata(dataset_id=dataset),
                differences=version_differences(own.dataset_id.version, dataset.version),
            )
            for dataset in await self._catalog.datasets(own.dataset_id)
            if dataset.version != own.dataset_id.version
        ]
        answer.nearby.extend(sorted(found, key=alikeness)[:TOLD])


class _Sources:
    """What the makers of entries were given; an array node is read once for all its elements."""

    def __init__(self, look_ups: LookUps) -> None:
        self._look_ups = look_ups
        self._arrays: dict[str, asyncio.Future[Elements]] = {}

    async def inputs_of(self, source: core.NodeExecutionIdentifier) -> core.LiteralMap:
        """The inputs of a node or an element. Raises NotFound, FailedPrecondition when they cannot be told any more."""
        try:
            return await self._look_ups.inputs_of(source)
        except NotFound:
            element = element_of(source.node_id)
            if element is None:
                raise
        array = core.NodeExecutionIdentifier(node_id=element[0], execution_id=source.execution_id)
        key = str(array)
        if key not in self._arrays:
            self._arrays[key] = asyncio.ensure_future(self._look_ups.array_of(array))
        return (await self._arrays[key]).inputs(element[1])


async def _compared(look_up: LookUp, entry: MemoEntry, sources: _Sources) -> admin.NearbyEntry:
    told = admin.NearbyEntry(
        entry=core.CatalogMetadata(
            dataset_id=look_up.key.dataset_id,
            artifact_tag=core.CatalogArtifactTag(artifact_id=entry.artifact_id, name=entry.tag),
            source_task_execution=entry.source,
        )
    )
    told.created_at.CopyFrom(entry.created_at)
    told.later = look_up.precedes(entry)
    try:
        theirs = await sources.inputs_of(entry.source.node_execution_id)
    except (NotFound, InvalidArgument, FailedPrecondition):
        told.differences.add(kind=admin.CacheDifference.KIND_SOURCE_GONE)
        return told
    told.differences.extend(input_differences(look_up.inputs, theirs, look_up.ignored))
    return told
