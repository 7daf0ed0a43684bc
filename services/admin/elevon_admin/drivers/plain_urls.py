"""Addresses to download from that have no query: flytekit takes a question mark in an address for a pattern.

Local files are answered, for others the client is sent on to an address that their store has signed.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from urllib.parse import quote

from elevon_core.errors import ElevonError, Unavailable
from elevon_kit.blobs import BlobStore, parse
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from elevon_admin.drivers.signed_urls import ROUTE, SAFE_HEADERS, signature
from elevon_admin.ports import Clock

METHOD = "download"
"""What is signed besides place and end, so that no signature for anything else fits."""

SENT_ON_FOR = timedelta(minutes=5)
"""How long the address lives that a client is sent on to."""

_NO_CONTAINER = "-"


class PlainUrls:
    """Signs and answers such addresses; `key` signs, `address` is that of admin's HTTP server.

    No link leads out of `folders`, the URIs of what may be read.
    """

    def __init__(
        self,
        blobs: BlobStore,
        folders: Sequence[str],
        key: Callable[[], bytes],
        address: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._blobs = blobs
        places = map(parse, folders)
        self._folders = [os.path.realpath(f"/{place.key}") for place in places if place.scheme == "file"]
        self._key = key
        self._address = address
        self._clock = clock

    def sign(self, uri: str, expires: timedelta) -> str:
        """The address of an object, without a look whether it is there."""
        place = parse(uri)
        ends = str(self._clock() + expires // timedelta(microseconds=1) * 1000)
        path = f"{place.scheme}/{place.container or _NO_CONTAINER}/{quote(place.key)}"
        return f"{self._address().rstrip('/')}{ROUTE}/~{ends}-{self._signature(uri, ends)}/{path}"

    @property
    def routes(self) -> list[BaseRoute]:
        """GET and HEAD: the content, or where it is; 403 for what was not signed, 404."""
        path = ROUTE + "/~{grant}/{scheme}/{container}/{key:path}"
        return [Route(path, self._answer, methods=["GET", "HEAD"])]

    async def _answer(self, request: Request) -> Response:
        given = request.path_params
        container = "" if given["container"] == _NO_CONTAINER else given["container"]
        uri = f"{given['scheme']}://{container}/{given['key']}"
        ends, _, signed = given["grant"].partition("-")
        if not hmac.compare_digest(self._signature(uri, ends).encode(), signed.encode()):
            return PlainTextResponse("the signature does not fit this request\n", status_code=403)
        if int(ends) <= self._clock():
            return PlainTextResponse("the address has expired\n", status_code=403)
        if given["scheme"] == "file":
            return self._content(f"/{given['key']}")
        try:
            elsewhere = await self._blobs.sign("GET", uri, SENT_ON_FOR)
        except ElevonError as error:
            status = 503 if isinstance(error, Unavailable) else 404
            return PlainTextResponse(f"{error.message}\n", status_code=status, headers=SAFE_HEADERS)
        if elsewhere is None:
            return PlainTextResponse("nobody can read it from here\n", status_code=404)
        return RedirectResponse(elsewhere, status_code=302, headers=SAFE_HEADERS)

    def _content(self, path: str) -> Response:
        whole = os.path.realpath(path)
        if not any(whole.startswith(folder.rstrip("/") + "/") for folder in self._folders) or not os.path.isfile(whole):
            return PlainTextResponse("there is no such file\n", status_code=404)
        return FileResponse(whole, media_type="application/octet-stream", headers=SAFE_HEADERS)

    def _signature(self, uri: str, ends: str) -> str:
        return signature(self._key(), METHOD, uri, ends)
