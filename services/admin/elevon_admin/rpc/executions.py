"""Workflow execution calls of AdminService."""

from __future__ import annotations

from typing import Any

from elevon_idl.admin import v1 as admin
from grpc.aio import ServicerContext

from elevon_admin.domain.records import ExecutionKey
from elevon_admin.usecases.execution_data import ExecutionData
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.launch import Launch
from elevon_admin.usecases.terminate import Terminate

Context = ServicerContext[Any, Any]


class ExecutionRpcs:
    """Decodes, calls, encodes."""

    launch: Launch
    terminate: Terminate
    execution_queries: ExecutionQueries
    execution_data: ExecutionData

    async def CreateExecution(
        self, request: admin.ExecutionCreateRequest, context: object
    ) -> admin.ExecutionCreateResponse:
        """Create an execution of a launch plan or a task."""
        return _created(await self.launch.create(request))

    async def RelaunchExecution(
        self, request: admin.ExecutionRelaunchRequest, context: object
    ) -> admin.ExecutionCreateResponse:
        """Create an execution like an earlier one."""
        return _created(await self.launch.relaunch(request))

    async def RecoverExecution(
        self, request: admin.ExecutionRecoverRequest, context: object
    ) -> admin.ExecutionCreateResponse:
        """Create an execution that takes over what an earlier one finished."""
        return _created(await self.launch.recover(request))

    async def GetExecution(self, request: admin.WorkflowExecutionGetRequest, context: object) -> admin.Execution:
        """Answer one execution."""
        return await self.execution_queries.execution(request.id)

    async def UpdateExecution(
        self, request: admin.ExecutionUpdateRequest, context: object
    ) -> admin.ExecutionUpdateResponse:
        """Archive or restore an execution."""
        await self.terminate.set_state(request)
        return admin.ExecutionUpdateResponse()

    async def GetExecutionData(
        self, request: admin.WorkflowExecutionGetDataRequest, context: object
    ) -> admin.WorkflowExecutionGetDataResponse:
        """Answer inputs and outputs of an execution."""
        return await self.execution_data.of_execution(request.id)

    async def ListExecutions(self, request: admin.ResourceListRequest, context: Context) -> admin.ExecutionList:
        """Answer a page of executions."""
        return await self.execution_queries.executions(request, context.peer())

    async def TerminateExecution(
        self, request: admin.ExecutionTerminateRequest, context: object
    ) -> admin.ExecutionTerminateResponse:
        """Begin to abort an execution."""
        await self.terminate.terminate(request)
        return admin.ExecutionTerminateResponse()


def _created(key: ExecutionKey) -> admin.ExecutionCreateResponse:
    return admin.ExecutionCreateResponse(id=key.identifier())
