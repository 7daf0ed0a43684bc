"""Admin's services, as far as the engine calls them: child executions, signals, and what dynamic tasks refer to."""

from __future__ import annotations

from typing import cast

import grpc
from elevon_core.compiler import LaunchPlanInterface
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import admin_service_pb2_grpc, signal_service_pb2_grpc
from elevon_idl.core import v1 as core
from elevon_kit.grpc_client import translate_errors

from elevon_propeller.drivers.admin_originals import OriginalReader
from elevon_propeller.engine.originals import Original
from elevon_propeller.ports import TERMINAL_PHASES, ChildOutcome


class GrpcAdminService:
    """Calls admin over one channel; `timeout` in seconds."""

    def __init__(self, channel: grpc.aio.Channel, timeout: float = 30.0) -> None:
        self._timeout = timeout
        stub = admin_service_pb2_grpc.AdminServiceStub(channel)
        self._stub = cast("admin_service_pb2_grpc.AdminServiceAsyncStub", stub)
        signals = signal_service_pb2_grpc.SignalServiceStub(channel)
        self._signals = cast("signal_service_pb2_grpc.SignalServiceAsyncStub", signals)

    async def launch(self, request: admin.ExecutionCreateRequest) -> None:
        """Create an execution."""
        with translate_errors("admin"):
            await self._stub.CreateExecution(request, timeout=self._timeout)

    async def recover(self, request: admin.ExecutionRecoverRequest) -> None:
        """Create an execution that goes on with another."""
        with translate_errors("admin"):
            await self._stub.RecoverExecution(request, timeout=self._timeout)

    async def original(self, execution: core.WorkflowExecutionIdentifier) -> Original:
        """What is known of an execution that is recovered."""
        return await OriginalReader(self._stub, self._signals, execution, self._timeout).read()

    async def terminate(self, child: core.WorkflowExecutionIdentifier, cause: str) -> None:
        """Begin to abort an execution."""
        with translate_errors("admin"):
            request = admin.ExecutionTerminateRequest(id=child, cause=cause)
            await self._stub.TerminateExecution(request, timeout=self._timeout)

    async def outcome(self, child: core.WorkflowExecutionIdentifier) -> ChildOutcome | None:
        """How an execution has ended."""
        with translate_errors("admin"):
            request = admin.WorkflowExecutionGetRequest(id=child)
            closure = (await self._stub.GetExecution(request, timeout=self._timeout)).closure
        if closure.phase not in TERMINAL_PHASES:
            return None
        if closure.phase != core.WorkflowExecution.SUCCEEDED:
            error = closure.error if closure.HasField("error") else None
            return ChildOutcome(closure.phase, error=error)
        with translate_errors("admin"):
            data_request = admin.WorkflowExecutionGetDataRequest(id=child)
            data = await self._stub.GetExecutionData(data_request, timeout=self._timeout)
        if not data.full_outputs.literals and closure.outputs.uri:
            return ChildOutcome(closure.phase, outputs_uri=closure.outputs.uri)
        return ChildOutcome(closure.phase, outputs=data.full_outputs)

    async def register_signal(
        self, execution: core.WorkflowExecutionIdentifier, signal_id: str, signal_type: core.LiteralType
    ) -> core.Literal | None:
        """Make a signal known."""
        identifier = core.SignalIdentifier(signal_id=signal_id, execution_id=execution)
        with translate_errors("admin"):
            request = admin.SignalGetOrCreateRequest(id=identifier, type=signal_type)
            found = await self._signals.GetOrCreateSignal(request, timeout=self._timeout)
        return found.value if found.HasField("value") else None

    async def task(self, identifier: core.Identifier) -> core.CompiledTask:
        """A registered task, compiled."""
        with translate_errors("admin"):
            found = await self._stub.GetTask(admin.ObjectGetRequest(id=identifier), timeout=self._timeout)
        return found.closure.compiled_task

    async def launch_plan(self, identifier: core.Identifier) -> LaunchPlanInterface:
        """What a registered launch plan expects and yields."""
        with translate_errors("admin"):
            found = await self._stub.GetLaunchPlan(admin.ObjectGetRequest(id=identifier), timeout=self._timeout)
        return LaunchPlanInterface(found.closure.expected_inputs, found.closure.expected_outputs)
