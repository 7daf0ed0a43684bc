"""PropellerService: decode, call, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc
from elevon_kit.grpc_status import to_number

from elevon_propeller.usecases.executions import Created, Executions
from elevon_propeller.usecases.forgetting import Forgetting
from elevon_propeller.usecases.watching import Watching

_Context = grpc.aio.ServicerContext[object, object]


class PropellerService(propeller_service_pb2_grpc.PropellerServiceServicer):
    """The engine as admin sees it."""

    def __init__(self, executions: Executions, watching: Watching, forgetting: Forgetting) -> None:
        self._executions = executions
        self._forgetting = forgetting
        self._watching = watching

    async def CreateExecution(
        self, request: propeller.CreateExecutionRequest, context: _Context
    ) -> propeller.CreateExecutionResponse:
        """Take over an execution and start it."""
        return await self._executions.create(request)

    async def CreateExecutions(
        self, request: propeller.CreateExecutionsRequest, context: _Context
    ) -> propeller.CreateExecutionsResponse:
        """Take over several executions."""
        created = await self._executions.create_all(request.executions)
        return propeller.CreateExecutionsResponse(outcomes=map(_outcome, created))

    async def AbortExecution(
        self, request: propeller.AbortExecutionRequest, context: _Context
    ) -> propeller.AbortExecutionResponse:
        """Stop an execution."""
        return propeller.AbortExecutionResponse(known=await self._executions.abort(request))

    async def TellEnd(self, request: propeller.TellEndRequest, context: _Context) -> propeller.TellEndResponse:
        """Have those look who wait for an execution that has ended elsewhere."""
        await self._executions.tell_end(request)
        return propeller.TellEndResponse()

    async def SetSignal(self, request: propeller.SetSignalRequest, context: _Context) -> propeller.SetSignalResponse:
        """Hand a signal's value to those who wait for it."""
        return propeller.SetSignalResponse(known=await self._executions.set_signal(request))

    async def DescribeExecution(
        self, request: propeller.DescribeExecutionRequest, context: _Context
    ) -> propeller.DescribeExecutionResponse:
        """Tell the engine's own view of an execution."""
        return propeller.DescribeExecutionResponse(execution=await self._watching.describe(request.execution_id))

    async def WatchExecution(
        self, request: propeller.WatchExecutionRequest, context: _Context
    ) -> AsyncIterator[propeller.WatchExecutionResponse]:
        """Send the present view, then every change."""
        async for view in self._watching.watch(request.execution_id):
            yield propeller.WatchExecutionResponse(execution=view)

    async def ForgetExecution(
        self, request: propeller.ForgetExecutionRequest, context: _Context
    ) -> propeller.ForgetExecutionResponse:
        """Delete what an execution has left behind."""
        await self._forgetting.forget(request)
        return propeller.ForgetExecutionResponse()


def _outcome(created: Created) -> propeller.CreateExecutionOutcome:
    if isinstance(created, propeller.CreateExecutionResponse):
        return propeller.CreateExecutionOutcome(response=created)
    error = propeller.CreateExecutionError(code=to_number(created), message=created.message)
    return propeller.CreateExecutionOutcome(error=error)
