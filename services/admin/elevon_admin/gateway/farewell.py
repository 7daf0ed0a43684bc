"""What requests are told that are not through when the server stops."""

from __future__ import annotations

import asyncio

from elevon_core.errors import Unavailable
from elevon_kit.grpc_local import CallFailed
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from elevon_admin.gateway.marshalers import choose
from elevon_admin.gateway.statuses import HTTP_CODES, error_body


class Farewell:
    """An ASGI application before another one: a request that the server gives up is answered with 503 and a Status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if begun or scope["type"] != "http":
                raise
            # The server cancels what has not ended when its time to drain is over, and would answer 500.
            await _goodbye(Headers(scope=scope))(scope, receive, send)


def _goodbye(headers: Headers) -> Response:
    failure = CallFailed.of(Unavailable("the server is stopping: try again in a moment"))
    _, outbound = choose(headers)
    return Response(
        error_body(failure, outbound),
        status_code=HTTP_CODES[failure.code],
        headers={"Retry-After": "1", "Connection": "close"},
        media_type=outbound.content_type,
    )
