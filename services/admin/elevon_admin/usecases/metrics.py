"""Where the time of an execution went."""

from __future__ import annotations

from elevon_core.errors import Internal
from elevon_core.identifiers import validate_execution_identifier
from elevon_idl.admin import v1 as admin
from elevon_kit.blobs import BlobNotFound
from google.protobuf.message import DecodeError

from elevon_admin.domain.entities import EntityKey
from elevon_admin.domain.event_batches import missing_execution
from elevon_admin.domain.metrics_spans import History, SpanBuilder
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.execution_ports import HistoryRepository
from elevon_admin.usecases.literals import LiteralStore
from elevon_admin.usecases.registry_reads import RegistryReads

DEEPEST = 90
"""Levels that an answer has at most: clients cannot read messages nested more than 100 deep."""


class ExecutionMetrics:
    """Reads an execution and the child executions inside it, and builds their spans."""

    def __init__(self, histories: HistoryRepository, reads: RegistryReads, literals: LiteralStore) -> None:
        self._histories = histories
        self._reads = reads
        self._literals = literals

    async def get(self, request: admin.WorkflowExecutionGetMetricsRequest) -> admin.WorkflowExecutionGetMetricsResponse:
        """The tree of spans, `depth` levels below the outermost, all of them when it is negative.

        Raises InvalidArgument, NotFound, FailedPrecondition for records that contradict the workflow, and Internal for
        a dynamic workflow that cannot be read.
        """
        validate_execution_identifier(request.id)
        key = ExecutionKey.of(request.id)
        depth = request.depth if 0 <= request.depth <= DEEPEST else DEEPEST
        found: dict[ExecutionKey, History] = {}
        await self._gather(key, depth, found)
        if key not in found:
            raise missing_execution(key)
        span = SpanBuilder(found).execution(found[key], depth)
        return admin.WorkflowExecutionGetMetricsResponse(span=span)

    async def _gather(self, key: ExecutionKey, depth: int, found: dict[ExecutionKey, History]) -> None:
        """Read an execution and its children as far as they can be shown."""
        history = await self._histories.get(key, inside=depth > 0)
        if history is None:
            return
        found[key] = history
        if depth > 0:
            workflow = await self._reads.workflow(EntityKey.of(history.closure.workflow_id))
            history.workflow = workflow.closure
        if depth > 1:
            await self._read_dynamic(history)
            for node in history.nodes:
                target = node.closure.workflow_node_metadata
                child = ExecutionKey.of(target.executionId)
                if target.HasField("executionId") and child not in found:
                    await self._gather(child, depth - 2, found)

    async def _read_dynamic(self, history: History) -> None:
        for node in history.nodes:
            if node.dynamic_workflow is None:
                continue
            try:
                closure = await self._literals.read_closure(node.dynamic_workflow)
            except (BlobNotFound, DecodeError) as error:
                raise Internal(f"the dynamic workflow of {node.key} cannot be read: {error}") from error
            history.dynamic[node.key.node_id] = closure
