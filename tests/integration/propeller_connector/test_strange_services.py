"""Services that answer what no connector should, over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_core.errors import Unavailable
from elevon_idl.connector import v1 as connector
from elevon_idl.core import v1 as core
from elevon_kit.blobs_obstore import ObjectBlobStore
from elevon_kit.settings import GrpcClientSettings
from elevon_propeller.plugins.clock import system_clock
from elevon_propeller.plugins.connector.fake import FakeConnectorService
from elevon_propeller.plugins.connector.grpc_service import GrpcConnectorService
from elevon_propeller.plugins.connector.plugin import ConnectorPlugin
from elevon_propeller.plugins.connector.settings import CallTimeouts, ConnectorSettings, EndpointSettings
from elevon_propeller.plugins.contract import Attempt, AttemptPaths, AttemptPhase, Report
from elevon_propeller.plugins.state import MemoryPluginState

from tests.certificates import make_pair
from tests.contract.propeller_connector.official_server import served
from tests.servers import free_port
from tests.unit.propeller_connector.conftest import Sink, agent, literals

GARBAGE = b"\xff\xff\xff\xff"


@asynccontextmanager
async def raw_server(**answers: bytes) -> AsyncIterator[int]:
    """A server that answers every method of the services of connectors with bytes."""
    server = grpc.aio.server()

    def unary(answer: bytes) -> Any:
        async def handler(request: bytes, context: Any) -> bytes:
            return answer

        return grpc.unary_unary_rpc_method_handler(handler)

    def stream(answer: bytes) -> Any:
        async def handler(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            async for _ in requests:
                pass
            if answer != b"nothing":
                yield answer

        return grpc.stream_stream_rpc_method_handler(handler)

    names = {"AgentMetadataService": ["ListAgents"], "AsyncAgentService": ["CreateTask", "GetTask", "DeleteTask"]}
    for service, methods in names.items():
        handlers = {method: unary(answers.get(method, b"")) for method in methods}
        handler = grpc.method_handlers_generic_handler(f"flyteidl.service.{service}", handlers)
        server.add_generic_rpc_handlers((handler,))
    sync = {"ExecuteTaskSync": stream(answers.get("ExecuteTaskSync", b"nothing"))}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("flyteidl.service.SyncAgentService", sync),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


LISTED = connector.ListAgentsResponse(agents=[agent("query"), agent("ask", is_sync=True)]).SerializeToString()


def attempt(folder: Path, task_type: str) -> Attempt:
    task = core.TaskTemplate(type=task_type)
    task.interface.outputs.variables["o"].type.simple = core.INTEGER
    return Attempt(
        name="x-n0-0",
        execution_id=core.WorkflowExecutionIdentifier(project="p", domain="d", name="x"),
        workflow_name="w",
        node_id="n0",
        spec_node_id="n0",
        number=0,
        task=task,
        inputs=literals(x=1),
        paths=AttemptPaths(f"file://{folder}/data", f"file://{folder}/data/0", f"file://{folder}/raw"),
        started_at=system_clock(),
    )


async def end_at(port: int, folder: Path, task_type: str, **endpoint: Any) -> Report:
    """How an attempt ends at a service."""
    address = f"127.0.0.1:{port}"
    settings = ConnectorSettings(endpoints={"default": EndpointSettings(address=address, **endpoint)}, max_failures=2)
    plugin, sink = ConnectorPlugin(settings, ObjectBlobStore(), MemoryPluginState()), Sink()
    await plugin.open()
    try:
        await plugin.start(attempt(folder, task_type), sink)
        return await sink.end()
    finally:
        await plugin.close()


@pytest.mark.parametrize(
    ("task_type", "answers", "words"),
    [
        ("query", {"CreateTask": GARBAGE}, "the answer to CreateTask cannot be read"),
        ("query", {"GetTask": GARBAGE}, "the answer to GetTask cannot be read"),
        ("query", {"GetTask": b""}, "the answer to GetTask has no resource"),
        ("ask", {"ExecuteTaskSync": GARBAGE}, "a part of the answer to ExecuteTaskSync cannot be read"),
        ("ask", {"ExecuteTaskSync": b""}, "a part of the answer to ExecuteTaskSync cannot be read"),
        ("ask", {"ExecuteTaskSync": b"nothing"}, "the answer to ExecuteTaskSync has no header"),
    ],
)
async def test_answers_that_mean_nothing_fail_the_attempt(
    tmp_path: Path, task_type: str, answers: dict[str, bytes], words: str
) -> None:
    async with raw_server(ListAgents=LISTED, **answers) as port:
        report = await end_at(port, tmp_path, task_type)
        assert report.phase is AttemptPhase.PERMANENT_FAILURE
        assert report.error is not None
        assert report.error.code == "BadConnectorAnswer"
        assert words in report.error.message
        assert f"connector service 'default' at 127.0.0.1:{port}" in report.error.message


async def test_a_list_that_cannot_be_read_is_no_list(tmp_path: Path) -> None:
    async with raw_server(ListAgents=GARBAGE) as port:
        settings = ConnectorSettings(endpoints={"default": EndpointSettings(address=f"127.0.0.1:{port}")})
        plugin, sink = ConnectorPlugin(settings, ObjectBlobStore(), MemoryPluginState()), Sink()
        await plugin.open()
        await plugin.start(attempt(tmp_path, "query"), sink)
        waiting = await sink.says("no connector is known")
        assert "the answer to ListAgents cannot be read" in waiting.reason
        await plugin.close()


async def test_a_service_that_hangs_is_a_system_failure(tmp_path: Path) -> None:
    behind = FakeConnectorService([agent("query")])

    async def hang(request: connector.CreateTaskRequest) -> bytes:
        await asyncio.Event().wait()
        return b""

    behind.create_task = hang  # type: ignore[method-assign]  # a fake that does not answer
    async with served(behind) as (port, _):
        timeouts = CallTimeouts.model_validate({"create_task": 0.1})
        report = await end_at(port, tmp_path, "query", timeouts=timeouts)
    assert report.phase is AttemptPhase.RETRYABLE_FAILURE
    assert report.error is not None
    assert report.error.code == "ConnectorUnavailable"
    assert report.error.kind == core.ExecutionError.SYSTEM
    assert "Deadline" in report.error.message


async def test_metadata_travels_with_every_call() -> None:
    async with served(FakeConnectorService([agent("query")])) as (port, servicer):
        settings = EndpointSettings(address=f"127.0.0.1:{port}", metadata={"authorization": "Bearer x"})
        service = GrpcConnectorService("default", settings)
        await service.list_agents()
        await service.close()
        assert servicer.metadata["authorization"] == "Bearer x"


async def test_a_service_that_is_not_there_is_unavailable_and_connected_waits_for_it() -> None:
    behind, port = FakeConnectorService([agent("query")]), free_port()
    service = GrpcConnectorService("default", EndpointSettings(address=f"127.0.0.1:{port}"))
    with pytest.raises(Unavailable, match=f"connector service 'default' at 127.0.0.1:{port}"):
        await service.list_agents()
    async with served(behind, port):
        await service.connected()
        assert len(await service.list_agents()) == 1
    await service.close()


async def test_services_are_spoken_to_with_tls_when_settings_say_so(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, "server")
    credentials = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.certificate.read_bytes())])
    behind = FakeConnectorService([agent("query")])
    async with served(behind, credentials=credentials) as (port, _):
        client = GrpcClientSettings(tls=True, tls_authority=pair.certificate)
        secure = GrpcConnectorService("default", EndpointSettings(address=f"127.0.0.1:{port}", client=client))
        assert len(await secure.list_agents()) == 1
        await secure.close()
        plain = GrpcConnectorService("default", EndpointSettings(address=f"127.0.0.1:{port}"))
        with pytest.raises(Unavailable):
            await plain.list_agents()
        await plain.close()
