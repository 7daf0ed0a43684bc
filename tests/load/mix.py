"""One client of many: a connection of its own, and calls of all kinds in an order that its seed draws."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import admin_service_pb2_grpc, event_service_pb2_grpc
from elevon_idl.core import v1 as core

from tests.benchmarks import specs
from tests.load.samples import Samples

Answer = TypeVar("Answer")

ECHO, SLEEP = "load_echo", "load_sleep"
HOUR = 3600.0
OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 20 * 1024 * 1024))
"""Channels of one process share connections unless told otherwise; these are to be like those of as many machines."""


async def prepare(target: str) -> None:
    """Register what the clients run; they find it there."""
    async with grpc.aio.insecure_channel(target, options=OPTIONS) as channel:
        stub: Any = admin_service_pb2_grpc.AdminServiceStub(channel)
        echo, sleep = specs.echo_task(ECHO), specs.sleep_task(SLEEP)
        for task in (echo, sleep):
            await stub.CreateTask(task)
        for workflow, inputs in (
            (specs.chain(ECHO, echo.id, 1), ("a",)),
            (specs.sleepers(SLEEP, sleep.id, 1, HOUR), ()),
        ):
            await stub.CreateWorkflow(workflow)
            await stub.CreateLaunchPlan(specs.launch_plan(workflow.id, *inputs))


class MixedClient:
    """Calls until it is told to stop; `pause` is the longest rest between two calls, in seconds.

    `echoed` and `aborted` count the executions that have to end SUCCEEDED and ABORTED.
    """

    def __init__(self, target: str, seed: int, samples: Samples, pause: float = 0.0) -> None:
        self.echoed = 0
        self.aborted = 0
        self._seed = seed
        self._random = random.Random(seed)
        self._samples = samples
        self._pause = pause
        self._tasks = 0
        self._mine: list[core.WorkflowExecutionIdentifier] = []
        self._channel = grpc.aio.insecure_channel(target, options=OPTIONS)
        self._admin: Any = admin_service_pb2_grpc.AdminServiceStub(self._channel)
        self._events: Any = event_service_pb2_grpc.EventServiceStub(self._channel)

    async def run(self, until: float) -> None:
        """Make each kind of call once, and then call until a moment of the monotonic clock."""
        kinds: dict[Callable[[], Awaitable[None]], int] = {
            self.get_task: 20,
            self.get_execution: 20,
            self.list_executions: 10,
            self.list_tasks: 8,
            self.register_task: 10,
            self.echo: 12,
            self.get_data: 8,
            self.list_nodes: 6,
            self.record_events: 4,
            self.sleep_and_abort: 2,
        }
        try:
            for step in (self.echo, *self._random.sample(list(kinds), len(kinds))):
                await self._rest()
                await step()
            while time.monotonic() < until:
                await self._rest()
                (step,) = self._random.choices(list(kinds), list(kinds.values()))
                await step()
        finally:
            await self._channel.close()

    async def _rest(self) -> None:
        """Pause between calls, and before the first: clients that are started together are not to call together."""
        if self._pause:
            await asyncio.sleep(self._random.uniform(0, self._pause))

    async def _timed(self, name: str, call: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """Make a call and note how long it took; None when it failed, which is noted too."""
        began = time.perf_counter()
        try:
            answer = await call()
        except grpc.aio.AioRpcError as error:
            self._samples.failed(name, error.code().name, error.details() or "")
            return None
        self._samples.add(name, time.perf_counter() - began)
        return answer

    async def get_task(self) -> None:
        request = admin.ObjectGetRequest(id=specs.identifier(core.TASK, ECHO))
        await self._timed("GetTask", lambda: self._admin.GetTask(request))

    async def list_tasks(self) -> None:
        request = admin.ResourceListRequest(id=_everything(), limit=20)
        await self._timed("ListTasks", lambda: self._admin.ListTasks(request))

    async def register_task(self) -> None:
        self._tasks += 1
        request = specs.echo_task(f"load_{self._seed}_{self._tasks}")
        await self._timed("CreateTask", lambda: self._admin.CreateTask(request))

    async def echo(self) -> None:
        request = specs.execution(specs.identifier(core.LAUNCH_PLAN, ECHO), a=self._seed)
        created = await self._timed("CreateExecution", lambda: self._admin.CreateExecution(request))
        if created is not None:
            self.echoed += 1
            self._mine = [*self._mine[-9:], created.id]

    async def sleep_and_abort(self) -> None:
        request = specs.execution(specs.identifier(core.LAUNCH_PLAN, SLEEP))
        created = await self._timed("CreateExecution", lambda: self._admin.CreateExecution(request))
        if created is None:
            return
        abort = admin.ExecutionTerminateRequest(id=created.id, cause="load")
        if await self._timed("TerminateExecution", lambda: self._admin.TerminateExecution(abort)) is not None:
            self.aborted += 1

    async def get_execution(self) -> None:
        request = admin.WorkflowExecutionGetRequest(id=self._one())
        await self._timed("GetExecution", lambda: self._admin.GetExecution(request))

    async def get_data(self) -> None:
        request = admin.WorkflowExecutionGetDataRequest(id=self._one())
        await self._timed("GetExecutionData", lambda: self._admin.GetExecutionData(request))

    async def list_executions(self) -> None:
        request = admin.ResourceListRequest(
            id=_everything(),
            limit=20,
            filters="eq(phase,SUCCEEDED)",
            sort_by=admin.Sort(key="created_at", direction=admin.Sort.DESCENDING),
        )
        await self._timed("ListExecutions", lambda: self._admin.ListExecutions(request))

    async def list_nodes(self) -> None:
        request = admin.NodeExecutionListRequest(workflow_execution_id=self._one(), limit=20)
        await self._timed("ListNodeExecutions", lambda: self._admin.ListNodeExecutions(request))

    async def record_events(self) -> None:
        """Tell once more that an execution runs, as an engine does that was not sure to have been heard."""
        request = admin.RecordEventsRequest(producer_id="load")
        event = request.events.add().workflow
        event.execution_id.CopyFrom(self._one())
        event.producer_id = "load"
        event.phase = core.WorkflowExecution.RUNNING
        event.occurred_at.GetCurrentTime()
        await self._timed("RecordEvents", lambda: self._events.RecordEvents(request))

    def _one(self) -> core.WorkflowExecutionIdentifier:
        """One of this client's executions; a name that nobody has when none could be created."""
        if not self._mine:
            return core.WorkflowExecutionIdentifier(project=specs.PROJECT, domain=specs.DOMAIN, name="none")
        return self._random.choice(self._mine)


def _everything() -> admin.NamedEntityIdentifier:
    return admin.NamedEntityIdentifier(project=specs.PROJECT, domain=specs.DOMAIN)
