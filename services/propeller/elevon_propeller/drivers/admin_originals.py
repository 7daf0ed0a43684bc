"""Executions that others recover, as admin remembers them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.grpc_client import translate_errors

from elevon_propeller.engine import dynamic_graphs
from elevon_propeller.engine.originals import Original, OriginalNode
from elevon_propeller.engine.phases import SUCCESSFUL, NodePhase

if TYPE_CHECKING:
    from elevon_idl.admin.v1 import admin_service_pb2_grpc, signal_service_pb2_grpc

PAGE = 500
CALLS_AT_ONCE = 32

_PHASES = {
    core.NodeExecution.SUCCEEDED: NodePhase.SUCCEEDED,
    core.NodeExecution.RECOVERED: NodePhase.RECOVERED,
    core.NodeExecution.FAILED: NodePhase.FAILED,
    core.NodeExecution.TIMED_OUT: NodePhase.TIMED_OUT,
    core.NodeExecution.SKIPPED: NodePhase.SKIPPED,
    core.NodeExecution.ABORTED: NodePhase.ABORTED,
}


class OriginalReader:
    """Reads one execution: all its nodes, page by page, and the outputs that are in admin's rows.

    Admin does not have the outputs of single elements, so arrays that have not succeeded are not gone on with.
    """

    def __init__(
        self,
        stub: admin_service_pb2_grpc.AdminServiceAsyncStub,
        signals: signal_service_pb2_grpc.SignalServiceAsyncStub,
        execution: core.WorkflowExecutionIdentifier,
        timeout: float,
    ) -> None:
        self._stub = stub
        self._signals = signals
        self._execution = execution
        self._timeout = timeout
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)

    async def read(self) -> Original:
        """The execution; raises NotFound, Unavailable."""
        with translate_errors("admin"):
            await self._stub.GetExecution(admin.WorkflowExecutionGetRequest(id=self._execution), timeout=self._timeout)
            nodes: dict[str, OriginalNode] = {}
            pending = [""]
            while pending:
                pending.extend(await self._add_children(nodes, pending.pop()))
            return Original(self._execution.name, nodes, await self._values())

    async def _add_children(self, nodes: dict[str, OriginalNode], parent: str) -> list[str]:
        """Add the nodes below a node; returns those whose own children matter."""
        listed = [found async for found in self._list(parent)]
        nodes.update(zip((found.id.node_id for found in listed), await self._convert(listed), strict=True))
        if parent and listed:
            nodes[parent].attempt = max(int(found.metadata.retry_group or 0) for found in listed)
        names = (found.id.node_id for found in listed)
        return [name for name in names if nodes[name].phase not in SUCCESSFUL]

    async def _list(self, parent: str) -> AsyncIterator[admin.NodeExecution]:
        request = admin.NodeExecutionListRequest(
            workflow_execution_id=self._execution, limit=PAGE, unique_parent_id=parent
        )
        while True:
            page = await self._stub.ListNodeExecutions(request, timeout=self._timeout)
            for found in page.node_executions:
                yield found
            if not page.token:
                return
            request.token = page.token

    async def _convert(self, listed: list[admin.NodeExecution]) -> list[OriginalNode]:
        return list(await asyncio.gather(*(self._node(found) for found in listed)))

    async def _node(self, found: admin.NodeExecution) -> OriginalNode:
        closure = found.closure
        task = closure.task_node_metadata
        node = OriginalNode(
            phase=_PHASES.get(closure.phase, NodePhase.RUNNING),
            outputs_uri=closure.output_uri,
            deck_uri=closure.deck_uri,
            cache_status=task.cache_status,
            catalog=task.catalog_key if task.HasField("catalog_key") else None,
            child=closure.workflow_node_metadata.executionId.name,
            checkpoints=(task.checkpoint_uri,) if task.checkpoint_uri else (),
        )
        if closure.dynamic_job_spec_uri:
            node.graph_uri = dynamic_graphs.compiled_beside(closure.dynamic_job_spec_uri)
        if node.phase in SUCCESSFUL and not node.outputs_uri:
            async with self._calls:
                request = admin.NodeExecutionGetDataRequest(id=found.id)
                data = await self._stub.GetNodeExecutionData(request, timeout=self._timeout)
            node.outputs = data.full_outputs.SerializeToString()
        return node

    async def _values(self) -> dict[str, core.Literal]:
        values: dict[str, core.Literal] = {}
        request = admin.SignalListRequest(workflow_execution_id=self._execution, limit=PAGE)
        while True:
            page = await self._signals.ListSignals(request, timeout=self._timeout)
            values.update({found.id.signal_id: found.value for found in page.signals if found.HasField("value")})
            if not page.token:
                return values
            request.token = page.token
