"""What the headers of a request become: metadata of the call, and the id that the request goes by."""

from __future__ import annotations

import base64
import binascii
import re
import secrets

from elevon_core.errors import InvalidArgument
from elevon_kit.grpc_local import Metadata
from starlette.datastructures import Headers

REQUEST_ID = "x-request-id"
GIVEN_ID = re.compile(r"[!-~]{1,128}")
METADATA_PREFIX = "grpc-metadata-"
GATEWAY_PREFIX = "grpcgateway-"
BINARY_SUFFIX = "-bin"

FORWARDED = frozenset({"authorization", "x-forwarded-for", "x-forwarded-host", "traceparent", "tracestate"})
"""Passed under their own names."""

PERMANENT = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-language",
        "accept-ranges",
        "authorization",
        "cache-control",
        "content-type",
        "cookie",
        "date",
        "expect",
        "from",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-schedule-tag-match",
        "if-unmodified-since",
        "max-forwards",
        "origin",
        "pragma",
        "referer",
        "user-agent",
        "via",
        "warning",
    }
)
"""Passed with GATEWAY_PREFIX."""


def request_id(headers: Headers) -> str:
    """Answer the id that the caller gave, or a new one when it gave none or one that is no plain text."""
    given = headers.get(REQUEST_ID, "")
    return given if GIVEN_ID.fullmatch(given) else secrets.token_hex(8)


def call_metadata(headers: Headers, identity: str) -> Metadata:
    """Answer the metadata of the call; raises InvalidArgument for a binary header that is not base64."""
    metadata: list[tuple[str, str | bytes]] = [(REQUEST_ID, identity)]
    for name, value in headers.items():
        if name in PERMANENT:
            metadata.append((GATEWAY_PREFIX + name, value))
        if name in FORWARDED:
            metadata.append((name, value))
        elif name.startswith(METADATA_PREFIX):
            metadata.append(_given(name, value))
    return tuple(metadata)


def _given(header: str, value: str) -> tuple[str, str | bytes]:
    name = header.removeprefix(METADATA_PREFIX)
    if not name.endswith(BINARY_SUFFIX):
        return name, value
    plain = value.rstrip("=")
    try:
        return name, base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise InvalidArgument.invalid(header, value, "it must be base64") from None
