"""The client: one channel, one stub for each service, paging and waiting."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from types import TracebackType
from typing import cast

import grpc
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import (
    admin_service_pb2_grpc,
    auth_metadata_service_pb2_grpc,
    data_proxy_service_pb2_grpc,
    delivery_service_pb2_grpc,
    identity_service_pb2_grpc,
    memoization_service_pb2_grpc,
    retention_service_pb2_grpc,
    schedule_service_pb2_grpc,
    signal_service_pb2_grpc,
    watch_service_pb2_grpc,
)
from elevon_idl.core import v1 as core

TERMINAL_PHASES = frozenset(
    {
        core.WorkflowExecution.SUCCEEDED,
        core.WorkflowExecution.FAILED,
        core.WorkflowExecution.ABORTED,
        core.WorkflowExecution.TIMED_OUT,
    }
)

PAGE = 100
"""Rows asked for at a time."""

MAX_MESSAGE_BYTES = 20 * 1024 * 1024
"""The largest answer accepted; a compiled workflow of some thousand nodes fits."""


RECONNECT_SECONDS = 0.2
SETTLED_SECONDS = 5.0


class ExecutionTimeout(Exception):
    """An execution did not end in the time given; it goes on."""


class Client:
    """The control plane at `target`, `host:port`.

    Without `credentials` the channel is plain text. Every error is a `grpc.aio.AioRpcError` with the service's status.
    """

    def __init__(self, target: str, *, credentials: grpc.ChannelCredentials | None = None) -> None:
        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
        if credentials is None:
            self.channel = grpc.aio.insecure_channel(target, options=options)
        else:
            self.channel = grpc.aio.secure_channel(target, credentials, options=options)
        # Over an asynchronous channel the generated stub is what the generator types as the ...AsyncStub.
        self.admin = cast(
            "admin_service_pb2_grpc.AdminServiceAsyncStub", admin_service_pb2_grpc.AdminServiceStub(self.channel)
        )
        self.signals = cast(
            "signal_service_pb2_grpc.SignalServiceAsyncStub", signal_service_pb2_grpc.SignalServiceStub(self.channel)
        )
        self.data_proxy = cast(
            "data_proxy_service_pb2_grpc.DataProxyServiceAsyncStub",
            data_proxy_service_pb2_grpc.DataProxyServiceStub(self.channel),
        )
        self.identity = cast(
            "identity_service_pb2_grpc.IdentityServiceAsyncStub",
            identity_service_pb2_grpc.IdentityServiceStub(self.channel),
        )
        self.memoization = cast(
            "memoization_service_pb2_grpc.MemoizationServiceAsyncStub",
            memoization_service_pb2_grpc.MemoizationServiceStub(self.channel),
        )
        self.watches = cast(
            "watch_service_pb2_grpc.WatchServiceAsyncStub", watch_service_pb2_grpc.WatchServiceStub(self.channel)
        )
        self.retention = cast(
            "retention_service_pb2_grpc.RetentionServiceAsyncStub",
            retention_service_pb2_grpc.RetentionServiceStub(self.channel),
        )
        self.schedules = cast(
            "schedule_service_pb2_grpc.ScheduleServiceAsyncStub",
            schedule_service_pb2_grpc.ScheduleServiceStub(self.channel),
        )
        self.deliveries = cast(
            "delivery_service_pb2_grpc.DeliveryServiceAsyncStub",
            delivery_service_pb2_grpc.DeliveryServiceStub(self.channel),
        )
        self.auth_metadata = cast(
            "auth_metadata_service_pb2_grpc.AuthMetadataServiceAsyncStub",
            auth_metadata_service_pb2_grpc.AuthMetadataServiceStub(self.channel),
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        await self.channel.close()

    async def execution(self, execution_id: core.WorkflowExecutionIdentifier) -> admin.Execution:
        """One execution. NOT_FOUND when there is none of that name."""
        return await self.admin.GetExecution(admin.WorkflowExecutionGetRequest(id=execution_id))

    async def wait(
        self, execution_id: core.WorkflowExecutionIdentifier, *, seconds: float | None = None, interval: float = 0.2
    ) -> admin.Execution:
        """The execution once it has ended, asked for every `interval` seconds. Raises ExecutionTimeout."""
        now = asyncio.get_running_loop().time
        deadline = math.inf if seconds is None else now() + seconds
        while True:
            execution = await self.execution(execution_id)
            if is_terminal(execution):
                return execution
            left = deadline - now()
            if left <= 0:
                phase = core.WorkflowExecution.Phase.Name(execution.closure.phase)
                raise ExecutionTimeout(f"execution {execution_id.name} is {phase} after {seconds} s")
            await asyncio.sleep(min(interval, left))

    async def watch(
        self,
        execution_id: core.WorkflowExecutionIdentifier,
        *,
        token: str = "",
        patience: float = 60.0,
        reached: bool = False,
    ) -> AsyncIterator[admin.WatchExecutionResponse]:
        """Every change of an execution until it has ended, from a token on or from the present state.

        A stream that breaks is taken up where it broke, for as long as the control plane is not away for `patience`
        seconds; then, and at once when it never answered, raises the error. Who has had an answer to another call says
        so with `reached`, and who has a token has had one.
        """
        now, lost, answered = asyncio.get_running_loop().time, math.inf, reached or bool(token)
        while True:
            began = now()
            try:
                async for change in self.watches.WatchExecution(
                    admin.WatchExecutionRequest(id=execution_id, token=token)
                ):
                    token, lost, answered = change.token, math.inf, True
                    yield change
                return
            except grpc.aio.AioRpcError as error:
                failed = now()
                # A stream that lived for a while was connected, even if there was nothing to tell.
                lost = failed if lost == math.inf or failed - began > SETTLED_SECONDS else lost
                if error.code() is not grpc.StatusCode.UNAVAILABLE or not answered or failed - lost > patience:
                    raise
            await asyncio.sleep(RECONNECT_SECONDS)

    async def node_executions(
        self, execution_id: core.WorkflowExecutionIdentifier, *, parent: str = ""
    ) -> AsyncIterator[admin.NodeExecution]:
        """The node executions in the order of their creation: the top level's, or those below node `parent`."""
        token = ""
        while True:
            answer = await self.admin.ListNodeExecutions(
                admin.NodeExecutionListRequest(
                    workflow_execution_id=execution_id,
                    limit=PAGE,
                    token=token,
                    unique_parent_id=parent,
                    sort_by=admin.Sort(key="created_at", direction=admin.Sort.ASCENDING),
                )
            )
            for node in answer.node_executions:
                yield node
            token = answer.token
            if not token:
                return

    async def task_executions(self, node: core.NodeExecutionIdentifier) -> AsyncIterator[admin.TaskExecution]:
        """The attempts of a task node, oldest first."""
        token = ""
        while True:
            answer = await self.admin.ListTaskExecutions(
                admin.TaskExecutionListRequest(
                    node_execution_id=node,
                    limit=PAGE,
                    token=token,
                    sort_by=admin.Sort(key="created_at", direction=admin.Sort.ASCENDING),
                )
            )
            for execution in answer.task_executions:
                yield execution
            token = answer.token
            if not token:
                return


def is_terminal(execution: admin.Execution) -> bool:
    """True when the execution has ended, well or not."""
    return execution.closure.phase in TERMINAL_PHASES
