"""Uploads and downloads of local files over HTTP, for bearers of signed URLs."""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import hashlib
import os
import secrets
from pathlib import Path

import anyio
from elevon_core.errors import InvalidArgument, PermissionDenied, ResourceExhausted
from elevon_kit.logging import get_logger
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from elevon_admin.drivers.signed_urls import CONTENT_MD5, ROUTE, SAFE_HEADERS, LocalUrls

log = get_logger("data")

PENDING = ".elevon-write-"
"""How the names of unfinished uploads begin; the blob store hides such files."""


def data_routes(urls: LocalUrls, largest_upload: int) -> list[BaseRoute]:
    """PUT, GET and HEAD below ROUTE; `largest_upload` in bytes.

    200 when done; 400 for content that does not fit its MD5, 403 for what was not signed, 404, 413.
    """
    files = SignedFiles(urls, largest_upload)
    return [Route(ROUTE + "/{path:path}", files.answer, methods=["GET", "HEAD", "PUT"])]


class SignedFiles:
    """Reads and writes files below one folder."""

    def __init__(self, urls: LocalUrls, largest_upload: int) -> None:
        self._urls = urls
        self._folder = Path(urls.folder)
        self._largest = largest_upload

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        path = request.path_params["path"]
        signed_method = "GET" if request.method == "HEAD" else request.method
        try:
            md5 = self._urls.check(signed_method, path, request.query_params)
            target = self._target(path)
            if request.method == "PUT":
                return await self._put(request, target, md5)
        except PermissionDenied as error:
            return PlainTextResponse(f"{error.message}\n", status_code=403)
        except InvalidArgument as error:
            return PlainTextResponse(f"{error.message}\n", status_code=400)
        except ResourceExhausted as error:
            return PlainTextResponse(f"{error.message}\n", status_code=413)
        if not _is_file(target):
            return PlainTextResponse("there is no such file\n", status_code=404)
        return FileResponse(target, headers=SAFE_HEADERS)

    def _target(self, path: str) -> Path:
        """The file of a path; nothing leads out of the folder, whoever signed it."""
        if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
            raise PermissionDenied("the path leads out of its folder")
        target = self._folder / path
        if not target.parent.resolve().is_relative_to(self._folder.resolve()):
            raise PermissionDenied("the path leads out of its folder")
        return target

    async def _put(self, request: Request, target: Path, md5: str) -> Response:
        sent = request.headers.get(CONTENT_MD5, "")
        if md5 and sent and sent != md5:
            raise InvalidArgument.invalid(CONTENT_MD5, sent, "it is not the one that was signed")
        try:
            expected = base64.b64decode(md5 or sent, validate=True)
        except binascii.Error:
            raise InvalidArgument.invalid(CONTENT_MD5, md5 or sent, "it must be base64") from None
        pending = target.parent / f"{PENDING}{secrets.token_hex(8)}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            received = await self._receive(request, pending)
            if expected and received != expected:
                found = base64.b64encode(received).decode()
                raise InvalidArgument.invalid(CONTENT_MD5, found, f"the content does not have the MD5 {md5 or sent}")
            os.replace(pending, target)
        except ClientDisconnect:
            raise InvalidArgument("the upload broke off") from None
        except OSError as error:
            if rule := _broken_rule(error):
                raise InvalidArgument.invalid("path", request.path_params["path"], rule) from None
            log.warning("upload failed", path=str(target), reason=str(error))
            return PlainTextResponse(f"cannot be stored: {error.strerror}\n", status_code=507)
        finally:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(pending)
        return Response(status_code=200)

    async def _receive(self, request: Request, pending: Path) -> bytes:
        """Write the body to a file and answer its MD5."""
        digest = hashlib.md5(usedforsecurity=False)
        size = 0
        async with await anyio.open_file(pending, "xb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > self._largest:
                    raise ResourceExhausted(f"an upload may have at most {self._largest} bytes")
                digest.update(chunk)
                await file.write(chunk)
        return digest.digest()


def _is_file(path: Path) -> bool:
    """Also of names that are too long for one."""
    return os.path.isfile(path)


def _broken_rule(error: OSError) -> str:
    """What is wrong with a path; empty for an error of another kind."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "a part of it is a file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    return "a part of it is too long" if error.errno == errno.ENAMETOOLONG else ""
