"""The engine behind PropellerService."""

from __future__ import annotations

from typing import cast

import grpc
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc
from elevon_kit.grpc_client import translate_errors

WHERE = "propeller"


class PropellerEngine:
    """The Engine at the other end of a channel; `timeout` in seconds is that of one call."""

    def __init__(self, channel: grpc.aio.Channel, timeout: float = 10.0) -> None:
        # Over an asynchronous channel the generated stub is what the generator types as the ...AsyncStub.
        self._stub = cast(
            "propeller_service_pb2_grpc.PropellerServiceAsyncStub",
            propeller_service_pb2_grpc.PropellerServiceStub(channel),
        )
        self._timeout = timeout

    async def create(self, request: propeller.CreateExecutionRequest) -> propeller.CreateExecutionResponse:
        """See Engine."""
        with translate_errors(WHERE):
            return await self._stub.CreateExecution(request, timeout=self._timeout)

    async def abort(self, execution_id: core.WorkflowExecutionIdentifier, cause: str) -> bool:
        """See Engine."""
        request = propeller.AbortExecutionRequest(execution_id=execution_id, cause=cause)
        with translate_errors(WHERE):
            response = await self._stub.AbortExecution(request, timeout=self._timeout)
        return response.known

    async def set_signal(
        self, execution_id: core.WorkflowExecutionIdentifier, signal_id: str, value: core.Literal
    ) -> bool:
        """See Engine."""
        request = propeller.SetSignalRequest(execution_id=execution_id, signal_id=signal_id, value=value)
        with translate_errors(WHERE):
            response = await self._stub.SetSignal(request, timeout=self._timeout)
        return response.known
