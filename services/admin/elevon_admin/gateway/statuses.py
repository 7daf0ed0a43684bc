"""How a call that failed is told over HTTP."""

from __future__ import annotations

import json
import math

import grpc
from elevon_idl.names import pack_detail
from elevon_kit.grpc_local import CallFailed
from elevon_kit.grpc_status import DETAILS_KEY, unpack_details

from elevon_admin.gateway.json_form import to_document
from elevon_admin.gateway.marshalers import JsonMarshaler, Marshaler

HTTP_CODES = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
}


def error_body(failure: CallFailed, marshaler: Marshaler) -> bytes:
    """Answer a google.rpc.Status in the encoding of the answer, details included."""
    if isinstance(marshaler, JsonMarshaler):
        return json.dumps(_document(failure, marshaler), ensure_ascii=False).encode()
    for key, value in failure.trailers:
        if key == DETAILS_KEY and isinstance(value, bytes):
            return value
    from google.rpc import status_pb2  # type: ignore[import-untyped]  # googleapis ships no type information

    status: bytes = status_pb2.Status(code=failure.code.value[0], message=failure.message).SerializeToString()
    return status


def _document(failure: CallFailed, marshaler: JsonMarshaler) -> dict[str, object]:
    details = [
        {"@type": pack_detail(detail).type_url, **to_document(detail, marshaler.name)}
        for detail in unpack_details(grpc.aio.Metadata(*failure.trailers))
    ]
    return {"code": failure.code.value[0], "message": failure.message, "details": details}


def error_headers(failure: CallFailed) -> dict[str, str]:
    """Answer what a browser has to know besides the body, and when to come back after a limit was met."""
    if failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _retry_after(failure)
    if failure.code is not grpc.StatusCode.UNAUTHENTICATED:
        return {}
    one_line = " ".join(failure.message.split())
    return {"WWW-Authenticate": one_line.encode("ascii", "replace").decode()}


def _retry_after(failure: CallFailed) -> dict[str, str]:
    """When to come back, in whole seconds; nothing when coming back would not help."""
    for detail in unpack_details(grpc.aio.Metadata(*failure.trailers)):
        if detail.DESCRIPTOR.full_name == "google.rpc.RetryInfo":
            delay = detail.retry_delay  # type: ignore[attr-defined]  # the type is told by its name
            return {"Retry-After": str(max(1, math.ceil(delay.seconds + delay.nanos / 1e9)))}
    return {}
