"""URLs that let their bearer read or write one object for a while."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import quote, urlencode

from elevon_core.errors import InvalidArgument, PermissionDenied
from elevon_kit.blobs import BlobStore, parse

from elevon_admin.execution_ports import SignedMethod
from elevon_admin.ports import Clock

ROUTE = "/data"
"""Where admin's HTTP server answers the URLs of local files."""

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox allow-scripts",
    "Access-Control-Allow-Origin": "*",
}
"""What users uploaded must not act in the name of the console, which may share the origin; decks need their scripts."""

CONTENT_MD5 = "Content-MD5"


class LocalUrls:
    """Signs paths below a local folder, and checks what it signed: HMAC-SHA256 over method, path, end and MD5."""

    def __init__(self, folder: str, key: Callable[[], bytes], address: Callable[[], str], clock: Clock) -> None:
        self._folder = parse(folder).key.rstrip("/")
        self._key = key
        self._address = address
        self._clock = clock

    @property
    def folder(self) -> str:
        """The absolute path of the folder."""
        return "/" + self._folder

    def sign(self, method: str, uri: str, expires: timedelta, headers: Mapping[str, str]) -> str:
        """The URL of a file; raises InvalidArgument for one that is not below the folder."""
        place = parse(uri)
        if place.scheme != "file" or not place.key.startswith(self._folder + "/"):
            raise InvalidArgument.invalid("uri", uri, "only files below admin's own folder can be signed")
        path = place.key.removeprefix(self._folder + "/")
        ends = self._clock() + expires // timedelta(microseconds=1) * 1000
        md5 = headers.get(CONTENT_MD5, "")
        query = {"expires": str(ends), "signature": self._signature(method, path, str(ends), md5)}
        if md5:
            query["md5"] = md5
        return f"{self._address().rstrip('/')}{ROUTE}/{quote(path)}?{urlencode(query)}"

    def check(self, method: str, path: str, query: Mapping[str, str]) -> str:
        """The MD5 an upload must have, in base64, empty for any; raises PermissionDenied unless this was signed."""
        ends, md5 = query.get("expires", ""), query.get("md5", "")
        expected = self._signature(method, path, ends, md5)
        if not hmac.compare_digest(expected.encode(), query.get("signature", "").encode()):
            raise PermissionDenied("the signature does not fit this request")
        if int(ends) <= self._clock():
            raise PermissionDenied("the address has expired")
        return md5

    def _signature(self, method: str, path: str, ends: str, md5: str) -> str:
        return signature(self._key(), method, path, ends, md5)


def signature(key: bytes, *parts: str) -> str:
    """The HMAC-SHA256 of some texts, in hexadecimal."""
    # Lengths keep one text from passing for the end of another.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class StoreUrls:
    """The UrlSigner: object stores sign for themselves, local files are signed here."""

    def __init__(self, blobs: BlobStore, local: LocalUrls | None) -> None:
        self._blobs = blobs
        self._local = local

    async def sign(self, method: SignedMethod, uri: str, expires: timedelta, headers: Mapping[str, str]) -> str:
        """See UrlSigner; raises InvalidArgument for local files when admin serves none."""
        url = await self._blobs.sign(method, uri, expires, headers)
        if url is not None:
            return url
        if self._local is None:
            raise InvalidArgument.invalid("uri", uri, "no URL can be signed for it")
        return self._local.sign(method, uri, expires, headers)
