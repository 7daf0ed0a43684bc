"""A connector service for tests: jobs stand as the test says, and calls fail when it says so."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from elevon_core.errors import ElevonError, NotFound, Unavailable
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core

Script = Callable[[connector.CreateTaskRequest], connector.Resource | None]
SyncScript = Callable[[connector.CreateRequestHeader, core.LiteralMap], connector.Resource]

_METHODS = frozenset({"ListAgents", "CreateTask", "GetTask", "DeleteTask", "ExecuteTaskSync"})


class FakeConnectorService:
    """Keeps jobs in memory and counts what was asked of it; see `ConnectorService`.

    `script` may answer how a new job stands at once; `sync_script` answers synchronous ones. `fail` makes the next
    call of a method raise; `leave` makes all of them raise Unavailable until `come_back`.
    """

    def __init__(
        self,
        agents: Sequence[connector.Agent] = (),
        script: Script | None = None,
        sync_script: SyncScript | None = None,
    ) -> None:
        self.agents = list(agents)
        self.jobs: dict[bytes, connector.Resource] = {}
        self.listed: list[connector.ListAgentsRequest] = []
        self.created: list[connector.CreateTaskRequest] = []
        self.headers: list[connector.CreateRequestHeader] = []
        self.looked_at: list[connector.GetTaskRequest] = []
        self.deleted: list[connector.DeleteTaskRequest] = []
        self.closed = False
        self.script = script
        self.sync_script = sync_script
        self._failures: dict[str, list[ElevonError]] = defaultdict(list)
        self._present = asyncio.Event()
        self._present.set()

    def fail(self, method: str, *errors: ElevonError) -> None:
        """Have the next calls of a method raise, one error each; raises KeyError for a method that there is not."""
        if method not in _METHODS:
            raise KeyError(method)
        self._failures[method].extend(errors)

    def leave(self) -> None:
        """Be away."""
        self._present.clear()

    def come_back(self) -> None:
        """Be there again."""
        self._present.set()

    def set(self, meta: bytes, resource: connector.Resource) -> None:
        """Say how a job stands from now on."""
        self.jobs[meta] = resource

    async def list_agents(self) -> Sequence[connector.Agent]:
        """The agents given."""
        self._answer("ListAgents")
        self.listed.append(connector.ListAgentsRequest())
        return list(self.agents)

    async def create_task(self, request: connector.CreateTaskRequest) -> bytes:
        """Begin a job called `job-<number>`, queued unless the script says otherwise."""
        self._answer("CreateTask")
        self.created.append(request)
        meta = f"job-{len(self.created)}".encode()
        scripted = self.script(request) if self.script is not None else None
        self.jobs[meta] = scripted or connector.Resource(phase=core.TaskExecution.QUEUED)
        return meta

    async def get_task(self, request: connector.GetTaskRequest) -> connector.Resource:
        """How a job stands; raises NotFound for jobs that there are not."""
        self._answer("GetTask")
        self.looked_at.append(request)
        if request.resource_meta not in self.jobs:
            raise NotFound(f"no job {request.resource_meta!r}")
        return self.jobs[request.resource_meta]

    async def delete_task(self, request: connector.DeleteTaskRequest) -> None:
        """Forget a job."""
        self._answer("DeleteTask")
        self.deleted.append(request)
        self.jobs.pop(request.resource_meta, None)

    async def execute_task_sync(
        self, header: connector.CreateRequestHeader, inputs: core.LiteralMap
    ) -> connector.Resource:
        """What the script answers; a success without outputs when there is none."""
        self._answer("ExecuteTaskSync")
        self.headers.append(header)
        if self.sync_script is None:
            return connector.Resource(phase=core.TaskExecution.SUCCEEDED)
        return self.sync_script(header, inputs)

    async def connected(self) -> None:
        """Return once it is there."""
        await self._present.wait()

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def _answer(self, method: str) -> None:
        if not self._present.is_set():
            raise Unavailable("the fake connector service is away")
        if self._failures[method]:
            raise self._failures[method].pop(0)
