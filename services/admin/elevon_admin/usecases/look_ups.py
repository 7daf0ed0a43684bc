"""What nodes, and elements of array nodes, asked the catalog for: worked out again from what is known of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from elevon_core.arrays import Items, element_dataset
from elevon_core.errors import FailedPrecondition, NotFound, PermissionDenied
from elevon_core.hashing import cache_tag
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobNotFound, BlobTooLarge
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_admin.domain.array_nodes import FoundArray, find_array
from elevon_admin.domain.entities import EntityKey
from elevon_admin.domain.executions import StoredNode
from elevon_admin.ports import MemoEntry
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.literals import LiteralStore
from elevon_admin.usecases.registry_reads import RegistryReads

PAGE = 100

FOUND_OR_KEPT = (core.CACHE_HIT, core.CACHE_POPULATED)
"""What a look-up ends with when there is an entry for its inputs."""

Status: TypeAlias = core.CatalogCacheStatus.ValueType


@dataclass(frozen=True, slots=True)
class LookUp:
    """One look-up: `key` names the dataset, and the entry that was found or kept; `at` is when it was.

    Without a dataset the outputs are not cached. Nobody tells when an element was looked up: its `at` is when the array
    began, `over` when the array had ended. What its `siblings` keep, whose ids begin so, it was not to find.
    """

    status: Status
    key: core.CatalogMetadata
    inputs: core.LiteralMap = field(default_factory=core.LiteralMap)
    ignored: Collection[str] = ()
    at: Timestamp | None = None
    over: Timestamp | None = None
    siblings: core.NodeExecutionIdentifier | None = None

    @property
    def is_cached(self) -> bool:
        """Whether there is anything to look up."""
        return bool(self.key.dataset_id.name)

    def tag(self) -> str:
        """The tag that leads to an entry for these inputs."""
        return self.key.artifact_tag.name or cache_tag(self.inputs, self.ignored)

    def precedes(self, entry: MemoEntry) -> bool:
        """Whether an entry was written, or written anew, after the look-up."""
        source, own = entry.source.node_execution_id, self.siblings
        if own is not None and source.execution_id == own.execution_id and source.node_id.startswith(own.node_id):
            return True
        return _is_after(entry, self.at)

    def may_have_met(self, entry: MemoEntry) -> bool:
        """Whether an entry may be the one that was found or kept."""
        return not _is_after(entry, self.over or self.at)


class Elements:
    """The elements of one array node: what became of them, and what they were given."""

    def __init__(
        self, node: StoredNode, attempt: admin.TaskExecution, found: FoundArray, inputs: core.LiteralMap
    ) -> None:
        self._key = node.key
        self._statuses = _statuses(attempt)
        self._task = found.task
        self._dataset = None if found.task is None else element_dataset(found.task, found.array)
        self._items = Items(inputs, found.array.bound_inputs)
        self._attempt = attempt

    def inputs(self, index: int) -> core.LiteralMap:
        """What one element was given. Raises NotFound."""
        if index not in self._statuses:
            raise NotFound(f"node {self._key} has no element {index}: it has {len(self._statuses)}")
        return self._items.of(index)

    def look_up(self, index: int) -> LookUp:
        """The look-up of one element. Raises NotFound."""
        inputs = self.inputs(index)
        status = self._statuses[index]
        if self._task is None or self._dataset is None:
            return LookUp(status, core.CatalogMetadata())
        key = core.CatalogMetadata(dataset_id=self._dataset)
        closure = self._attempt.closure
        ignored = self._task.metadata.cache_ignore_input_vars
        look_up = LookUp(status, key, inputs, ignored, closure.created_at, closure.updated_at, self._siblings())
        if status in FOUND_OR_KEPT:
            key.artifact_tag.name = look_up.tag()
        return look_up

    def _siblings(self) -> core.NodeExecutionIdentifier:
        """The beginning that the ids of the attempt's elements share."""
        node = self._key.identifier()
        return core.NodeExecutionIdentifier(
            execution_id=node.execution_id, node_id=f"{node.node_id}-{self._attempt.id.retry_attempt}-n"
        )


class LookUps:
    """Reads what admin knows of nodes; all raise what reading raises."""

    def __init__(self, queries: ExecutionQueries, reads: RegistryReads, literals: LiteralStore) -> None:
        self._queries = queries
        self._reads = reads
        self._literals = literals

    async def of_node(self, node: StoredNode, *, leniently: bool) -> LookUp:
        """The look-up of a node that runs a task; `leniently` takes inputs that cannot be read for none."""
        metadata = node.closure.task_node_metadata
        if not metadata.catalog_key.dataset_id.name:
            return LookUp(metadata.cache_status, metadata.catalog_key)
        attempt = await self._queries.attempt(node.key, 0)
        return LookUp(
            metadata.cache_status,
            metadata.catalog_key,
            await (self._literals.read_leniently(node.inputs) if leniently else self._literals.read(node.inputs)),
            () if attempt is None else await self._ignored(attempt.key.identifier().task_id),
            None if attempt is None else attempt.closure.created_at,
        )

    async def of_elements(self, node: StoredNode, indexes: Iterable[int]) -> list[LookUp]:
        """The look-ups of some elements of an array node. Raises NotFound, and FailedPrecondition as `array`."""
        elements = await self.array(node)
        return [elements.look_up(index) for index in indexes]

    async def statuses(self, node: StoredNode) -> Mapping[int, Status]:
        """What became of the look-ups of an array node's elements, by index."""
        return _statuses(await self._newest(node))

    async def array(self, node: StoredNode) -> Elements:
        """All that is known of an array node's elements.

        Raises FailedPrecondition before it has begun, and when its workflow or its inputs are gone.
        """
        attempt = await self._newest(node)
        if not attempt.HasField("id"):
            raise FailedPrecondition(f"node {node.key} has not begun: there is nothing to tell of its elements")
        found = await self._array(node, attempt)
        try:
            inputs = await self._literals.read_whole(node.inputs)
        except (BlobNotFound, BlobTooLarge, PermissionDenied, DecodeError) as error:
            raise FailedPrecondition(f"the inputs of node {node.key} cannot be read any more: {error}") from error
        return Elements(node, attempt, found, inputs)

    async def inputs_of(self, identifier: core.NodeExecutionIdentifier) -> core.LiteralMap:
        """What a node was given. Raises NotFound."""
        return await self._literals.read_leniently((await self._queries.node(identifier)).inputs)

    async def array_of(self, identifier: core.NodeExecutionIdentifier) -> Elements:
        """As `array`. Raises NotFound."""
        return await self.array(await self._queries.node(identifier))

    async def below(self, node: StoredNode) -> AsyncIterator[admin.NodeExecution]:
        """All nodes below a node."""
        async for found in self._below(node.key.execution.identifier(), node.key.node_id):
            yield found

    async def overwrites(self, node: StoredNode) -> bool:
        """Whether the execution was asked to overwrite what is cached, by itself or by its launch plan."""
        execution = await self._queries.execution(node.key.execution.identifier())
        if execution.spec.overwrite_cache:
            return True
        plan = EntityKey.of(execution.spec.launch_plan)
        return any(each.spec.overwrite_cache for each in (await self._reads.launch_plans([plan])).values())

    async def _ignored(self, task: core.Identifier) -> Collection[str]:
        """The inputs of a task that do not count; none when it was made by a dynamic task and never registered."""
        found = await self._reads.tasks([EntityKey.of(task)])
        return [name for each in found.values() for name in each.compiled.template.metadata.cache_ignore_input_vars]

    async def _newest(self, node: StoredNode) -> admin.TaskExecution:
        """The newest attempt of an array node, which tells of its elements; an empty one before it begins."""
        request = admin.TaskExecutionListRequest(node_execution_id=node.key.identifier(), limit=1)
        request.sort_by.key, request.sort_by.direction = "created_at", admin.Sort.DESCENDING
        found = (await self._queries.tasks(request)).task_executions
        return found[0] if found else admin.TaskExecution()

    async def _array(self, node: StoredNode, attempt: admin.TaskExecution) -> FoundArray:
        """The array node as it was compiled."""
        async for closure in self._closures(node):
            found = find_array(closure, node.metadata.spec_node_id, attempt.id.task_id)
            if found is not None:
                return found
        raise FailedPrecondition(f"the workflow of node {node.key} is gone: nothing can be told of its elements")

    async def _closures(self, node: StoredNode) -> AsyncIterator[core.CompiledWorkflowClosure]:
        """The workflow of a node's execution, then those that its dynamic tasks have made."""
        key = node.key.execution.identifier()
        workflow_id = (await self._queries.execution(key)).closure.workflow_id
        workflow = await self._reads.find_workflow(EntityKey.of(workflow_id))
        if workflow is not None:
            yield workflow.closure
        async for found in self._below(key, ""):
            if found.metadata.is_dynamic:
                stored = await self._queries.node(found.id)
                if stored.dynamic_workflow is not None:
                    yield await self._literals.read_closure(stored.dynamic_workflow)

    async def _below(self, key: core.WorkflowExecutionIdentifier, parent: str) -> AsyncIterator[admin.NodeExecution]:
        request = admin.NodeExecutionListRequest(workflow_execution_id=key, limit=PAGE, unique_parent_id=parent)
        while True:
            page = await self._queries.nodes(request)
            for node in page.node_executions:
                yield node
                if node.metadata.is_parent_node or _may_be_branch(node):
                    async for below in self._below(key, node.id.node_id):
                        yield below
            if not page.token:
                return
            request.token = page.token


def _may_be_branch(node: admin.NodeExecution) -> bool:
    """Whether there may be nodes below one that does not say so: nothing in a branch's own events tells what it is."""
    return not node.metadata.is_array and node.closure.WhichOneof("target_metadata") is None


def _is_after(entry: MemoEntry, moment: Timestamp | None) -> bool:
    return moment is not None and entry.created_at.ToNanoseconds() > moment.ToNanoseconds()


def _statuses(attempt: admin.TaskExecution) -> Mapping[int, Status]:
    """Of each element what its last attempt tells."""
    resources = sorted(attempt.closure.metadata.external_resources, key=lambda each: each.retry_attempt)
    last = {each.index: each.cache_status for each in resources}
    return dict(sorted(last.items()))
