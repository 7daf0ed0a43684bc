"""Where spans and measurements go; imported only by a process that has them switched on."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from elevon_kit import telemetry
from elevon_kit.settings import TelemetrySettings


class DerivedIds(RandomIdGenerator):
    """Random ids, but for the spans whose ids are derived from what they are about."""

    def generate_span_id(self) -> int:
        """Answer the id asked for, else a random one."""
        return telemetry._next_span_id.get() or super().generate_span_id()

    def generate_trace_id(self) -> int:
        """Answer the id asked for, else a random one."""
        return telemetry._next_trace_id.get() or super().generate_trace_id()


class FileSpanExporter(SpanExporter):
    """Appends one JSON line per span to a file, flushed with every batch."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans; a full disk costs spans, never the service."""
        lines = "".join(span.to_json(indent=None) + "\n" for span in spans)
        try:
            with self._lock:
                self._file.write(lines)
                self._file.flush()
        except (OSError, ValueError):
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


def tracer_provider(settings: TelemetrySettings, service: str) -> TracerProvider:
    """Make the provider of spans for the exporter that the settings name."""
    provider = TracerProvider(
        resource=_resource(service),
        id_generator=DerivedIds(),
        sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)),
        shutdown_on_exit=False,
    )
    if settings.traces == "console":
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
    elif settings.traces == "file" and settings.traces_file is not None:
        provider.add_span_processor(BatchSpanProcessor(FileSpanExporter(settings.traces_file)))
    elif settings.traces == "otlp":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def meter_provider(service: str) -> MeterProvider:
    """Make the provider of measurements that the Prometheus page reads."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader

    return MeterProvider(resource=_resource(service), metric_readers=[PrometheusMetricReader()], shutdown_on_exit=False)


def prometheus_page() -> tuple[bytes, str]:
    """Answer the body and content type of /metrics."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return generate_latest(), CONTENT_TYPE_LATEST


def _resource(service: str) -> Resource:
    return Resource.create({SERVICE_NAME: f"elevon-{service}"})
