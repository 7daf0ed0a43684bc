"""Calls of a gRPC server's methods from inside its process: the same wrapper, bytes in and bytes out, no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NoReturn, cast

import grpc
from elevon_core.errors import ElevonError, Unimplemented

from elevon_kit import grpc_status
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.grpc_status import Trailers

Metadata = tuple[tuple[str, str | bytes], ...]
Unary = Callable[[bytes, grpc.aio.ServicerContext[Any, Any]], Awaitable[bytes]]


class CallFailed(Exception):
    """A call ended with a status other than OK; `trailers` hold the details, as they travel over gRPC."""

    def __init__(self, code: grpc.StatusCode, message: str, trailers: Trailers = ()) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.trailers = trailers

    @classmethod
    def of(cls, error: ElevonError) -> CallFailed:
        """The failure that a call which raises the error ends with."""
        return cls(*grpc_status.to_status(error))


class LocalCalls:
    """Calls what a server serves, also before it listens and after it stopped."""

    def __init__(self, server: GrpcServer) -> None:
        self._server = server

    async def call(self, path: str, request: bytes, metadata: Metadata = (), peer: str = "local") -> bytes:
        """Call a unary method by its path, such as `/elevon.admin.v1.AdminService/GetTask`; raises CallFailed.

        The call has a task of its own, as every RPC has: what it binds to its log lines stays with it.
        """
        handler = self._server.handler(path)
        unary = cast(Unary | None, getattr(handler, "unary_unary", None))
        if unary is None:
            raise CallFailed.of(Unimplemented(f"{path} is not served here"))
        context = LocalContext(metadata, peer)
        try:
            answer = await asyncio.create_task(_run(unary, request, context), name=path)
        except LocalAbort as ended:
            raise CallFailed(ended.code, ended.message, ended.trailers) from None
        if context.code() is not grpc.StatusCode.OK:
            raise CallFailed(context.code(), context.details())
        return answer


async def _run(unary: Unary, request: bytes, context: LocalContext) -> bytes:
    return await unary(request, context)


class LocalAbort(grpc.aio.AbortError):
    """How a method ends a call in between; carries the status to the caller."""

    def __init__(self, code: grpc.StatusCode, message: str, trailers: Trailers) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.trailers = trailers


class LocalContext(grpc.aio.ServicerContext[Any, Any]):
    """What a method can know of a call from inside the process, and tell about it."""

    def __init__(self, metadata: Metadata, peer: str) -> None:
        self._metadata = metadata
        self._peer = peer
        self._code = grpc.StatusCode.OK
        self._details = ""
        self._trailers: Trailers = ()

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        """End the call."""
        self._code, self._details = code, details
        raise LocalAbort(code, details, tuple(trailing_metadata) or self._trailers)

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with a status that is ready."""
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    def invocation_metadata(self) -> Any:
        """The caller's metadata."""
        return self._metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """Note the code that the call ends with."""
        self._code = code

    def set_details(self, details: str) -> None:
        """Note the message that the call ends with."""
        self._details = details

    def code(self) -> grpc.StatusCode:
        """The code noted; OK unless told otherwise."""
        return self._code

    def details(self) -> str:
        """The message noted."""
        return self._details

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """Note trailers; they reach the caller with a failure."""
        self._trailers = tuple(trailing_metadata)

    def trailing_metadata(self) -> Any:
        """The trailers noted."""
        return self._trailers

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        """There is nothing to send: the caller reads no metadata of an answer."""

    def set_compression(self, compression: grpc.Compression) -> None:
        """There is nothing to compress."""

    def disable_next_message_compression(self) -> None:
        """There is nothing to compress."""

    def peer(self) -> str:
        """Who calls."""
        return self._peer

    def peer_identities(self) -> Iterable[bytes] | None:
        """None: a call from inside shows no certificate."""
        return None

    def peer_identity_key(self) -> str | None:
        """None: a call from inside shows no certificate."""
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Empty: a call from inside shows no certificate."""
        return {}

    def time_remaining(self) -> float | None:  # type: ignore[override]  # None is what a call without a deadline has
        """None: the caller's own patience is the deadline."""
        return None

    async def read(self) -> Any:
        """End the call: only unary methods are called from inside."""
        await self.abort(grpc.StatusCode.UNIMPLEMENTED, "only unary methods can be called from inside the process")

    async def write(self, message: Any) -> None:
        """End the call: only unary methods are called from inside."""
        await self.abort(grpc.StatusCode.UNIMPLEMENTED, "only unary methods can be called from inside the process")
