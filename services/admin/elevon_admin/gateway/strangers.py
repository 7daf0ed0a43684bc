"""Keeping out what pages of strangers send with the browsers of people who can reach this server.

A browser sends requests to any address that a page names, those of the own machine included, and says whose page it was
(Origin). A name that its owner points at another's address makes the page the server's own, but for the name (Host).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from elevon_core.errors import PermissionDenied
from elevon_kit.grpc_local import CallFailed
from elevon_kit.logging import get_logger
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from elevon_admin.gateway.marshalers import choose
from elevon_admin.gateway.settings import GatewaySettings
from elevon_admin.gateway.statuses import HTTP_CODES, error_body

log = get_logger("gateway")

ANY = "*"
LOOPBACK = "loopback"
LOOPBACK_ORIGIN = r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?"
AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def origin_pattern(origins: Iterable[str]) -> str:
    """What allowed origins match as a whole; nothing does when there are none."""
    special = {ANY: ".*", LOOPBACK: LOOPBACK_ORIGIN}
    return "|".join(special.get(origin, re.escape(origin)) for origin in origins) or r"(?!)"


class Guard:
    """An ASGI application before another one: it lets through what no stranger's page can have sent.

    What is not from a browser has no Origin and the name that it was told to use.
    """

    def __init__(self, app: ASGIApp, settings: GatewaySettings, public_url: str) -> None:
        self._app = app
        origins = settings.allowed_origins if settings.allow_cors else ()
        self._origins = re.compile(origin_pattern(origins))
        self._refuses_origins = settings.refuse_other_origins
        self._any_host = ANY in settings.allowed_hosts
        self._public = urlsplit(public_url).netloc.lower()
        self._hosts = {*map(_plain, settings.allowed_hosts), _plain(urlsplit(public_url).hostname or "")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_host(headers.get("host", ""))
            self._check_origin(scope["method"], headers)
        except PermissionDenied as error:
            await _refusal(error, headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check_host(self, given: str) -> None:
        """Raise PermissionDenied for a name that may be anybody's; only browsers matter, and they always send one."""
        if self._any_host or not given:
            return
        host = _host_of(given)
        if host in self._hosts and host:
            return
        if host == "localhost" or host.endswith(".localhost") or _is_address(host):
            return
        rule = "requests come to localhost, an IP address, or a name in the setting admin.gateway.allowed_hosts"
        raise PermissionDenied(f"invalid value for Host: {given[:200]!r} ({rule})")

    def _check_origin(self, verb: str, headers: Headers) -> None:
        """Raise PermissionDenied for a change that a page asks for that is neither allowed nor this server's."""
        origin = headers.get("origin")
        if origin is None or not self._refuses_origins or verb not in CHANGING:
            return
        authority = origin.partition("://")[2].lower()
        own = authority in (headers.get("host", "").lower(), self._public) and authority
        if own or self._origins.fullmatch(origin):
            return
        rule = "pages of this origin may change nothing here: the setting admin.gateway.allowed_origins names who may"
        raise PermissionDenied(f"invalid value for Origin: {origin[:200]!r} ({rule})")


def _refusal(error: PermissionDenied, headers: Headers) -> Response:
    failure = CallFailed.of(error)
    _, outbound = choose(headers)
    log.debug("refused", reason=error.message)
    status = HTTP_CODES[failure.code]
    return Response(error_body(failure, outbound), status_code=status, media_type=outbound.content_type)


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _host_of(given: str) -> str:
    """The name or address of a Host header, without its port; empty when it is none."""
    if AUTHORITY.fullmatch(given) is None:
        return ""
    try:
        return _plain(urlsplit(f"//{given}").hostname or "")
    except ValueError:  # brackets around what is no address
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
