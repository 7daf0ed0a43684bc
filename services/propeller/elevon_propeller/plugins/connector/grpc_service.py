"""Connector services over gRPC, under the names that existing ones serve."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core
from elevon_idl.names import ORIGINAL_SERVICES
from elevon_kit.grpc_client import channel, translate_errors
from google.protobuf.message import Message

from elevon_propeller.plugins.connector.service import NonsenseAnswer
from elevon_propeller.plugins.connector.settings import EndpointSettings

_Answer = TypeVar("_Answer", bound=Message)

_ASYNC, _SYNC, _METADATA = (
    ORIGINAL_SERVICES[f"elevon.connector.v1.{name}"]
    for name in ("AsyncAgentService", "SyncAgentService", "AgentMetadataService")
)
_CLUSTER_SERVICE = re.compile(r"k8s:/*(?P<service>[^./:]+)\.(?P<namespace>[^./:]+)(?P<port>:\w+)$")

PATIENT_PING = 310_000
"""Milliseconds between pings unless settings say so: servers that are not told otherwise cut connections on which pings
come more often than every five minutes."""


class GrpcConnectorService:
    """One connector service; see `ConnectorService`. It connects when first called."""

    def __init__(self, name: str, settings: EndpointSettings) -> None:
        self._where = f"connector service {name!r} at {settings.address}"
        self._timeouts = settings.timeouts
        self._metadata = tuple(settings.metadata.items())
        arguments: dict[str, Any] = {"grpc.keepalive_permit_without_calls": 0}
        if "keepalive_seconds" not in settings.client.model_fields_set:
            arguments["grpc.keepalive_time_ms"] = PATIENT_PING
        if settings.service_config:
            arguments["grpc.service_config"] = settings.service_config
        self._channel = channel(target_of(settings.address), settings.client, arguments)

    async def list_agents(self) -> Sequence[connector.Agent]:
        """The connectors that are there now."""
        answer = await self._call(
            f"/{_METADATA}/ListAgents",
            connector.ListAgentsRequest(),
            connector.ListAgentsResponse.FromString,
            self._timeouts.list_agents,
        )
        return answer.agents

    async def create_task(self, request: connector.CreateTaskRequest) -> bytes:
        """Start a job."""
        read = connector.CreateTaskResponse.FromString
        answer = await self._call(f"/{_ASYNC}/CreateTask", request, read, self._timeouts.create_task)
        return answer.resource_meta

    async def get_task(self, request: connector.GetTaskRequest) -> connector.Resource:
        """How a job stands."""
        read = connector.GetTaskResponse.FromString
        answer = await self._call(f"/{_ASYNC}/GetTask", request, read, self._timeouts.get_task)
        if not answer.HasField("resource"):
            raise NonsenseAnswer(f"{self._where}: the answer to GetTask has no resource")
        return answer.resource

    async def delete_task(self, request: connector.DeleteTaskRequest) -> None:
        """Stop a job."""
        read = connector.DeleteTaskResponse.FromString
        await self._call(f"/{_ASYNC}/DeleteTask", request, read, self._timeouts.delete_task)

    async def execute_task_sync(
        self, header: connector.CreateRequestHeader, inputs: core.LiteralMap
    ) -> connector.Resource:
        """Run a job to its end: header, then inputs; the answer's header, perhaps with outputs after it."""
        method = self._channel.stream_stream(
            f"/{_SYNC}/ExecuteTaskSync",
            request_serializer=connector.ExecuteTaskSyncRequest.SerializeToString,
            response_deserializer=connector.ExecuteTaskSyncResponse.FromString,
        )
        parts = (
            connector.ExecuteTaskSyncRequest(header=header),
            connector.ExecuteTaskSyncRequest(inputs=inputs),
        )
        timeout = self._timeouts.execute_task_sync.total_seconds()
        answers: list[connector.ExecuteTaskSyncResponse | None] = []
        with translate_errors(self._where):
            call = method(iter(parts), timeout=timeout, metadata=self._metadata)
            try:
                answers.extend([answer async for answer in call])
            finally:
                call.cancel()
        return self._joined(answers)

    async def connected(self) -> None:
        """Return once there is a connection."""
        await self._channel.channel_ready()

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _call(self, path: str, request: Message, read: Callable[[bytes], _Answer], longest: timedelta) -> _Answer:
        method = self._channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=read
        )
        answer: _Answer | None = None
        with translate_errors(self._where):
            answer = await method(request, timeout=longest.total_seconds(), metadata=self._metadata)
        if answer is None:  # what cannot be parsed, the library hands over as nothing
            raise NonsenseAnswer(f"{self._where}: the answer to {path.rpartition('/')[2]} cannot be read")
        return answer

    def _joined(self, answers: Sequence[connector.ExecuteTaskSyncResponse | None]) -> connector.Resource:
        resource: connector.Resource | None = None
        for answer in answers:
            part = answer.WhichOneof("res") if answer is not None else None
            if answer is None or part is None:
                raise NonsenseAnswer(f"{self._where}: a part of the answer to ExecuteTaskSync cannot be read")
            if part == "header":
                resource = answer.header.resource
            elif resource is not None and not resource.HasField("outputs"):
                resource.outputs.CopyFrom(answer.outputs)
        if resource is None:
            raise NonsenseAnswer(f"{self._where}: the answer to ExecuteTaskSync has no header")
        return resource


def target_of(address: str) -> str:
    """The gRPC target of an address; `k8s:///service.namespace:port` is looked up in the cluster's DNS."""
    found = _CLUSTER_SERVICE.match(address)
    if found is None:
        return address
    return f"dns:///{found['service']}.{found['namespace']}.svc.cluster.local{found['port']}"
