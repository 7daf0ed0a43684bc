"""The official stubs and ours live in one process, and both reach every RPC of one servicer."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator
from typing import Any

import elevon_idl
import flyteidl
import grpc
import pytest
from elevon_idl.names import ORIGINAL_SERVICES
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.settings import GrpcSettings
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

for package in (elevon_idl, flyteidl):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.endswith("_pb2_grpc"):
            importlib.import_module(module.name.removesuffix("_grpc"))
            importlib.import_module(module.name)

POOL = descriptor_pool.Default()


def stub_class(service: ServiceDescriptor) -> Any:
    """The generated stub of a service, ours or the official one."""
    package = "elevon_idl" if service.full_name.startswith("elevon.") else "flyteidl"
    path = service.file.name.removesuffix(".proto").replace("/", ".")
    path = path.replace("elevon.", "elevon_idl.", 1) if package == "elevon_idl" else path
    return getattr(importlib.import_module(f"{path}_pb2_grpc"), f"{service.name}Stub")


def servicer_class(service: ServiceDescriptor) -> type:
    path = service.file.name.removesuffix(".proto").replace("/", ".").replace("elevon.", "elevon_idl.", 1)
    base: type = getattr(importlib.import_module(f"{path}_pb2_grpc"), f"{service.name}Servicer")
    return base


def answering(service: ServiceDescriptor, calls: list[str]) -> object:
    """A servicer that answers every RPC with an empty message and notes that it was called."""
    methods: dict[str, Any] = {method.name: behaviour(method, calls) for method in service.methods}
    return type(service.name, (servicer_class(service),), methods)()


def behaviour(method: MethodDescriptor, calls: list[str]) -> Any:
    answer = message_factory.GetMessageClass(method.output_type)

    async def stream(self: object, request: object, context: object) -> AsyncIterator[Any]:
        calls.append(method.name)
        yield answer()

    async def unary(self: object, request: object, context: object) -> Any:
        calls.append(method.name)
        return answer()

    return stream if method.server_streaming else unary


async def call(channel: grpc.aio.Channel, service: ServiceDescriptor, name: str) -> Any:
    method = service.methods_by_name[name]
    request = message_factory.GetMessageClass(method.input_type)()
    stub = getattr(stub_class(service)(channel), name)
    outgoing = iter([request]) if method.client_streaming else request
    if method.server_streaming:
        return await anext(aiter(stub(outgoing)))
    return await stub(outgoing)


@pytest.mark.parametrize("ours", sorted(ORIGINAL_SERVICES))
async def test_both_stubs_reach_every_rpc(ours: str) -> None:
    calls: list[str] = []
    service, theirs = POOL.FindServiceByName(ours), POOL.FindServiceByName(ORIGINAL_SERVICES[ours])
    server = GrpcServer(GrpcSettings(), "test")
    server.add(answering(service, calls), ours)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in theirs.methods:
            for side in (service, theirs):
                answer = await call(channel, side, method.name)
                assert answer.DESCRIPTOR is side.methods_by_name[method.name].output_type
    await server.stop()
    assert sorted(calls) == sorted([method.name for method in theirs.methods] * 2)


@pytest.mark.parametrize("ours", sorted(ORIGINAL_SERVICES))
async def test_an_rpc_that_is_not_built_says_so(ours: str) -> None:
    service, theirs = POOL.FindServiceByName(ours), POOL.FindServiceByName(ORIGINAL_SERVICES[ours])
    server = GrpcServer(GrpcSettings(), "test")
    server.add(servicer_class(service)(), ours)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in theirs.methods:
            for side in (service, theirs):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel, side, method.name)
                assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
                assert method.name in (refused.value.details() or "")
    await server.stop()
