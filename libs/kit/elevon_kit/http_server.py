"""The HTTP side of a service: /healthcheck and /metrics, and whatever routes it adds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import uvicorn
from elevon_core.errors import InvalidArgument, Unavailable
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from elevon_kit import telemetry
from elevon_kit.logging import get_logger
from elevon_kit.settings import HttpSettings, address

if TYPE_CHECKING:
    from elevon_kit.grpc_health import Health

log = get_logger("http")

BACKLOG = 1024


class QuietServer(uvicorn.Server):
    """Leaves signals to `run_service`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class HttpServer:
    """Serves routes on a port of its own; `app` may replace the whole application, for one with middleware."""

    def __init__(
        self,
        settings: HttpSettings,
        routes: Sequence[BaseRoute] = (),
        *,
        health: Health | None = None,
        app: ASGIApp | None = None,
    ) -> None:
        self.address = ""
        self.app = app or Starlette(routes=[*standard_routes(health), *routes])
        self._settings = settings
        self._server: QuietServer | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen; answers the bound port. Raises Unavailable when the address cannot be had."""
        listener = self._bind()
        port: int = listener.getsockname()[1]
        self._server = QuietServer(self._config())
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name="http server")
        while not self._server.started:
            if self._serving.done():
                await self._serving
                raise Unavailable("the HTTP server ended while it started")
            await asyncio.sleep(0.001)
        self.address = address(self._settings.host, port)
        log.info("listening", http=self.address)
        return port

    async def stop(self) -> None:
        """Take no more requests, let running ones finish for at most `drain_seconds`."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        # asyncio turns Nagle's algorithm off only where the protocol is named; with it on, answers wait for 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._settings.host, self._settings.port))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            place = address(self._settings.host, self._settings.port)
            raise Unavailable(f"cannot listen on {place}: {error.strerror}") from error
        return listener

    def _config(self) -> uvicorn.Config:
        if (self._settings.tls_certificate is None) != (self._settings.tls_key is None):
            raise InvalidArgument("http.tls_certificate and http.tls_key go together: one of them is missing")
        from elevon_kit.http_patience import patient_protocol  # loads the parser

        return uvicorn.Config(
            self.app,
            http=patient_protocol(self._settings),
            ws="none",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            lifespan="off",
            ssl_certfile=self._settings.tls_certificate,
            ssl_keyfile=self._settings.tls_key,
            timeout_keep_alive=self._settings.idle_seconds,  # type: ignore[arg-type]  # only a timer gets it
            timeout_graceful_shutdown=max(1, round(self._settings.drain_seconds)),
        )


def standard_routes(health: Health | None) -> list[BaseRoute]:
    """Answer the routes every service has: /healthcheck (200, or 503 with the reasons) and /metrics."""

    async def healthcheck(_request: Request) -> Response:
        if health is None:
            return JSONResponse({"status": "SERVING"})
        serving = await health.serving()
        body = {"status": "SERVING" if serving else "NOT_SERVING", "dependencies": await health.report()}
        return JSONResponse(body, status_code=200 if serving else 503)

    async def metrics(_request: Request) -> Response:
        if not telemetry.metrics_enabled():
            return PlainTextResponse("metrics are off: set telemetry.metrics to prometheus\n", status_code=404)
        from elevon_kit.telemetry_exporters import prometheus_page

        body, content_type = prometheus_page()
        return Response(body, headers={"content-type": content_type})

    return [Route("/healthcheck", healthcheck), Route("/metrics", metrics)]
