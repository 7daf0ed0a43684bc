"""Encodings of bodies, which of them a request means, and headers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from elevon_admin.gateway.json_form import camel_case_name, from_json, proto_name, to_document, to_json
from elevon_admin.gateway.marshalers import CAMEL_CASE, PROTOBUF, SNAKE_CASE, choose
from elevon_admin.gateway.request_headers import call_metadata, request_id
from elevon_admin.gateway.statuses import HTTP_CODES, error_body, error_headers
from elevon_core.errors import FailedPrecondition, Internal, InvalidArgument, NotFound, Unauthenticated
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.grpc_local import CallFailed
from flyteidl.admin import event_pb2
from google.protobuf import any_pb2, json_format
from google.rpc import status_pb2  # type: ignore[import-untyped]  # googleapis ships no type information
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

texts = st.text(st.characters(exclude_categories=["Cs"]))
primitives = st.one_of(
    st.builds(core.Primitive, integer=st.integers(-(2**63), 2**63 - 1)),
    st.builds(core.Primitive, string_value=texts),
    st.builds(core.Primitive, boolean=st.booleans()),
    st.builds(core.Primitive, float_value=st.floats(allow_nan=False)),
)
scalars = st.builds(lambda primitive: core.Literal(scalar=core.Scalar(primitive=primitive)), primitives)
literals = st.recursive(
    st.one_of(
        scalars, st.builds(lambda data: core.Literal(scalar=core.Scalar(binary=core.Binary(value=data))), st.binary())
    ),
    lambda inner: st.one_of(
        st.builds(
            lambda each: core.Literal(collection=core.LiteralCollection(literals=each)), st.lists(inner, max_size=3)
        ),
        st.builds(
            lambda each: core.Literal(map=core.LiteralMap(literals=each)), st.dictionaries(texts, inner, max_size=3)
        ),
    ),
    max_leaves=8,
)


@given(literals, st.sampled_from([proto_name, camel_case_name]), st.booleans())
def test_what_is_written_can_be_read(literal: core.Literal, name: Any, strict: bool) -> None:
    read = core.Literal()
    from_json(to_json(literal, name), read, strict=strict)
    assert read == literal


@given(literals)
def test_protobuf_itself_reads_the_same(literal: core.Literal) -> None:
    assert json_format.Parse(to_json(literal, camel_case_name), core.Literal()) == literal


def test_what_is_not_set_is_written() -> None:
    assert to_document(admin.ResourceListRequest(), proto_name) == {
        "id": None,
        "limit": 0,
        "token": "",
        "filters": "",
        "sort_by": None,
    }
    task = admin.Task(closure=admin.TaskClosure(compiled_task=core.CompiledTask()))
    template = {"template": None}
    assert to_document(task, camel_case_name)["closure"] == {"compiledTask": template, "createdAt": None}
    assert to_document(core.LiteralMap(literals={"a": core.Literal()}), proto_name)["literals"]["a"]["metadata"] == {}


def test_the_forms_of_values() -> None:
    execution = admin.Execution(closure=admin.ExecutionClosure(phase=core.WorkflowExecution.SUCCEEDED))
    execution.closure.created_at.FromDatetime(datetime(2030, 1, 31, 12, tzinfo=UTC))
    execution.closure.duration.FromMilliseconds(1500)
    closure = to_document(execution, proto_name)["closure"]
    assert closure["phase"] == "SUCCEEDED"
    assert closure["created_at"] == "2030-01-31T12:00:00Z"
    assert closure["duration"] == "1.500s"
    assert "error" not in closure, "a choice that was not made is not written"
    template = core.TaskTemplate()
    template.custom.update({"any": [1, None, {"form": True}]})
    assert to_document(template, proto_name)["custom"] == {"any": [1, None, {"form": True}]}


def test_an_answer_without_json_says_so() -> None:
    metadata = admin.LaunchPlanMetadata(launch_conditions=any_pb2.Any(type_url="type.googleapis.com/not.Known"))
    with pytest.raises(Internal, match="octet-stream"):
        to_json(metadata, proto_name)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"limit": "x"}', b'{"limit": -1}', b"\xff", b"[" * 100_000, b'{"token": "\\ud800"}']
)
def test_bodies_that_are_no_message_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument, match="ResourceListRequest"):
        from_json(body, admin.ResourceListRequest(), strict=False)


PROJECT_BODIES = {
    '{"project": 1}': "invalid value for project: '1': it must be an object",
    '{"project": {"id": 1}}': "invalid value for project.id: '1': it must be a string",
    '{"project": {"id": "a\\ud800"}}': "project.id: 'a\\ud800': it must be text",
    '{"\\ud800": 1}': "has no such field",
    '{"project": {"domains": 5}}': "invalid value for project.domains: '5': it must be a list",
    '{"project": {"domains": [null]}}': "invalid value for project.domains[0]: 'null': it must be an object",
    '{"project": {"state": "BOGUS"}}': "invalid value for project.state: 'BOGUS': it must be one of ACTIVE (0), ",
    '{"project": {"state": "\\ud800"}}': "project.state: '\\ud800': it must be one of ACTIVE (0)",
    '{"project": {"state": [1]}}': "project.state: '[1]': it must be one of ACTIVE (0)",
    '{"project": {"state": 9999999999}}': "out of range",
    '{"project": {"state": true}}': "project.state: 'true': it must be one of ACTIVE (0)",
    '{"project": {"state": 1e400}}': "project.state: 'Infinity': it must be one of ACTIVE (0)",
    '{"project": {"state": 1.5}}': "project.state: '1.5': it must be one of ACTIVE (0)",
    '{"project": {"state": ' + "9" * 5000 + "}}": "a number has too many digits",
    '{"project": {"labels": {"values": {"a": null}}}}': "project.labels.values[a]: 'null': it must be a string",
    '{"project": {"labels": {"values": [1]}}}': "project.labels.values: '[1]': it must be an object",
    '{"project": {"id": "a", "id": "b"}}': "invalid value for id: 'twice': a member can be given only once",
    '{"project": ' * 5000: "too many values within values",
    "{} x": "no JSON: Extra data",
    '{"project":': "no JSON: Expecting value",
    "null": "no JSON object",
}
EXECUTION_BODIES = {
    '{"spec": {"max_parallelism": 1.5}}': "spec.max_parallelism: '1.5': it must be an integer from -2147483648 to",
    '{"spec": {"max_parallelism": 99999999999}}': "spec.max_parallelism: '99999999999': it must be an integer",
    '{"spec": {"overwrite_cache": "true"}}': "spec.overwrite_cache: 'true': it must be true or false",
    '{"spec": {"launchPlan": {"resourceType": "X"}}}': "spec.launchPlan.resourceType: 'X': it must be one of ",
    '{"spec": {"overwriteCache": true, "overwrite_cache": false}}': "spec.overwrite_cache: 'twice': a member can be",
    '{"spec": {"metadata": {"scheduled_at": 5}}}': "at ExecutionCreateRequest.spec.metadata.scheduled_at",
    '{"spec": {"interruptible": 5}}': "at ExecutionCreateRequest.spec.interruptible",
    '{"inputs": {"literals": {"a": {"scalar": {"binary": {"value": "*"}}}}}}': "binary.value: '*': it must be base64",
    '{"inputs": {"literals": {"a": {"scalar": {"primitive": {"integer": "x"}}}}}}': "primitive.integer: 'x': it ",
    '{"inputs": {"literals": {"a": {"scalar": {"primitive": {"integer": 1, "boolean": true}}}}}}': "multiple",
    '{"inputs": {"literals": {"'
    + "a" * 5000
    + '": {}}}}': "a member's name may have at most 4096 characters, not 5000",
    '{"inputs": {"literals": {"a": {"scalar": {"primitive": {"floatValue": 1' + "0" * 400 + "}}}}}}": "does not fit",
    '{"inputs": {"literals": {"a": {"scalar": {"generic": {"a": 1' + "0" * 400 + "}}}}}}": "does not fit",
    '{"spec": {"notifications": {"notifications": [{"phases": ["SUCCEEDED", "X"]}]}}}': "[0].phases[1]: 'X'",
}
INNER_WORDS = (
    "object is not",
    "expected string",
    "int()",
    "Failed to parse",
    "Error",
    "set_int_max",
    "codec",
    "NoneType",
)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("body", [*PROJECT_BODIES, *EXECUTION_BODIES], ids=lambda body: str(body)[:60])
def test_values_that_do_not_fit_are_named(body: str, strict: bool) -> None:
    request = admin.ProjectRegisterRequest() if body in PROJECT_BODIES else admin.ExecutionCreateRequest()
    with pytest.raises(InvalidArgument) as refused:
        from_json(body.encode(), request, strict=strict)
    assert (PROJECT_BODIES | EXECUTION_BODIES)[body] in refused.value.message
    assert not [words for words in INNER_WORDS if words in refused.value.message]


def test_one_of_very_many_members_is_found_twice_in_one_pass() -> None:
    """Comparing each with each would take an hour."""
    members = ",".join(f'"k{number}":1' for number in range(300_000))
    with pytest.raises(InvalidArgument, match="invalid value for k299999: 'twice'"):
        from_json(f'{{{members},"k299999":1}}'.encode(), admin.ProjectRegisterRequest(), strict=False)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("state", ["1", '"1"', "1.0", '"ARCHIVED"', "99", "null"])
def test_enums_are_read_by_name_and_number(state: str, strict: bool) -> None:
    request = admin.ProjectRegisterRequest()
    from_json(b'{"project": {"id": null, "state": %s}}' % state.encode(), request, strict=strict)
    assert request.project.state == (99 if state == "99" else 0 if state == "null" else 1)


async def test_unknown_fields_are_refused_only_by_the_strict_encoding() -> None:
    body = b'{"unknown": 1, "sortBy": {"key": "a"}, "limit": 3}'
    request = admin.ResourceListRequest()
    await CAMEL_CASE.read(body, request)
    assert (request.limit, request.sort_by.key) == (3, "a")
    with pytest.raises(InvalidArgument, match="unknown"):
        await SNAKE_CASE.read(body, admin.ResourceListRequest())


async def test_an_empty_body_is_an_empty_message() -> None:
    for marshaler in (PROTOBUF, SNAKE_CASE, CAMEL_CASE):
        request = admin.ResourceListRequest()
        await marshaler.read(b"", request)
        assert request == admin.ResourceListRequest()


async def test_large_bodies_take_the_same_way() -> None:
    request = admin.ResourceListRequest(filters="x" * 100_000)
    read = admin.ResourceListRequest()
    await SNAKE_CASE.read(SNAKE_CASE.write(request), read)
    assert read == request
    converted = await SNAKE_CASE.convert(request.SerializeToString(), admin.ResourceListRequest)
    assert converted == SNAKE_CASE.write(request)


BINARY, JSON = "application/octet-stream", "application/json"


@pytest.mark.parametrize(
    ("headers", "inbound", "outbound"),
    [
        ([], CAMEL_CASE, CAMEL_CASE),
        ([("accept", BINARY)], CAMEL_CASE, PROTOBUF),
        ([("accept", JSON)], CAMEL_CASE, SNAKE_CASE),
        ([("accept", "application/json, text/plain, */*")], CAMEL_CASE, CAMEL_CASE),
        ([("accept", "application/json;q=1")], CAMEL_CASE, CAMEL_CASE),
        ([("accept", "*/*"), ("content-type", BINARY)], PROTOBUF, PROTOBUF),
        ([("content-type", "Application/JSON; charset=utf-8")], SNAKE_CASE, SNAKE_CASE),
        ([("content-type", JSON), ("accept", BINARY)], SNAKE_CASE, PROTOBUF),
        ([("content-type", "text/plain")], CAMEL_CASE, CAMEL_CASE),
        ([("accept", "text/html"), ("accept", BINARY)], CAMEL_CASE, PROTOBUF),
    ],
)
def test_the_encodings_that_headers_mean(headers: list[tuple[str, str]], inbound: Any, outbound: Any) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    assert choose(Headers(raw=raw)) == (inbound, outbound)


def test_headers_become_metadata() -> None:
    headers = {
        "Authorization": "Bearer t",
        "User-Agent": "console",
        "Grpc-Metadata-Flyte-Thing": "v",
        "Grpc-Metadata-Data-Bin": "AAE",
        "Traceparent": "00-1-2-01",
        "X-Other": "stays here",
        "Connection": "keep-alive",
    }
    assert set(call_metadata(Headers(headers), "id")) == {
        ("x-request-id", "id"),
        ("authorization", "Bearer t"),
        ("grpcgateway-authorization", "Bearer t"),
        ("grpcgateway-user-agent", "console"),
        ("flyte-thing", "v"),
        ("data-bin", b"\0\1"),
        ("traceparent", "00-1-2-01"),
    }
    with pytest.raises(InvalidArgument, match="base64"):
        call_metadata(Headers({"Grpc-Metadata-Data-Bin": "A"}), "id")


def test_a_request_id_is_kept_when_it_is_plain() -> None:
    assert request_id(Headers({"X-Request-Id": "abc-1"})) == "abc-1"
    for odd in ("", "a b", "x" * 129):
        made = request_id(Headers({"X-Request-Id": odd}))
        assert len(made) == 16
        assert made != odd


def test_every_code_has_its_http_code() -> None:
    assert set(HTTP_CODES) == set(grpc.StatusCode)


def test_an_error_is_a_status_in_both_encodings() -> None:
    reason = admin.EventFailureReason(
        already_in_terminal_state=admin.EventErrorAlreadyInTerminalState(current_phase="ABORTED")
    )
    failure = CallFailed.of(FailedPrecondition("too late", details=[reason]))
    status = status_pb2.Status.FromString(error_body(failure, PROTOBUF))
    assert (status.code, status.message) == (9, "too late")
    original = event_pb2.EventFailureReason()
    assert status.details[0].Unpack(original)
    assert original.already_in_terminal_state.current_phase == "ABORTED"
    assert json.loads(error_body(failure, SNAKE_CASE)) == {
        "code": 9,
        "message": "too late",
        "details": [
            {
                "@type": "type.googleapis.com/flyteidl.admin.EventFailureReason",
                "already_in_terminal_state": {"current_phase": "ABORTED"},
            }
        ],
    }
    assert "alreadyInTerminalState" in json.loads(error_body(failure, CAMEL_CASE))["details"][0]


def test_an_error_without_details() -> None:
    failure = CallFailed.of(NotFound("nothing"))
    assert status_pb2.Status.FromString(error_body(failure, PROTOBUF)) == status_pb2.Status(code=5, message="nothing")
    assert error_headers(failure) == {}


def test_who_must_sign_in_is_told_how() -> None:
    assert error_headers(CallFailed.of(Unauthenticated("sign\r\nin — now"))) == {"WWW-Authenticate": "sign in ? now"}
