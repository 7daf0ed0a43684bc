"""Traces and metrics by OpenTelemetry; until `configure_telemetry` turns them on, everything here does almost nothing.

One trace per execution: its trace id and the id of its root span are derived from the execution id, so every process
that touches the execution, and every restart, adds to the same trace without asking anyone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from elevon_kit.settings import TelemetrySettings

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

INSTRUMENTATION = "elevon"
LOW_BITS = 2**64 - 1
"""The part of a trace id that OpenTelemetry's ratio sampler looks at."""

_PROPAGATOR = TraceContextTextMapPropagator()
_next_span_id: ContextVar[int | None] = ContextVar("elevon_next_span_id", default=None)
_next_trace_id: ContextVar[int | None] = ContextVar("elevon_next_trace_id", default=None)


class Telemetry:
    """What is switched on in this process, and how to flush it."""

    def __init__(self) -> None:
        self.tracing = False
        self.metrics = False
        self.sample_ratio = 1.0
        self.tracer_provider: TracerProvider | None = None
        self.meter_provider: MeterProvider | None = None

    def stop(self) -> None:
        """Send what is still held back and switch off; blocks for as long as the exporters need."""
        self.tracing = self.metrics = False
        if self.tracer_provider is not None:
            self.tracer_provider.shutdown()
        if self.meter_provider is not None:
            self.meter_provider.shutdown()
        self.tracer_provider = self.meter_provider = None


_telemetry = Telemetry()


def configure_telemetry(settings: TelemetrySettings, service: str) -> Telemetry:
    """Switch on what the settings name; the answer's `stop` belongs into the end of the process.

    Raises InvalidArgument when `traces: file` names no file.
    """
    if settings.traces == "file" and settings.traces_file is None:
        raise InvalidArgument.missing("telemetry.traces_file")
    _telemetry.stop()
    if settings.traces != "none":
        from elevon_kit import telemetry_exporters

        _telemetry.tracer_provider = telemetry_exporters.tracer_provider(settings, service)
        _telemetry.sample_ratio = settings.sample_ratio
        _telemetry.tracing = True
    if settings.metrics != "none":
        from elevon_kit import telemetry_exporters

        _telemetry.meter_provider = telemetry_exporters.meter_provider(service)
        _telemetry.metrics = True
    return _telemetry


def tracing_enabled() -> bool:
    """Tell whether spans are recorded; code on a hot path asks before it prepares attributes."""
    return _telemetry.tracing


def metrics_enabled() -> bool:
    """Tell whether measurements are kept."""
    return _telemetry.metrics


def tracer() -> trace.Tracer:
    """Answer the tracer to start spans with; one that does nothing while tracing is off."""
    if _telemetry.tracer_provider is None:
        return _NO_TRACER
    return _telemetry.tracer_provider.get_tracer(INSTRUMENTATION)


def meter() -> metrics.Meter:
    """Answer the meter to make instruments with; one that does nothing while metrics are off.

    Make instruments after `configure_telemetry`, that is in a service's `build`, not at import.
    """
    if _telemetry.meter_provider is None:
        return _NO_METER
    return _telemetry.meter_provider.get_meter(INSTRUMENTATION)


_NO_TRACER = trace.NoOpTracer()
_NO_METER = metrics.NoOpMeter(INSTRUMENTATION)


def execution_trace_context(execution_id: core.WorkflowExecutionIdentifier) -> Context:
    """Answer the context whose children belong to the execution's root span, with ids derived from the execution id.

    Whether the trace is recorded depends on its id and the sample ratio alone, so all processes decide alike.
    """
    return _remote(*execution_trace_ids(execution_id))


def span_context(execution_id: core.WorkflowExecutionIdentifier, span_id: int) -> Context:
    """Answer the context whose children belong to a span of the execution's trace that is known by its id."""
    return _remote(execution_trace_ids(execution_id)[0], span_id)


def _remote(trace_id: int, span_id: int) -> Context:
    sampled = trace_id & LOW_BITS < round(_telemetry.sample_ratio * (LOW_BITS + 1))
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    known = SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(known), Context())


def execution_trace_ids(execution_id: core.WorkflowExecutionIdentifier) -> tuple[int, int]:
    """Answer trace id (128 bits) and root span id (64 bits): the start of SHA-256 over the id's parts."""
    text = "\x00".join(("elevon-execution", execution_id.project, execution_id.domain, execution_id.name))
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1


def creation_span_id(execution_id: core.WorkflowExecutionIdentifier) -> int:
    """Answer the id of the span that begins an execution's trace, derived from the execution id."""
    text = "\x00".join(("elevon-creation", execution_id.project, execution_id.domain, execution_id.name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) or 1


def record_creation_span(
    execution_id: core.WorkflowExecutionIdentifier, *, started_nanoseconds: int, ended_nanoseconds: int
) -> None:
    """Record the root of an execution's trace, its creation, with a link to the call that asked for it."""
    if not _telemetry.tracing:
        return
    trace_id, _ = execution_trace_ids(execution_id)
    caller = trace.get_current_span().get_span_context()
    with _ids(trace_id, creation_span_id(execution_id)):
        span = tracer().start_span(
            "CreateExecution",
            context=Context(),
            kind=SpanKind.SERVER,
            attributes={"elevon.execution": execution_id.name},
            links=[trace.Link(caller)] if caller.is_valid else [],
            start_time=started_nanoseconds,
        )
    span.end(ended_nanoseconds)


def record_execution_span(
    execution_id: core.WorkflowExecutionIdentifier,
    *,
    started_nanoseconds: int,
    ended_nanoseconds: int,
    failure: str = "",
    attributes: Mapping[str, Any] | None = None,
    parent: Context | None = None,
) -> None:
    """Record an execution's span, below that of its creation, once it is over; times are nanoseconds since the epoch.

    With `parent` (the caller's context, for example of a launched child) the span gets a link to it.
    """
    if not _telemetry.tracing:
        return
    trace_id, span_id = execution_trace_ids(execution_id)
    caller = trace.get_current_span(parent).get_span_context() if parent is not None else None
    links = [trace.Link(caller)] if caller is not None and caller.is_valid else []
    with _ids(None, span_id):
        span = tracer().start_span(
            f"execution {execution_id.name}",
            context=_remote(trace_id, creation_span_id(execution_id)),
            kind=SpanKind.INTERNAL,
            attributes=dict(attributes or {}),
            links=links,
            start_time=started_nanoseconds,
        )
    if failure:
        span.set_status(Status(StatusCode.ERROR, failure))
    span.end(ended_nanoseconds)


@contextmanager
def _ids(trace_id: int | None, span_id: int) -> Iterator[None]:
    tokens = _next_trace_id.set(trace_id), _next_span_id.set(span_id)
    try:
        yield
    finally:
        _next_trace_id.reset(tokens[0])
        _next_span_id.reset(tokens[1])


def start_span_with_id(name: str, span_id: int, context: Context, **arguments: Any) -> Span:
    """Start a span whose id is known beforehand, such as an attempt's, so that a restart names the same span."""
    with _ids(None, span_id):
        return tracer().start_span(name, context=context, **arguments)


def inject(context: Context | None = None) -> list[tuple[str, str]]:
    """Answer the W3C headers (`traceparent`, `tracestate`) of a context, the current one by default; empty when off."""
    if not _telemetry.tracing:
        return []
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    return list(carrier.items())


def extract(headers: Iterable[tuple[str, str | bytes]]) -> Context:
    """Read the W3C headers out of request metadata; headers that are not well formed count as absent."""
    carrier = {
        key.lower(): value if isinstance(value, str) else value.decode("latin-1")
        for key, value in headers
        if key.lower() in ("traceparent", "tracestate")
    }
    return _PROPAGATOR.extract(carrier, Context())


def traceparent(context: Context | None = None) -> str:
    """Answer the value a task finds in its variable TRACEPARENT; empty when tracing is off."""
    return dict(inject(context)).get("traceparent", "")
