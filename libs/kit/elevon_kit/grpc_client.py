"""Channels to other services, and their errors as ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from elevon_core.errors import InvalidArgument

from elevon_kit import telemetry
from elevon_kit.grpc_limits import service_agent
from elevon_kit.grpc_status import from_call
from elevon_kit.settings import GrpcClientSettings


def channel(
    address: str, settings: GrpcClientSettings | None = None, arguments: Mapping[str, Any] | None = None
) -> grpc.aio.Channel:
    """Open a channel; it connects when first used and again, within two seconds, when the other side comes back.

    An address such as `ipv4:10.0.0.1:8089,10.0.0.2:8089` or `dns:///name:8089` stands for several servers, which are
    called in turn; those out of reach are left out. The trace context travels along if tracing was on when the channel
    was made. `arguments` win over those that follow from the settings; they are for services that are not ours.
    """
    settings = settings or GrpcClientSettings()
    interceptors = propagators() if telemetry.tracing_enabled() else None
    options = [*(dict(channel_options(settings)) | _balancing(address) | dict(arguments or {})).items()]
    if not settings.tls:
        return grpc.aio.insecure_channel(address, options=options, interceptors=interceptors)
    return grpc.aio.secure_channel(address, _credentials(settings), options=options, interceptors=interceptors)


def channel_options(settings: GrpcClientSettings) -> list[tuple[str, Any]]:
    """Answer the channel arguments of a client."""
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", settings.max_metadata_bytes),
        ("grpc.keepalive_time_ms", int(settings.keepalive_seconds * 1000)),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.secondary_user_agent", service_agent(settings.service_key.get_secret_value())),
    ]


def _balancing(address: str) -> dict[str, str]:
    """What makes a channel use all servers of an address that may stand for several."""
    return {"grpc.lb_policy_name": "round_robin"} if address.startswith(("ipv4:", "ipv6:", "dns:")) else {}


def _credentials(settings: GrpcClientSettings) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=_read(settings.tls_authority, "tls_authority"),
        private_key=_read(settings.tls_key, "tls_key"),
        certificate_chain=_read(settings.tls_certificate, "tls_certificate"),
    )


def _read(path: Path | None, field: str) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise InvalidArgument.invalid(field, path, f"cannot be read: {error.strerror}") from error


class translate_errors:  # noqa: N801 - a context manager reads as a verb
    """Inside, a failed call raises the ElevonError of its kind, details unpacked; `where` names the other side.

    `with translate_errors("catalog"): await stub.GetArtifact(...)`
    """

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Translate."""
        if isinstance(error, grpc.aio.AioRpcError):
            raise from_call(error, self._where) from error


Continuation = Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]]


class PropagateUnary(grpc.aio.UnaryUnaryClientInterceptor):
    """Sends the current trace context along with calls of one request and one answer."""

    async def intercept_unary_unary(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        """Add the W3C headers."""
        return await continuation(with_trace(client_call_details), request)


class PropagateStream(grpc.aio.UnaryStreamClientInterceptor):
    """Sends the current trace context along with calls that answer a stream."""

    async def intercept_unary_stream(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        """Add the W3C headers."""
        return await continuation(with_trace(client_call_details), request)


class PropagateStreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    """Sends the current trace context along with calls that send a stream."""

    async def intercept_stream_unary(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request_iterator: Any
    ) -> Any:
        """Add the W3C headers."""
        return await continuation(with_trace(client_call_details), request_iterator)


class PropagateStreamStream(grpc.aio.StreamStreamClientInterceptor):
    """Sends the current trace context along with calls that stream both ways."""

    async def intercept_stream_stream(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request_iterator: Any
    ) -> Any:
        """Add the W3C headers."""
        return await continuation(with_trace(client_call_details), request_iterator)


def propagators() -> list[grpc.aio.ClientInterceptor]:
    """Answer the interceptors for all four kinds of calls."""
    return [PropagateUnary(), PropagateStream(), PropagateStreamUnary(), PropagateStreamStream()]


def with_trace(details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
    """Answer call details whose metadata carries the current trace context."""
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    for key, value in telemetry.inject():
        metadata[key] = value
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )
