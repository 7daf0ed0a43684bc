"""Traces: ids derived from the execution, one trace across services, nothing when off."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_core.errors import InvalidArgument
from elevon_idl.connector import v1 as connector
from elevon_idl.connector.v1 import connector_service_pb2_grpc
from elevon_idl.core import v1 as core
from elevon_kit import telemetry
from elevon_kit.settings import TelemetrySettings
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

EXECUTION = core.WorkflowExecutionIdentifier(project="p", domain="d", name="n")


class Spans:
    """The file that spans go to."""

    def __init__(self, path: Path, running: telemetry.Telemetry) -> None:
        self._path = path
        self._running = running

    def read(self) -> list[dict[str, Any]]:
        """Flush and read all spans."""
        assert self._running.tracer_provider is not None
        self._running.tracer_provider.force_flush()
        return [json.loads(line) for line in self._path.read_text().splitlines()]


@pytest.fixture
def spans(tmp_path: Path) -> Iterator[Spans]:
    path = tmp_path / "traces" / "spans.jsonl"
    running = telemetry.configure_telemetry(TelemetrySettings(traces="file", traces_file=path), "catalog")
    yield Spans(path, running)
    running.stop()


def hexadecimal(number: int, digits: int) -> str:
    return f"0x{number:0{digits}x}"


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_ids_depend_on_the_execution_alone(project: str, domain: str, name: str) -> None:
    identifier = core.WorkflowExecutionIdentifier(project=project, domain=domain, name=name)
    trace_id, span_id = telemetry.execution_trace_ids(identifier)
    assert (trace_id, span_id) == telemetry.execution_trace_ids(identifier)
    assert 0 < trace_id < 2**128
    assert 0 < span_id < 2**64
    other = core.WorkflowExecutionIdentifier(project=project, domain=domain, name=name + "x")
    assert telemetry.execution_trace_ids(other) != (trace_id, span_id)


def test_nothing_happens_when_it_is_off() -> None:
    assert not telemetry.tracing_enabled()
    assert telemetry.inject() == []
    assert telemetry.traceparent(telemetry.execution_trace_context(EXECUTION)) == ""
    with telemetry.tracer().start_as_current_span("nothing") as span:
        assert not span.is_recording()
    telemetry.meter().create_counter("nothing").add(1)
    telemetry.record_execution_span(EXECUTION, started_nanoseconds=1, ended_nanoseconds=2)


def test_a_file_must_be_named() -> None:
    with pytest.raises(InvalidArgument, match=r"telemetry\.traces_file"):
        telemetry.configure_telemetry(TelemetrySettings(traces="file"), "catalog")


def test_an_execution_is_one_trace_whoever_adds_to_it(spans: Spans) -> None:
    trace_id, root_id = telemetry.execution_trace_ids(EXECUTION)
    context = telemetry.execution_trace_context(EXECUTION)
    telemetry.record_creation_span(EXECUTION, started_nanoseconds=10**18, ended_nanoseconds=10**18 + 1)
    telemetry.start_span_with_id("attempt", 77, context).end()
    telemetry.record_execution_span(
        EXECUTION, started_nanoseconds=10**18, ended_nanoseconds=10**18 + 5, failure="broken", attributes={"phase": "X"}
    )
    creation, attempt, root = spans.read()
    assert creation["parent_id"] is None
    assert creation["context"]["trace_id"] == hexadecimal(trace_id, 32)
    assert attempt["context"]["trace_id"] == root["context"]["trace_id"] == hexadecimal(trace_id, 32)
    assert attempt["context"]["span_id"] == hexadecimal(77, 16)
    assert attempt["parent_id"] == root["context"]["span_id"] == hexadecimal(root_id, 16)
    assert root["parent_id"] == creation["context"]["span_id"]
    assert root["status"] == {"status_code": "ERROR", "description": "broken"}
    assert root["attributes"] == {"phase": "X"}
    assert root["resource"]["attributes"]["service.name"] == "elevon-catalog"


def test_a_child_execution_links_to_who_launched_it(spans: Spans) -> None:
    parent = core.WorkflowExecutionIdentifier(project="p", domain="d", name="parent")
    telemetry.record_execution_span(
        EXECUTION,
        started_nanoseconds=10**18,
        ended_nanoseconds=10**18 + 1,
        parent=telemetry.execution_trace_context(parent),
    )
    (root,) = spans.read()
    parent_trace, _ = telemetry.execution_trace_ids(parent)
    assert [link["context"]["trace_id"] for link in root["links"]] == [hexadecimal(parent_trace, 32)]


def test_the_context_travels_as_w3c_headers(spans: Spans) -> None:
    context = telemetry.execution_trace_context(EXECUTION)
    trace_id, span_id = telemetry.execution_trace_ids(EXECUTION)
    headers = telemetry.inject(context)
    assert dict(headers)["traceparent"] == f"00-{trace_id:032x}-{span_id:016x}-01" == telemetry.traceparent(context)
    received = trace.get_current_span(telemetry.extract(headers)).get_span_context()
    assert (received.trace_id, received.span_id) == (trace_id, span_id)
    assert spans.read() == []


@given(st.binary(max_size=60))
def test_headers_that_mean_nothing_are_no_error(value: bytes) -> None:
    context = telemetry.extract([("traceparent", value), ("tracestate", value), ("other", "x")])
    assert isinstance(context, Context)


async def test_a_call_continues_the_callers_trace(spans: Spans, start: Any) -> None:
    running = await start()
    context = telemetry.execution_trace_context(EXECUTION)
    with telemetry.tracer().start_as_current_span("caller", context=context):
        await running.create("fine")
    server, caller = spans.read()
    assert server["name"] == "elevon.catalog.v1.DataCatalog/CreateDataset"
    assert server["kind"] == "SpanKind.SERVER"
    assert server["context"]["trace_id"] == caller["context"]["trace_id"]
    assert server["parent_id"] == caller["context"]["span_id"]
    assert server["attributes"]["rpc.method"] == "CreateDataset"
    assert server["attributes"]["rpc.grpc.status_code"] == "OK"


async def test_streams_continue_the_callers_trace(spans: Spans, start: Any) -> None:
    running = await start()
    stub = running.stub(connector_service_pb2_grpc.SyncAgentServiceStub)
    requests = [connector.ExecuteTaskSyncRequest(header=connector.CreateRequestHeader(output_prefix="a"))]
    with telemetry.tracer().start_as_current_span("caller"):
        answers = [answer async for answer in stub.ExecuteTaskSync(iter(requests))]
    assert len(answers) == 1
    server, caller = spans.read()
    assert server["parent_id"] == caller["context"]["span_id"]


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_all_spans_of_a_trace_are_sampled_alike(ratio: float, tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    settings = TelemetrySettings(traces="file", traces_file=path, sample_ratio=ratio)
    running = telemetry.configure_telemetry(settings, "catalog")
    for number in range(40):
        identifier = core.WorkflowExecutionIdentifier(name=f"e{number}")
        telemetry.tracer().start_span("node", context=telemetry.execution_trace_context(identifier)).end()
        telemetry.record_execution_span(identifier, started_nanoseconds=1, ended_nanoseconds=2)
    running.stop()
    seen = Counter(json.loads(line)["context"]["trace_id"] for line in path.read_text().splitlines())
    assert set(seen.values()) <= {2}
    assert {0.0: len(seen) == 0, 0.5: 0 < len(seen) < 40, 1.0: len(seen) == 40}[ratio]


async def test_calls_are_measured(start: Any) -> None:
    running_telemetry = telemetry.configure_telemetry(TelemetrySettings(metrics="prometheus"), "catalog")
    try:
        running = await start()
        await running.create("fine")
        from elevon_kit.telemetry_exporters import prometheus_page

        page = prometheus_page()[0].decode()
    finally:
        running_telemetry.stop()
    assert "rpc_server_duration_seconds_count" in page
    assert 'rpc_grpc_status_code="OK"' in page


def test_spans_on_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    running = telemetry.configure_telemetry(TelemetrySettings(traces="console"), "catalog")
    telemetry.tracer().start_span("shown").end()
    running.stop()
    assert '"name": "shown"' in capsys.readouterr().err


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def Export(self, request: Any, context: Any) -> Any:
        scopes = [scope for group in request.resource_spans for scope in group.scope_spans]
        self.names += [span.name for scope in scopes for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


def test_spans_to_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    register: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    register(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    running = telemetry.configure_telemetry(TelemetrySettings(traces="otlp"), "catalog")
    telemetry.tracer().start_span("sent").end()
    running.stop()
    server.stop(None).wait()
    assert collector.names == ["sent"]
