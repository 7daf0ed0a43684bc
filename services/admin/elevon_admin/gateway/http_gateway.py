"""The gateway: a request becomes a call inside the process, its answer becomes a response."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import cached_property

from elevon_core.errors import Cancelled, ElevonError, Internal, Unimplemented
from elevon_kit.grpc_local import CallFailed, LocalCalls
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.logging import bound, get_logger
from google.protobuf.message import Message
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from elevon_admin.gateway.bodies import Bodies, BodyTooLarge
from elevon_admin.gateway.codings import PlainCodings
from elevon_admin.gateway.marshalers import PROTOBUF, Marshaler, choose
from elevon_admin.gateway.request_headers import REQUEST_ID, call_metadata, request_id
from elevon_admin.gateway.routes import Routes
from elevon_admin.gateway.rules import load_rules
from elevon_admin.gateway.settings import GatewaySettings
from elevon_admin.gateway.statuses import HTTP_CODES, error_body, error_headers
from elevon_admin.gateway.strangers import origin_pattern

log = get_logger("gateway")

OPENAPI_PATH = "/api/v1/openapi"
FIXED_PATHS = {path.encode(): path for path in (OPENAPI_PATH, "/healthcheck", "/metrics")}
"""Paths that are no calls; all but the first are answered by routes before this one."""
CORS_METHODS = ("GET", "POST", "DELETE", "HEAD", "PUT", "PATCH")
CONTENT_TOO_LARGE = 413
"""Not 429, as other limits: the same request fares no better later."""
COMPRESSION = 4
"""Of nine: higher levels take several times as long for a few per cent."""


class GatewayRoute(BaseRoute):
    """Takes every HTTP request that no other route took."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match all but websockets."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        await self.app(scope, receive, send)


def gateway_route(server: GrpcServer, settings: GatewaySettings, max_body_bytes: int) -> GatewayRoute:
    """Answer the route of everything that `server` serves and `http.yaml` names; it belongs behind all others."""
    bodies = Bodies(max_body_bytes, settings.unfinished_bytes)
    app: ASGIApp = Gateway(LocalCalls(server), lambda: Routes(load_rules()), bodies)
    app = PlainCodings(GZipMiddleware(app, minimum_size=settings.compress_from_bytes, compresslevel=COMPRESSION))
    if settings.allow_cors:
        app = _with_cors(app, settings)
    return GatewayRoute(app)


def _with_cors(app: ASGIApp, settings: GatewaySettings) -> ASGIApp:
    """Let pages of other origins in, with credentials: browsers then want their own origin back, never `*`."""
    return CORSMiddleware(
        app,
        allow_origin_regex=origin_pattern(settings.allowed_origins),
        allow_methods=CORS_METHODS,
        allow_headers=settings.allowed_headers,
        allow_credentials=True,
        expose_headers=[REQUEST_ID],
    )


class Gateway:
    """An ASGI application over the methods of a server.

    The routes are made for the first request: where nobody comes by HTTP, start-up and memory are spared them.
    """

    def __init__(self, calls: LocalCalls, routes: Callable[[], Routes], bodies: Bodies) -> None:
        self._calls = calls
        self._make_routes = routes
        self._bodies = bodies
        self._document: bytes | None = None

    @cached_property
    def _routes(self) -> Routes:
        return self._make_routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        identity = request_id(request.headers)
        with bound(request_id=identity):
            response = await self._respond(request, identity)
        response.headers[REQUEST_ID] = identity
        await response(scope, receive, send)

    async def _respond(self, request: Request, identity: str) -> Response:
        inbound, outbound = choose(request.headers)
        try:
            if (fixed := FIXED_PATHS.get(_raw_path(request))) is not None:
                return await self._fixed(request.method, fixed)
            answer, response_type = await self._call(request, identity, inbound)
            return Response(await outbound.convert(answer, response_type), media_type=outbound.content_type)
        except Exception as error:  # whatever happens, the caller gets a status
            failure, status = _failure(error)
        log.debug("refused", verb=request.method, path=request.url.path, code=failure.code.name)
        return Response(
            error_body(failure, outbound),
            status_code=status,
            headers=error_headers(failure),
            media_type=outbound.content_type,
        )

    async def _call(self, request: Request, identity: str, inbound: Marshaler) -> tuple[bytes, type[Message]]:
        route, values = self._routes.find(request.method, _raw_path(request))
        metadata = call_metadata(request.headers, identity)
        body = await self._bodies.read(request) if route.rule.body else b""
        if not (route.rule.body and inbound is PROTOBUF and not values):  # bytes that stay as they are need no look
            message = route.request_type()
            await inbound.read(body, message)
            route.fill(message, values, request.scope["query_string"].decode("latin-1"))
            body = message.SerializeToString()
        peer = f"http:{request.client.host}:{request.client.port}" if request.client is not None else "http:"
        return await self._calls.call(route.rule.rpc, body, metadata, peer), route.response_type

    async def _fixed(self, verb: str, path: str) -> Response:
        """The document; what the routes before this one left of the other paths are verbs that these have not."""
        if verb not in ("GET", "HEAD") or path != OPENAPI_PATH:
            raise Unimplemented(f"{verb} is not available at {path}: use GET")
        if self._document is None:
            from elevon_admin.gateway.openapi import openapi_json  # few ask for it

            self._document = await asyncio.to_thread(openapi_json, self._routes.all)
        return Response(self._document, media_type="application/json")


def _raw_path(request: Request) -> bytes:
    """The path as it was sent, which tells an encoded slash from a plain one."""
    raw: bytes = request.scope["raw_path"]
    return raw


def _failure(error: Exception) -> tuple[CallFailed, int]:
    """What is told, and the HTTP code that goes with it."""
    failure = _call_failed(error)
    return failure, CONTENT_TOO_LARGE if isinstance(error, BodyTooLarge) else HTTP_CODES[failure.code]


def _call_failed(error: Exception) -> CallFailed:
    if isinstance(error, CallFailed):
        return error
    if isinstance(error, ElevonError):
        return CallFailed.of(error)
    if isinstance(error, ClientDisconnect):
        return CallFailed.of(Cancelled("the caller went away"))
    reference = secrets.token_hex(6)
    log.error("unexpected error", reference=reference, exc_info=error)
    return CallFailed.of(Internal(f"internal error, reference {reference}"))
