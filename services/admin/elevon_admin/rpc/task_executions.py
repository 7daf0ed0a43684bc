"""Task execution calls of AdminService."""

from __future__ import annotations

from elevon_idl.admin import v1 as admin

from elevon_admin.usecases.execution_data import ExecutionData
from elevon_admin.usecases.execution_queries import ExecutionQueries


class TaskExecutionRpcs:
    """Decodes, calls, encodes."""

    execution_queries: ExecutionQueries
    execution_data: ExecutionData

    async def GetTaskExecution(self, request: admin.TaskExecutionGetRequest, context: object) -> admin.TaskExecution:
        """Answer one task execution."""
        return (await self.execution_queries.task(request.id)).message()

    async def ListTaskExecutions(
        self, request: admin.TaskExecutionListRequest, context: object
    ) -> admin.TaskExecutionList:
        """Answer a page of the task executions of a node."""
        return await self.execution_queries.tasks(request)

    async def GetTaskExecutionData(
        self, request: admin.TaskExecutionGetDataRequest, context: object
    ) -> admin.TaskExecutionGetDataResponse:
        """Answer inputs and outputs of a task execution."""
        return await self.execution_data.of_task(request.id)
