"""Health per dependency, and services that describe themselves under both names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from elevon_core.errors import NotFound, Unavailable
from elevon_idl.admin.v1 import admin_service_pb2_grpc
from elevon_idl.cacheservice.v1 import cache_service_pb2_grpc
from elevon_kit import grpc_health
from elevon_kit.grpc_client import translate_errors
from elevon_kit.grpc_reflection import V1, V1ALPHA
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Dependency:
    """Is well until told otherwise."""

    def __init__(self) -> None:
        self.trouble = ""
        self.probes = 0

    async def __call__(self) -> None:
        self.probes += 1
        if self.trouble:
            raise Unavailable(self.trouble)


async def status(running: Any, name: str) -> int:
    stub = running.stub(health_pb2_grpc.HealthStub)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    return int(answer.status)


@pytest.fixture
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_health, "FRESH_SECONDS", -1.0)
    monkeypatch.setattr(grpc_health, "WATCH_SECONDS", 0.01)


@pytest.mark.parametrize(
    "name", ["", "catalog", "flyteadmin", "elevon.catalog.v1.DataCatalog", "datacatalog.DataCatalog"]
)
async def test_the_server_serves_under_all_its_names(running: Any, name: str) -> None:
    assert await status(running, name) == SERVING


async def test_a_name_that_means_nothing_is_not_found(running: Any) -> None:
    with pytest.raises(NotFound, match="unknown service 'nonsense'"), translate_errors("catalog"):
        await status(running, "nonsense")


@pytest.mark.usefixtures("always_fresh")
async def test_a_critical_dependency_stops_the_whole(running: Any) -> None:
    database, catalog = Dependency(), Dependency()
    running.server.health.add_dependency("database", database)
    running.server.health.add_dependency("catalog-service", catalog, critical=False)
    assert await status(running, "") == SERVING
    catalog.trouble = "gone"
    assert await status(running, "catalog-service") == NOT_SERVING
    assert await status(running, "") == SERVING
    database.trouble = "disk full"
    assert await status(running, "database") == NOT_SERVING
    assert await status(running, "elevon.catalog.v1.DataCatalog") == NOT_SERVING
    assert await running.server.health.report() == {"database": "disk full", "catalog-service": "gone"}
    database.trouble = ""
    assert await status(running, "") == SERVING


async def test_a_probe_is_shared_by_those_who_ask_at_once(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_health, "FRESH_SECONDS", 60.0)
    database = Dependency()
    running.server.health.add_dependency("database", database)
    await asyncio.gather(*(status(running, "") for _ in range(5)))
    assert database.probes == 1


async def test_a_probe_that_hangs_has_failed(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_health, "PROBE_TIMEOUT", 0.01)
    running.server.health.add_dependency("database", asyncio.Event().wait)
    assert await status(running, "database") == NOT_SERVING
    assert "no answer within" in (await running.server.health.report())["database"]


@pytest.mark.usefixtures("always_fresh")
async def test_watchers_hear_of_changes_and_of_the_end(start: Any) -> None:
    running = await start(drain_seconds=10)
    database = Dependency()
    running.server.health.add_dependency("database", database)
    watch = aiter(running.stub(health_pb2_grpc.HealthStub).Watch(health_pb2.HealthCheckRequest(service="")))
    assert (await anext(watch)).status == SERVING
    database.trouble = "gone"
    assert (await anext(watch)).status == NOT_SERVING
    database.trouble = ""
    assert (await anext(watch)).status == SERVING
    stopping = asyncio.create_task(running.server.stop())
    assert [answer.status async for answer in watch] == [NOT_SERVING]
    await stopping


async def test_an_unknown_name_can_be_watched(running: Any) -> None:
    stub = running.stub(health_pb2_grpc.HealthStub)
    watch = aiter(stub.Watch(health_pb2.HealthCheckRequest(service="later")))
    assert (await anext(watch)).status == SERVICE_UNKNOWN


async def test_draining_is_said_while_calls_are_still_taken(start: Any) -> None:
    running = await start(drain_notice_seconds=5)
    channel = running.channel()
    await running.create("fine", channel)
    stopping = asyncio.create_task(running.server.stop())
    await running.server.draining.wait()
    stub = running.stub(health_pb2_grpc.HealthStub, channel)
    assert (await stub.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
    await running.create("still fine", channel)
    await stopping


Describe = Callable[[reflection_pb2.ServerReflectionRequest], Awaitable[reflection_pb2.ServerReflectionResponse]]


def describe(channel: grpc.aio.Channel, service: str) -> Describe:
    call: Any = channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )

    async def ask(request: reflection_pb2.ServerReflectionRequest) -> reflection_pb2.ServerReflectionResponse:
        answer: reflection_pb2.ServerReflectionResponse = await anext(aiter(call(iter([request]))))
        return answer

    return ask


@pytest.mark.parametrize("service", [V1, V1ALPHA])
async def test_services_are_listed_under_both_names(running: Any, service: str) -> None:
    ask = describe(running.channel(), service)
    answer = await ask(reflection_pb2.ServerReflectionRequest(list_services="*"))
    listed = {found.name for found in answer.list_services_response.service}
    assert {"elevon.catalog.v1.DataCatalog", "datacatalog.DataCatalog", "flyteidl.service.SyncAgentService"} <= listed
    assert "elevon.propeller.v1.PropellerService" in listed


async def test_the_original_names_describe_the_same_contract(serve: Any) -> None:
    server = await serve(
        (admin_service_pb2_grpc.AdminServiceServicer, "elevon.admin.v1.AdminService"),
        (cache_service_pb2_grpc.CacheServiceServicer, "elevon.cacheservice.v1.CacheService"),
    )
    async with grpc.aio.insecure_channel(server.address) as channel:
        ask = describe(channel, V1ALPHA)
        ours = await service_of(ask, "elevon.admin.v1.AdminService")
        original = await service_of(ask, "flyteidl.service.AdminService")
        assert (await service_of(ask, "flyteidl.cacheservice.CacheService")).methods_by_name["Get"]
    assert [method.name for method in original.methods] == [method.name for method in ours.methods]
    create = original.methods_by_name["CreateTask"]
    assert create.input_type.full_name == "flyteidl.admin.TaskCreateRequest"
    assert create.input_type.fields_by_name["id"].message_type.full_name == "flyteidl.core.Identifier"


async def service_of(ask: Describe, name: str) -> Any:
    """Build the service from nothing but what reflection answers, as a generic client does."""
    answer = await ask(reflection_pb2.ServerReflectionRequest(file_containing_symbol=name))
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(raw)
        for raw in answer.file_descriptor_response.file_descriptor_proto
    ]
    by_name = {file.name: file for file in files}
    pool = DescriptorPool()

    def add(file_name: str) -> None:
        file = by_name.pop(file_name, None)
        if file is not None:
            for dependency in file.dependency:
                add(dependency)
            pool.AddSerializedFile(file.SerializeToString())

    for file_name in list(by_name):
        add(file_name)
    return pool.FindServiceByName(name)


async def test_what_is_not_there_is_not_described(running: Any) -> None:
    ask = describe(running.channel(), V1)
    answer = await ask(reflection_pb2.ServerReflectionRequest(file_containing_symbol="flyteidl.nothing.Here"))
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_reflection_can_be_switched_off(start: Any) -> None:
    running = await start(reflection=False)
    ask = describe(running.channel(), V1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(reflection_pb2.ServerReflectionRequest(list_services="*"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
