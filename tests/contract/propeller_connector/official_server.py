"""A gRPC server made with the published stubs that answers what a connector service of ours says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from elevon_core.errors import ElevonError
from elevon_idl.connector import v1 as connector
from elevon_kit.grpc_status import STATUS_OF_KIND
from elevon_propeller.plugins.connector.service import ConnectorService
from flyteidl.admin import agent_pb2
from flyteidl.service import agent_pb2_grpc
from google.protobuf.message import Message


class Servicer(
    agent_pb2_grpc.AsyncAgentServiceServicer,  # type: ignore[misc]  # flyteidl carries no types
    agent_pb2_grpc.SyncAgentServiceServicer,  # type: ignore[misc]  # likewise
    agent_pb2_grpc.AgentMetadataServiceServicer,  # type: ignore[misc]  # likewise
):
    """Answers the three services of connectors."""

    def __init__(self, service: ConnectorService) -> None:
        self.service = service
        self.metadata: dict[str, str] = {}

    async def ListAgents(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The agents of the service."""
        self.metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        async with status(context):
            agents = await self.service.list_agents()
        return agent_pb2.ListAgentsResponse(agents=[to(agent_pb2.Agent, agent) for agent in agents])

    async def CreateTask(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Begin a job."""
        async with status(context):
            meta = await self.service.create_task(to(connector.CreateTaskRequest, request))
        return agent_pb2.CreateTaskResponse(resource_meta=meta)

    async def GetTask(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """How a job stands."""
        async with status(context):
            resource = await self.service.get_task(to(connector.GetTaskRequest, request))
        return agent_pb2.GetTaskResponse(resource=to(agent_pb2.Resource, resource))

    async def DeleteTask(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Forget a job."""
        async with status(context):
            await self.service.delete_task(to(connector.DeleteTaskRequest, request))
        return agent_pb2.DeleteTaskResponse()

    async def ExecuteTaskSync(
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        """Run a job: a header, then outputs if there are any."""
        parts = [to(connector.ExecuteTaskSyncRequest, request) async for request in requests]
        assert [part.WhichOneof("part") for part in parts] == ["header", "inputs"]
        async with status(context):
            resource = await self.service.execute_task_sync(parts[0].header, parts[1].inputs)
        answer = to(agent_pb2.Resource, resource)
        outputs = None
        if answer.HasField("outputs"):
            outputs = type(answer.outputs)()
            outputs.CopyFrom(answer.outputs)
            answer.ClearField("outputs")
        yield agent_pb2.ExecuteTaskSyncResponse(header=agent_pb2.ExecuteTaskSyncResponseHeader(resource=answer))
        if outputs is not None:
            yield agent_pb2.ExecuteTaskSyncResponse(outputs=outputs)


@asynccontextmanager
async def status(context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
    """Answers errors with the status of their kind."""
    try:
        yield
    except ElevonError as error:
        await context.abort(STATUS_OF_KIND[error.kind], error.message)


def to(kind: Any, message: Message) -> Any:
    """The same message of the other set of stubs."""
    return kind.FromString(message.SerializeToString())


@asynccontextmanager
async def served(
    service: ConnectorService, port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[tuple[int, Servicer]]:
    """Serve on a loopback port until the end; yields the port and the servicer."""
    server, servicer = grpc.aio.server(), Servicer(service)
    agent_pb2_grpc.add_AsyncAgentServiceServicer_to_server(servicer, server)
    agent_pb2_grpc.add_SyncAgentServiceServicer_to_server(servicer, server)
    agent_pb2_grpc.add_AgentMetadataServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{port}"
    bound = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield bound, servicer
    finally:
        await server.stop(0)
