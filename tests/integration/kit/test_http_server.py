"""The HTTP side: health with reasons, metrics, routes of the service's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from elevon_core.errors import InvalidArgument, Unavailable
from elevon_kit import telemetry
from elevon_kit.grpc_health import Health
from elevon_kit.http_server import HttpServer
from elevon_kit.settings import HttpSettings, TelemetrySettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

Serve = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[HttpServer] = []
    clients: list[httpx.AsyncClient] = []

    async def run(**arguments: Any) -> httpx.AsyncClient:
        server = HttpServer(HttpSettings(drain_seconds=1), **arguments)
        await server.start()
        servers.append(server)
        clients.append(httpx.AsyncClient(base_url=f"http://{server.address}", timeout=60))
        return clients[-1]

    yield run
    for client in clients:
        await client.aclose()
    for server in servers:
        await server.stop()


async def test_health_without_dependencies(serve: Serve) -> None:
    client = await serve()
    answer = await client.get("/healthcheck")
    assert (answer.status_code, answer.json()) == (200, {"status": "SERVING"})


async def test_health_names_the_reasons(serve: Serve) -> None:
    health = Health()

    async def probe() -> None:
        raise Unavailable("disk full")

    health.add_dependency("database", probe)
    answer = await (await serve(health=health)).get("/healthcheck")
    assert answer.status_code == 503
    assert answer.json() == {"status": "NOT_SERVING", "dependencies": {"database": "disk full"}}


async def test_metrics_are_off_by_default(serve: Serve) -> None:
    answer = await (await serve()).get("/metrics")
    assert answer.status_code == 404
    assert "telemetry.metrics" in answer.text


async def test_metrics_for_prometheus(serve: Serve) -> None:
    running = telemetry.configure_telemetry(TelemetrySettings(metrics="prometheus"), "catalog")
    try:
        telemetry.meter().create_counter("cache.hits").add(3)
        answer = await (await serve()).get("/metrics")
    finally:
        running.stop()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "cache_hits_total" in answer.text


async def test_routes_of_the_service(serve: Serve) -> None:
    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"hello {request.path_params['name']}")

    client = await serve(routes=[Route("/hello/{name}", hello)])
    assert (await client.get("/hello/you")).text == "hello you"
    assert (await client.get("/nothing")).status_code == 404


async def test_running_requests_finish_when_the_server_stops() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> PlainTextResponse:
        started.set()
        await release.wait()
        return PlainTextResponse("done")

    server = HttpServer(HttpSettings(drain_seconds=5), [Route("/slow", slow)])
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://{server.address}", timeout=60) as client:
        request = asyncio.create_task(client.get("/slow"))
        await started.wait()
        stopping = asyncio.create_task(server.stop())
        release.set()
        assert (await request).text == "done"
        await stopping
        with pytest.raises(httpx.ConnectError):
            await client.get("/slow")


async def test_a_taken_port_is_unavailable() -> None:
    server = HttpServer(HttpSettings())
    port = await server.start()
    with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{port}"):
        await HttpServer(HttpSettings(port=port)).start()
    await server.stop()


async def test_half_a_certificate_is_refused(tmp_path: Any) -> None:
    with pytest.raises(InvalidArgument, match="go together"):
        await HttpServer(HttpSettings(tls_key=tmp_path / "key")).start()
