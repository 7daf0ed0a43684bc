"""Node execution calls of AdminService."""

from __future__ import annotations

from typing import Any

from elevon_idl.admin import v1 as admin
from grpc.aio import ServicerContext

from elevon_admin.usecases.execution_data import ExecutionData
from elevon_admin.usecases.execution_queries import ExecutionQueries

Context = ServicerContext[Any, Any]


class NodeExecutionRpcs:
    """Decodes, calls, encodes."""

    execution_queries: ExecutionQueries
    execution_data: ExecutionData

    async def GetNodeExecution(self, request: admin.NodeExecutionGetRequest, context: object) -> admin.NodeExecution:
        """Answer one node execution."""
        return (await self.execution_queries.node(request.id)).message

    async def GetDynamicNodeWorkflow(
        self, request: admin.GetDynamicNodeWorkflowRequest, context: object
    ) -> admin.DynamicNodeWorkflowResponse:
        """Answer the workflow that a dynamic node made."""
        return await self.execution_data.dynamic_workflow(request.id)

    async def ListNodeExecutions(
        self, request: admin.NodeExecutionListRequest, context: Context
    ) -> admin.NodeExecutionList:
        """Answer a page of an execution's top level, or of what is below one node."""
        return await self.execution_queries.nodes(request, context.peer())

    async def ListNodeExecutionsForTask(
        self, request: admin.NodeExecutionForTaskListRequest, context: object
    ) -> admin.NodeExecutionList:
        """Answer a page of the nodes below a task attempt."""
        return await self.execution_queries.nodes_of_task(request)

    async def GetNodeExecutionData(
        self, request: admin.NodeExecutionGetDataRequest, context: object
    ) -> admin.NodeExecutionGetDataResponse:
        """Answer inputs and outputs of a node execution."""
        return await self.execution_data.of_node(request.id)
