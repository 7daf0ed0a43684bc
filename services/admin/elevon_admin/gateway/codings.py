"""Which clients get compressed answers: those whose Accept-Encoding says so, read as RFC 9110, section 12.5.3 does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

HEADER = "accept-encoding"
_CODING = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*;[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?))?")


def prefers_gzip(accepted: str) -> bool:
    """Whether gzip is acceptable and no less welcome than bytes as they are."""
    weights = dict(_weights(accepted))
    others = weights.get("*", 0.0)
    gzip = weights.get("gzip", weights.get("x-gzip", others))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _weights(accepted: str) -> Iterator[tuple[str, float]]:
    for element in accepted.split(","):
        if match := _CODING.fullmatch(element.strip(" \t")):
            yield match[1].lower(), min(1.0, float(match[2] or "1"))


class PlainCodings:
    """An ASGI application before one that looks for the word gzip: the header is that word, or is not there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            scope = {**scope, "headers": list(scope["headers"])}
            headers = MutableHeaders(scope=scope)
            accepted = ",".join(headers.getlist(HEADER))
            del headers[HEADER]
            if prefers_gzip(accepted):
                headers[HEADER] = "gzip"
        await self._app(scope, receive, send)
