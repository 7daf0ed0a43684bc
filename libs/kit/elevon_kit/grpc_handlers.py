"""One wrapper around every method of every servicer: bytes in, bytes out, and everything that all RPCs share between.

A wrapped call parses the request itself, so that bytes which are no message are the caller's error; it turns exceptions
into statuses, writes the canonical log line, records the span and the measurements.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import grpc
from elevon_core.errors import DeadlineExceeded, ElevonError, Internal, InvalidArgument, Unavailable, Unimplemented
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from opentelemetry import trace
from opentelemetry.context import attach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from elevon_kit import grpc_status, telemetry
from elevon_kit.grpc_limits import CallLimits, Place, Refused
from elevon_kit.grpc_subjects import Subject, subject_of
from elevon_kit.logging import bind, get_logger
from elevon_kit.settings import LimitSettings

log = get_logger("rpc")

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Any]

QUIET_PREFIXES = ("/grpc.health.v1.", "/grpc.reflection.")
"""Asked every few seconds by machines; logged at level debug."""

WARNED = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNKNOWN", "DATA_LOSS"})


@dataclass(slots=True)
class Call:
    """What the canonical line says about one RPC."""

    method: str
    started: float
    request_bytes: int = 0
    response_bytes: int = 0
    code: str = "OK"
    error: str = ""
    reference: str = ""
    subject: Subject | None = None
    span: Span | None = None
    place: Place | None = None
    refused: bool = False
    finished: bool = False


class MethodHandlers:
    """Makes the gRPC handlers for the methods of servicers, and counts what passes through them.

    While `refusing`, calls are answered UNAVAILABLE; those that machines ask about the service's health are not.
    """

    def __init__(self, limits: LimitSettings | None = None) -> None:
        self.refusing = False
        self.limits = CallLimits(limits or LimitSettings())
        meter = telemetry.meter()
        self._durations = meter.create_histogram("rpc.server.duration", "s", "Time from request to answer")
        self._metrics = telemetry.metrics_enabled()

    def for_method(self, path: str, method: MethodDescriptor, servicer: object) -> grpc.RpcMethodHandler[Any, Any]:
        """Wrap a servicer's method; one that the servicer does not override answers UNIMPLEMENTED.

        Raises Internal when the method is not a coroutine or an asynchronous generator as its kind demands.
        """
        wrapped = WrappedMethod(path, method, _behaviour(path, method, servicer), self)
        if method.client_streaming and method.server_streaming:
            return grpc.stream_stream_rpc_method_handler(wrapped.stream_stream)
        if method.client_streaming:
            return grpc.stream_unary_rpc_method_handler(wrapped.stream_unary)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(wrapped.unary_stream)
        return grpc.unary_unary_rpc_method_handler(wrapped.unary_unary)

    def finish(self, call: Call) -> None:
        """Give back its place, write the canonical line and the measurement of a call that is over, once."""
        if call.place is not None:
            self.limits.leave(call.place)
            call.place = None
        if call.finished:
            return
        call.finished = True
        seconds = perf_counter() - call.started
        if call.span is not None:
            end_span(call.span, call)
        if self._metrics:
            self._durations.record(seconds, {"rpc.method": call.method, "rpc.grpc.status_code": call.code})
        write_line(call, seconds)


def write_line(call: Call, seconds: float) -> None:
    """Write the canonical line of a call, at the level that its end deserves."""
    fields = {"method": call.method, "code": call.code, "ms": round(seconds * 1000, 3)}
    fields |= {"request_bytes": call.request_bytes, "response_bytes": call.response_bytes}
    if call.subject:
        fields |= call.subject
    if call.error:
        fields["error"] = call.error
    if call.reference:
        fields["reference"] = call.reference
    if call.code == "INTERNAL":
        log.error("rpc", **fields)
    elif call.refused or call.method.startswith(QUIET_PREFIXES):
        log.debug("rpc", **fields)
    elif call.code in WARNED:
        log.warning("rpc", **fields)
    else:
        log.info("rpc", **fields)


class WrappedMethod:
    """One method of one servicer, in the four shapes that gRPC knows."""

    def __init__(self, path: str, method: MethodDescriptor, behaviour: Behaviour, handlers: MethodHandlers) -> None:
        self._path = path
        self._limits = None if path.startswith(QUIET_PREFIXES) else handlers.limits
        self._behaviour = behaviour
        self._handlers = handlers
        self._request_type = message_factory.GetMessageClass(method.input_type)
        self._response_type = message_factory.GetMessageClass(method.output_type)
        self._subject = subject_of(method.input_type)

    async def unary_unary(self, raw: bytes, context: Context) -> bytes:
        """Serve one request with one answer."""
        call = Call(self._path, perf_counter(), len(raw), span=begin_span(self._path, context))
        try:
            return await self._answer(raw, context, call)
        except BaseException as error:
            await self._fail(error, context, call)
            raise
        finally:
            self._handlers.finish(call)

    async def _answer(self, raw: bytes, context: Context, call: Call) -> bytes:
        if self._limits is None:
            return await self._work(raw, context, call)
        call.place = await self._limits.enter(context)
        return await self._limits.work(call.place, self._work(raw, context, call))

    async def _work(self, raw: bytes, context: Context, call: Call) -> bytes:
        request = self._received(raw)
        self._note_subject(request, call)
        answer = self._encode(await self._behaviour(request, context))
        call.response_bytes = len(answer)
        return answer

    def _note_subject(self, request: Message, call: Call) -> None:
        """Put what the request is about on every line of this RPC, which has a task, and so a context, of its own."""
        if self._subject is not None:
            call.subject = self._subject(request)
            bind(**call.subject)

    async def unary_stream(self, raw: bytes, context: Context) -> AsyncIterator[bytes]:
        """Serve one request with a stream of answers."""
        call = Call(self._path, perf_counter(), len(raw), span=begin_span(self._path, context))
        try:
            if self._limits is not None:
                call.place = await self._limits.enter(context, stream=True)
            request = self._received(raw)
            self._note_subject(request, call)
            async for response in self._behaviour(request, context):
                yield self._counted(response, call)
        except BaseException as error:
            await self._fail(error, context, call)
            raise
        finally:
            self._handlers.finish(call)

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        """Serve a stream of requests with one answer."""
        call = Call(self._path, perf_counter(), span=begin_span(self._path, context))
        try:
            if self._limits is not None:
                call.place = await self._limits.enter(context, stream=True)
            return self._counted(await self._behaviour(self._parsed(requests, call), context), call)
        except BaseException as error:
            await self._fail(error, context, call)
            raise
        finally:
            self._handlers.finish(call)

    async def stream_stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        """Serve a stream of requests with a stream of answers."""
        call = Call(self._path, perf_counter(), span=begin_span(self._path, context))
        try:
            if self._limits is not None:
                call.place = await self._limits.enter(context, stream=True)
            async for response in self._behaviour(self._parsed(requests, call), context):
                yield self._counted(response, call)
        except BaseException as error:
            await self._fail(error, context, call)
            raise
        finally:
            self._handlers.finish(call)

    async def _parsed(self, requests: AsyncIterator[bytes], call: Call) -> AsyncIterator[Message]:
        async for raw in requests:
            call.request_bytes += len(raw)
            yield self._parse(raw)

    async def _fail(self, error: BaseException, context: Context, call: Call) -> None:
        """End the RPC with the status that belongs to the error; cancellation and a status already given pass."""
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            call.code = "CANCELLED"
            return
        if isinstance(error, grpc.aio.AbortError):
            call.code = _code_name(context)
            return
        call.refused = isinstance(error, Refused)
        code, message, trailers = grpc_status.to_status(_known(error, call))
        call.code, call.error = code.name, message[:500]
        self._handlers.finish(call)  # the line is written before the caller knows
        await context.abort(code, message, trailers)

    def _received(self, raw: bytes) -> Message:
        """The request of a call that begins."""
        if self._handlers.refusing and not self._path.startswith(QUIET_PREFIXES):
            raise Unavailable("the service is about to stop; try again")
        return self._parse(raw)

    def _parse(self, raw: bytes) -> Message:
        try:
            return self._request_type.FromString(raw)
        except DecodeError:
            name = self._request_type.DESCRIPTOR.full_name
            raise InvalidArgument(f"invalid request: {len(raw)} bytes are not a {name} message") from None

    def _counted(self, response: Message, call: Call) -> bytes:
        answer = self._encode(response)
        call.response_bytes += len(answer)
        return answer

    def _encode(self, response: Message) -> bytes:
        if not isinstance(response, self._response_type):
            raise Internal(f"{self._path} answered with {type(response).__name__}")
        return response.SerializeToString()


def _known(error: BaseException, call: Call) -> ElevonError:
    if isinstance(error, ElevonError) and not isinstance(error, Internal):
        return error
    if isinstance(error, TimeoutError):
        return DeadlineExceeded(str(error) or "the operation took too long")
    call.reference = secrets.token_hex(6)
    log.error("unexpected error", method=call.method, reference=call.reference, exc_info=error)
    return Internal(f"internal error, reference {call.reference}")


def _code_name(context: Context) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else str(code)


def begin_span(path: str, context: Context) -> Span | None:
    """Start the span of an RPC as a child of the caller's, which comes in its metadata; None while tracing is off.

    It stays the current span of the RPC's task, which ends with the RPC.
    """
    if not telemetry.tracing_enabled():
        return None
    parent = telemetry.extract(context.invocation_metadata() or ())
    service, _, method = path.strip("/").partition("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    span = telemetry.tracer().start_span(path.strip("/"), context=parent, kind=SpanKind.SERVER, attributes=attributes)
    attach(trace.set_span_in_context(span))
    return span


def end_span(span: Span, call: Call) -> None:
    """Note how the RPC ended; what the caller did wrong is no error of this side."""
    span.set_attribute("rpc.grpc.status_code", call.code)
    if call.code in WARNED or call.code == "INTERNAL":
        span.set_status(Status(StatusCode.ERROR, call.error))
    span.end()


def _behaviour(path: str, method: MethodDescriptor, servicer: object) -> Behaviour:
    given = getattr(type(servicer), method.name, None)
    if given is None or given is inherited(type(servicer), method.containing_service, method.name):
        return _unavailable(path, method)
    behaviour: Behaviour = getattr(servicer, method.name)
    fits = inspect.isasyncgenfunction(behaviour) if method.server_streaming else inspect.iscoroutinefunction(behaviour)
    if not fits:
        wanted = "an asynchronous generator" if method.server_streaming else "a coroutine function"
        raise Internal(f"{type(servicer).__name__}.{method.name} must be {wanted}")
    return behaviour


def inherited(servicer: type, service: Any, method: str) -> object:
    """Answer the function that the generated base class has for a method, or None without such a base."""
    for base in servicer.__mro__:
        if base.__module__.endswith("_pb2_grpc") and base.__name__ == f"{service.name}Servicer":
            return getattr(base, method, None)
    return None


def _unavailable(path: str, method: MethodDescriptor) -> Behaviour:
    message = f"{path} is not available in this version of Elevon"

    async def refuse(_request: object, _context: Context) -> Message:
        raise Unimplemented(message)

    async def refuse_stream(_request: object, _context: Context) -> AsyncIterator[Message]:
        raise Unimplemented(message)
        yield  # makes this a generator, as the method's kind demands

    return refuse_stream if method.server_streaming else refuse
