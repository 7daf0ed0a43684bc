"""Uploads and downloads that go past the services: what clients may write and read, and for how long."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from elevon_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from elevon_core.identifiers import validate_part
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobNotFound, BlobStore, join
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from elevon_admin.domain.executions import StoredNode, StoredTaskExecution
from elevon_admin.domain.flyte_urls import ArtifactKind, FlyteUrl, parse_flyte_url
from elevon_admin.domain.sayable import check_duration
from elevon_admin.domain.times import duration_nanoseconds
from elevon_admin.execution_ports import UrlSigner
from elevon_admin.ports import Clock
from elevon_admin.usecases.execution_data import ExecutionData
from elevon_admin.usecases.execution_queries import ExecutionQueries
from elevon_admin.usecases.links import LOCAL, Links

_MD5_BYTES = 16
COMPARED_AT_ONCE = 2
"""Files whose content is compared with a promised MD5 at the same time; each is read as a whole."""


@dataclass(frozen=True, slots=True)
class DataProxySettings:
    """Where uploads go and how long their URLs may live."""

    base: str
    upload_prefix: str = ""
    longest_upload: timedelta = timedelta(hours=1)


class DataProxy:
    """Hands out URLs."""

    def __init__(
        self,
        signer: UrlSigner,
        links: Links,
        blobs: BlobStore,
        queries: ExecutionQueries,
        data: ExecutionData,
        settings: DataProxySettings,
        clock: Clock,
        randomness: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self._signer = signer
        self._links = links
        self._blobs = blobs
        self._queries = queries
        self._data = data
        self._settings = settings
        self._clock = clock
        self._randomness = randomness
        self._comparing = asyncio.Semaphore(COMPARED_AT_ONCE)

    async def upload_location(self, request: admin.CreateUploadLocationRequest) -> admin.CreateUploadLocationResponse:
        """A URL to PUT one file to.

        Raises InvalidArgument, and AlreadyExists when the named file is there with other content.
        """
        folder = _checked_upload(request)
        expires = _lifetime(request, self._settings.longest_upload)
        filename = request.filename or self._randomness(10)
        place = (request.org, request.project, request.domain, folder, filename)
        uri = join(self._settings.base, self._settings.upload_prefix, *place)
        if request.filename and request.filename_root:
            await self._check_unclaimed(uri, request.content_md5)
        headers = {}
        if request.content_md5:
            headers["Content-MD5"] = base64.b64encode(request.content_md5).decode()
        if uri.startswith(("az://", "azure://", "abfs://", "abfss://")):
            headers["x-ms-blob-type"] = "BlockBlob"
        return admin.CreateUploadLocationResponse(
            signed_url=await self._signer.sign("PUT", uri, expires, headers),
            native_url=uri.removeprefix(LOCAL),
            expires_at=self._end_of(expires),
            headers=headers,
        )

    async def download_location(
        self, request: admin.CreateDownloadLocationRequest
    ) -> admin.CreateDownloadLocationResponse:
        """A URL to GET an object from; only what belongs to this installation is signed, else InvalidArgument."""
        if not request.native_url:
            raise InvalidArgument.missing("native_url")
        expires = _lifetime(request, self._links.longest)
        url = await self._links.to(request.native_url, expires)
        if url is None:
            rule = "it is not within the storage of this installation"
            raise InvalidArgument.invalid("native_url", request.native_url, rule)
        return admin.CreateDownloadLocationResponse(signed_url=url, expires_at=self._end_of(expires))

    async def download_link(self, request: admin.CreateDownloadLinkRequest) -> admin.CreateDownloadLinkResponse:
        """A URL to GET a node's deck from; InvalidArgument for an unknown node, NotFound when it has no deck."""
        if request.artifact_type != admin.ARTIFACT_TYPE_DECK:
            raise InvalidArgument.invalid("artifact_type", request.artifact_type, "only DECK can be downloaded")
        if not request.HasField("node_execution_id"):
            raise InvalidArgument.missing("node_execution_id")
        expires = _lifetime(request, self._links.longest)
        try:
            urls = await self._deck(request.node_execution_id, expires)
        except _NoSuchNode as error:
            raise InvalidArgument(error.message) from error
        response = admin.CreateDownloadLinkResponse(pre_signed_urls=urls, signed_url=urls.signed_url)
        response.expires_at.CopyFrom(urls.expires_at)
        return response

    async def get(self, request: admin.GetDataRequest) -> admin.GetDataResponse:
        """What a `flyte://` URL names.

        Raises InvalidArgument for what cannot be named so, NotFound for no node, ResourceExhausted for too much.
        """
        if not request.flyte_url:
            raise InvalidArgument.missing("flyte_url")
        url = parse_flyte_url(request.flyte_url)
        if url.kind is ArtifactKind.DECK:
            deck = await self._deck(url.node.identifier(), self._links.longest)
            return admin.GetDataResponse(pre_signed_urls=deck)
        literals = await self._values(url, request.flyte_url)
        if not url.name:
            return admin.GetDataResponse(literal_map=literals)
        if url.name not in literals.literals:
            known = ", ".join(sorted(literals.literals)) or "none"
            raise InvalidArgument.invalid("flyte_url", request.flyte_url, f"no literal {url.name} (there are: {known})")
        return admin.GetDataResponse(literal=literals.literals[url.name])

    async def _values(self, url: FlyteUrl, given: str) -> core.LiteralMap:
        found: StoredNode | StoredTaskExecution | None
        if url.attempt is None:
            found = await self._queries.node(url.node.identifier())
        else:
            found = await self._queries.attempt(url.node, url.attempt)
        if found is None:
            raise InvalidArgument.invalid("flyte_url", url.attempt, f"{url.node} has no such attempt")
        return await self._data.values(found.inputs if url.kind is ArtifactKind.INPUTS else found.outputs, given)

    async def _deck(self, identifier: core.NodeExecutionIdentifier, expires: timedelta) -> admin.PreSignedURLs:
        try:
            node = await self._queries.node(identifier)
        except NotFound as error:
            raise _NoSuchNode(error.message) from error
        if not node.closure.deck_uri:
            raise NotFound(f"no deckUrl found for request {node.key}")
        url = await self._links.to(node.closure.deck_uri, expires)
        if url is None:
            where = f"the deck of {node.key} is at {node.closure.deck_uri}"
            raise FailedPrecondition(f"{where}, which is not within the storage of this installation")
        if await self._blobs.size(node.closure.deck_uri) is None:
            raise NotFound(f"object not found: the deck of {node.key}")
        return admin.PreSignedURLs(signed_url=[url], expires_at=self._end_of(expires))

    async def _check_unclaimed(self, uri: str, content_md5: bytes) -> None:
        """A file that is there may be uploaded again only with the content it has."""
        if await self._blobs.size(uri) is None:
            return
        if content_md5:
            async with self._comparing:
                if await self._has(uri, content_md5):
                    return
        raise AlreadyExists(f"{uri} exists, and not with the content that is to be uploaded")

    async def _has(self, uri: str, content_md5: bytes) -> bool:
        """Whether a file has this content, or is gone since."""
        try:
            return await self._blobs.has_md5(uri, content_md5)
        except BlobNotFound:
            return True

    def _end_of(self, expires: timedelta) -> Timestamp:
        end = Timestamp()
        end.FromNanoseconds(self._clock() + int(expires.total_seconds() * 1_000_000_000))
        return end


class _NoSuchNode(NotFound):
    """The node that a deck was asked of does not exist."""


def _checked_upload(request: admin.CreateUploadLocationRequest) -> str:
    """The folder of an upload: the given one, else one named after the content."""
    validate_part(request.project, "project")
    validate_part(request.domain, "domain")
    if not request.content_md5 and not request.filename_root:
        raise InvalidArgument("content_md5 or filename_root is required to create an upload location")
    if request.content_md5 and len(request.content_md5) != _MD5_BYTES:
        raise InvalidArgument.invalid("content_md5", request.content_md5.hex(), f"must have {_MD5_BYTES} bytes")
    for field, value in (("org", request.org), ("project", request.project), ("domain", request.domain)):
        if value:
            _check_segments(field, value, most=1)
    for field, value in (("filename", request.filename), ("filename_root", request.filename_root)):
        if value:
            _check_segments(field, value, most=16)
    return request.filename_root or base64.b32encode(request.content_md5).decode()


def _check_segments(field: str, value: str, most: int) -> None:
    """Raise InvalidArgument for a name that could lead out of its folder."""
    segments = value.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise InvalidArgument.invalid(field, value, "must not have empty, '.' or '..' segments")
    if len(segments) > most:
        raise InvalidArgument.invalid(field, value, f"has {len(segments)} segments, at most {most} are allowed")
    if "\\" in value or not value.isprintable():
        raise InvalidArgument.invalid(field, value, "must not hold backslashes or control characters")
    if any(len(segment.encode()) > 255 for segment in segments):
        raise InvalidArgument.invalid(field, value, "a segment may have at most 255 bytes")


_Expiring = admin.CreateUploadLocationRequest | admin.CreateDownloadLocationRequest | admin.CreateDownloadLinkRequest


def _lifetime(request: _Expiring, longest: timedelta) -> timedelta:
    """How long a URL is to live: the longest time unless the request asks for less; 0 asks for nothing."""
    if not request.HasField("expires_in"):
        return longest
    asked: Duration = request.expires_in
    check_duration(asked, "expires_in")
    most = longest // timedelta(microseconds=1) * 1_000
    if not 0 <= duration_nanoseconds(asked) <= most:
        rule = f"must be at least 0 and at most {longest.total_seconds():g} seconds"
        raise InvalidArgument.invalid("expires_in", asked.ToJsonString(), rule)
    if duration_nanoseconds(asked) == 0:
        return longest
    return max(asked.ToTimedelta(), timedelta(microseconds=1))
