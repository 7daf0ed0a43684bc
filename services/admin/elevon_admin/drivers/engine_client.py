"""The engine behind PropellerService."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import cast

import grpc
from elevon_core.errors import ElevonError, Internal, Unimplemented
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc
from elevon_kit.gathering import Gathered
from elevon_kit.grpc_client import translate_errors
from elevon_kit.grpc_status import from_number

WHERE = "propeller"

SMALL = 8 * 1024
"""Up to so many bytes an execution shares a call with others that are handed over at the same time."""
MOST_AT_ONCE = 50


class PropellerEngine:
    """The Engine at the other end of a channel; `timeout` in seconds is that of one call."""

    def __init__(self, channel: grpc.aio.Channel, timeout: float = 10.0) -> None:
        # Over an asynchronous channel the generated stub is what the generator types as the ...AsyncStub.
        self._stub = cast(
            "propeller_service_pb2_grpc.PropellerServiceAsyncStub",
            propeller_service_pb2_grpc.PropellerServiceStub(channel),
        )
        self._timeout = timeout
        self._gathered: Gathered[propeller.CreateExecutionRequest, propeller.CreateExecutionResponse] = Gathered(
            self._create_all, MOST_AT_ONCE
        )

    async def create(self, request: propeller.CreateExecutionRequest) -> propeller.CreateExecutionResponse:
        """See Engine. A workflow that comes along is planned first, for which others need not wait."""
        if request.HasField("closure") or request.ByteSize() > SMALL:
            return await self._create(request)
        return await self._gathered(request)

    async def _create(self, request: propeller.CreateExecutionRequest) -> propeller.CreateExecutionResponse:
        with translate_errors(WHERE):
            return await self._stub.CreateExecution(request, timeout=self._timeout)

    async def _create_all(
        self, requests: Sequence[propeller.CreateExecutionRequest]
    ) -> Sequence[propeller.CreateExecutionResponse | Exception]:
        together = propeller.CreateExecutionsRequest(executions=requests)
        try:
            with translate_errors(WHERE):
                response = await self._stub.CreateExecutions(together, timeout=self._timeout)
        except Unimplemented:
            # An engine of an earlier version, in the middle of an upgrade.
            return await asyncio.gather(*map(self._answer_or_error, requests))
        if len(response.outcomes) != len(requests):
            raise Internal(f"{WHERE} answered {len(response.outcomes)} outcomes for {len(requests)} executions")
        return [_answer(outcome) for outcome in response.outcomes]

    async def _answer_or_error(
        self, request: propeller.CreateExecutionRequest
    ) -> propeller.CreateExecutionResponse | Exception:
        try:
            return await self._create(request)
        except ElevonError as error:
            return error

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

    async def tell_end(self, execution_id: core.WorkflowExecutionIdentifier) -> None:
        """See Engine. An engine of an earlier version finds out by itself."""
        request = propeller.TellEndRequest(execution_id=execution_id)
        with contextlib.suppress(Unimplemented), translate_errors(WHERE):
            await self._stub.TellEnd(request, timeout=self._timeout)


def _answer(outcome: propeller.CreateExecutionOutcome) -> propeller.CreateExecutionResponse | Exception:
    if outcome.HasField("error"):
        return from_number(outcome.error.code, outcome.error.message, WHERE)
    return outcome.response
