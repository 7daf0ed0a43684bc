"""The one place where kinds of errors meet gRPC status codes, in both directions."""

from __future__ import annotations

import grpc
from elevon_core import errors
from elevon_core.errors import ElevonError, ErrorKind
from elevon_idl.names import ORIGINAL_PACKAGES, pack_detail
from google.protobuf import any_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

STATUS_OF_KIND: dict[ErrorKind, grpc.StatusCode] = {
    ErrorKind.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    ErrorKind.FAILED_PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    ErrorKind.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    ErrorKind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorKind.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorKind.CANCELLED: grpc.StatusCode.CANCELLED,
    ErrorKind.UNIMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    ErrorKind.INTERNAL: grpc.StatusCode.INTERNAL,
}

ERROR_OF_STATUS: dict[grpc.StatusCode, type[ElevonError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidArgument,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPrecondition,
    grpc.StatusCode.ABORTED: errors.Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.ResourceExhausted,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.CANCELLED: errors.Cancelled,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unimplemented,
    grpc.StatusCode.INTERNAL: errors.Internal,
    grpc.StatusCode.DATA_LOSS: errors.Internal,
    grpc.StatusCode.UNKNOWN: errors.Internal,
}
"""What a status code from another service means here; codes of ours come back as the kind they were sent for."""

ERROR_OF_NUMBER: dict[int, type[ElevonError]] = {code.value[0]: kind for code, kind in ERROR_OF_STATUS.items()}
"""The same by the numbers of the codes, for answers that carry errors of their parts."""

OF_THE_OTHER = (errors.Unavailable, errors.DeadlineExceeded, errors.Internal, errors.Unimplemented)
"""Errors that are about the other service rather than about what it was asked for: their messages name it."""

MESSAGE_LIMIT = 7 * 1024
MESSAGE_LIMIT_WITH_DETAILS = 3 * 1024
"""Bytes of an encoded message. A client that sets no metadata limit starts to refuse trailers at 8 KiB, and with
details the message travels twice."""

DETAILS_KEY = "grpc-status-details-bin"
OUR_PACKAGES = {original: ours for ours, original in ORIGINAL_PACKAGES.items() if ours != "elevon.connector.v1"}

Trailers = tuple[tuple[str, str | bytes], ...]


def to_status(error: ElevonError) -> tuple[grpc.StatusCode, str, Trailers]:
    """Answer code, message and trailing metadata for an error; the message is cut to what every client accepts."""
    code = STATUS_OF_KIND[error.kind]
    if not error.details:
        return code, cut(error.message, MESSAGE_LIMIT), ()
    from google.rpc import status_pb2  # type: ignore[import-untyped]  # googleapis ships no type information

    message = cut(error.message, MESSAGE_LIMIT_WITH_DETAILS)
    status = status_pb2.Status(code=code.value[0], message=message, details=map(pack_detail, error.details))
    return code, message, ((DETAILS_KEY, status.SerializeToString()),)


def from_call(error: grpc.aio.AioRpcError, where: str) -> ElevonError:
    """Turn a failed call into the error of its kind, naming `where` it came from; details are unpacked."""
    kind = ERROR_OF_STATUS.get(error.code(), errors.Internal)
    message = _placed(kind, error.details() or error.code().name, where)
    return kind(message, details=unpack_details(error.trailing_metadata()))


def to_number(error: ElevonError) -> int:
    """Answer the number of an error's status code, for answers that carry errors of their parts."""
    number: int = STATUS_OF_KIND[error.kind].value[0]
    return number


def from_number(number: int, message: str, where: str) -> ElevonError:
    """Turn such a number back into the error of its kind, as `from_call` does; one that is not known is Internal."""
    kind = ERROR_OF_NUMBER.get(number, errors.Internal)
    return kind(_placed(kind, message, where))


def _placed(kind: type[ElevonError], message: str, where: str) -> str:
    return f"{where}: {message}" if kind in OF_THE_OTHER else message


def unpack_details(metadata: grpc.aio.Metadata | None) -> list[Message]:
    """Answer the details that a status carries, as messages of ours; what is not known is left out."""
    raw = metadata.get(DETAILS_KEY) if metadata is not None else None
    if raw is None:
        return []
    from google.rpc import status_pb2

    try:
        status = status_pb2.Status.FromString(raw if isinstance(raw, bytes) else raw.encode())
        unpacked = [_unpack(detail) for detail in status.details]
    except DecodeError:
        return []
    return [message for message in unpacked if message is not None]


def _unpack(detail: any_pb2.Any) -> Message | None:
    package, _, name = detail.type_url.rpartition("/")[2].rpartition(".")
    full_name = f"{OUR_PACKAGES.get(package, package)}.{name}"
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(full_name)
    except KeyError:
        return None
    message: Message = message_factory.GetMessageClass(descriptor).FromString(detail.value)
    return message


def cut(message: str, limit: int) -> str:
    """Shorten a message so that its percent-encoded form, which is what travels, has at most `limit` bytes."""
    if len(message) * 12 <= limit:  # no character takes more than four bytes of three letters each
        return message
    size = 0
    for index, character in enumerate(message):
        size += 1 if " " <= character <= "~" and character != "%" else 3 * len(character.encode("utf-8", "replace"))
        if size > limit - 12:
            return message[:index] + "…"
    return message
