"""Fixtures of the kit's integration tests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc
import pytest
import structlog
from elevon_core.errors import InvalidArgument, NotFound
from elevon_idl.catalog import v1 as catalog
from elevon_idl.catalog.v1 import data_catalog_pb2_grpc
from elevon_idl.connector import v1 as connector
from elevon_idl.connector.v1 import connector_service_pb2_grpc
from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller
from elevon_idl.propeller.v1 import propeller_service_pb2_grpc
from elevon_kit import grpc_client
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.settings import GrpcClientSettings, GrpcSettings


@pytest.fixture
def unused_address() -> Iterator[str]:
    """An address that is taken, but where nobody listens, so that connecting is refused at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


class Shelf(data_catalog_pb2_grpc.DataCatalogServicer):
    """A servicer whose behaviour the request chooses by its dataset's name."""

    def __init__(self) -> None:
        self.bound: list[dict[str, Any]] = []
        self.running = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def CreateDataset(
        self, request: catalog.CreateDatasetRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> catalog.CreateDatasetResponse:
        name = request.dataset.id.name
        self.bound.append(structlog.contextvars.get_contextvars())
        if name == "not found":
            raise NotFound("no such dataset", details=[core.WorkflowExecutionIdentifier(name="detail")])
        if name == "defect":
            raise ZeroDivisionError("the secret inside")
        if name == "timeout":
            raise TimeoutError
        if name == "wrong answer":
            return catalog.GetDatasetResponse()  # type: ignore[return-value]  # the defect under test
        if name == "wait":
            await self._wait()
        return catalog.CreateDatasetResponse()

    async def _wait(self) -> None:
        self.running.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Connector(connector_service_pb2_grpc.SyncAgentServiceServicer):
    """A servicer that streams in both directions."""

    async def ExecuteTaskSync(
        self,
        request_iterator: AsyncIterator[connector.ExecuteTaskSyncRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[connector.ExecuteTaskSyncResponse]:
        async for request in request_iterator:
            if request.header.output_prefix == "fail":
                raise InvalidArgument.missing("header")
            yield connector.ExecuteTaskSyncResponse(
                header=connector.ExecuteTaskSyncResponseHeader(
                    resource=connector.Resource(message=request.header.output_prefix)
                )
            )


class Watcher(propeller_service_pb2_grpc.PropellerServiceServicer):
    """A servicer that answers a stream until the server drains."""

    def __init__(self) -> None:
        self.draining = asyncio.Event()

    async def WatchExecution(
        self, request: propeller.WatchExecutionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[propeller.WatchExecutionResponse]:
        yield propeller.WatchExecutionResponse()
        await self.draining.wait()
        yield propeller.WatchExecutionResponse()


class Running:
    """A server under test with its servicers and a channel to it."""

    def __init__(self, settings: GrpcSettings) -> None:
        shelf: Any = Shelf  # the methods it leaves out must answer UNIMPLEMENTED
        watcher: Any = Watcher
        self.shelf: Shelf = shelf()
        self.watcher: Watcher = watcher()
        self.server = GrpcServer(settings, "catalog", health_names=("flyteadmin",))
        self.watcher.draining = self.server.draining
        self.server.add(self.shelf, "elevon.catalog.v1.DataCatalog")
        self.server.add(Connector(), "elevon.connector.v1.SyncAgentService")
        self.server.add(self.watcher, "elevon.propeller.v1.PropellerService")
        self.channels: list[grpc.aio.Channel] = []

    def channel(self, **settings: Any) -> grpc.aio.Channel:
        channel = grpc_client.channel(self.server.address, GrpcClientSettings(**settings))
        self.channels.append(channel)
        return channel

    async def create(self, name: str, channel: grpc.aio.Channel | None = None, **options: Any) -> None:
        """Call the servicer; the name chooses what it does."""
        dataset = catalog.Dataset(id=catalog.DatasetID(project="p", domain="d", name=name))
        stub = self.stub(data_catalog_pb2_grpc.DataCatalogStub, channel)
        await stub.CreateDataset(catalog.CreateDatasetRequest(dataset=dataset), **options)

    async def raw(self, path: str, request: bytes) -> bytes:
        """Send bytes to a method and answer the bytes that come back."""
        method: Any = self.channel().unary_unary(path)
        answer: bytes = await method(request)
        return answer

    def stub(self, stub: Any, channel: grpc.aio.Channel | None = None) -> Any:
        """Make a stub; the generated types know only its blocking shape."""
        return stub(channel or self.channel())

    async def stop(self) -> None:
        for channel in self.channels:
            await channel.close()
        await self.server.stop()


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts servers with the settings given and stops them in the end."""
    started: list[Running] = []

    async def run(**settings: Any) -> Running:
        running = Running(GrpcSettings(drain_seconds=settings.pop("drain_seconds", 0.5), **settings))
        await running.server.start()
        started.append(running)
        return running

    yield run
    for running in started:
        await running.stop()


@pytest.fixture
async def running(start: Start) -> Running:
    """A server with default settings."""
    return await start()


Serve = Callable[..., Awaitable[GrpcServer]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves servicers, given as class and service name, and stops them in the end."""
    started: list[GrpcServer] = []

    async def run(*servicers: tuple[Any, str]) -> GrpcServer:
        server = GrpcServer(GrpcSettings(drain_seconds=0), "test")
        for servicer, name in servicers:
            server.add(servicer(), name)
        await server.start()
        started.append(server)
        return server

    yield run
    for server in started:
        await server.stop()
