"""Queries into fields, against messages written as a query and against protobuf's own reading of JSON."""

from __future__ import annotations

import base64
import contextlib
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from elevon_admin.gateway.fields import field_path, is_repeated
from elevon_admin.gateway.query import fill_from_query, parse_query
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import example, given
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"]))
scopes = st.builds(admin.NamedEntityIdentifier, project=texts, domain=texts, name=texts, org=texts)
sorts = st.builds(admin.Sort, key=texts, direction=st.sampled_from([0, 1]))
uint32s = st.integers(0, 2**32 - 1)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(admin.ResourceListRequest, id=scopes, limit=uint32s, token=texts, filters=texts, sort_by=sorts),
    st.builds(admin.ActiveLaunchPlanListRequest, project=texts, limit=uint32s, sort_by=sorts),
    st.builds(admin.NamedEntityListRequest, resource_type=st.integers(0, 4), filters=texts),
    st.builds(admin.CreateUploadLocationRequest, content_md5=st.binary(), add_content_md5_metadata=st.booleans()),
    st.builds(admin.OAuth2MetadataResponse, issuer=texts, scopes_supported=st.lists(texts)),
    st.builds(admin.TaskExecutionClosure, phase=st.integers(0, 8), event_version=st.integers(-(2**31), 2**31 - 1)),
    st.builds(admin.GetVersionRequest),
)


def pairs(message: Message, camel_case: bool, by_number: bool, prefix: str = "") -> list[tuple[str, str]]:
    """A message as parameters: the reference, written apart from what reads them."""
    found: list[tuple[str, str]] = []
    for field, value in message.ListFields():
        name = prefix + (field.json_name if camel_case else field.name)
        if is_repeated(field):
            found += [(name, each) for each in value]
        elif field.message_type is not None:
            found += pairs(value, camel_case, by_number, name + ".")
        else:
            found.append((name, written(field, value, by_number)))
    return found


def written(field: FieldDescriptor, value: Any, by_number: bool) -> str:
    if field.enum_type is not None and not by_number:
        return field.enum_type.values_by_number[value].name
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode()
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(messages, st.booleans(), st.booleans(), st.sampled_from([quote, None]))
def test_a_message_written_as_a_query_comes_back(
    message: Message, camel_case: bool, by_number: bool, encode: Any
) -> None:
    parameters = pairs(message, camel_case, by_number)
    query = urlencode(parameters, quote_via=encode) if encode else urlencode(parameters)
    read = type(message)()
    fill_from_query(read, query + "&nothing.of.this=1&nothing", ())
    assert without_empty(read) == without_empty(message)


def without_empty(message: Message) -> Any:
    """A query cannot tell an empty message from none."""
    document = json_format.MessageToDict(message)
    return {key: value for key, value in document.items() if value != {}}


plausible = st.one_of(texts, st.integers(-5, 2**33).map(str), st.sampled_from(["ASCENDING", "DESCENDING", "+1", "01"]))


@example({"sortBy.direction": str(2**32)})
@given(st.dictionaries(st.sampled_from(["token", "filters", "limit", "sort_by.key", "sortBy.direction"]), plausible))
def test_values_that_protobuf_takes_are_taken(given_texts: dict[str, str]) -> None:
    """What is accepted means what protobuf's JSON means by it."""
    read = admin.ResourceListRequest()
    with contextlib.suppress(InvalidArgument):
        fill_from_query(read, urlencode(given_texts), ())
        assert without_empty(read) == without_empty(as_json(given_texts))


def as_json(parameters: dict[str, str]) -> admin.ResourceListRequest:
    """The same parameters as protobuf reads them from JSON, where names and texts mean the same."""
    document: dict[str, Any] = {}
    for name, value in parameters.items():
        parent, _, leaf = name.rpartition(".")
        place = document.setdefault("sortBy", {}) if parent else document
        place[leaf] = int(value) if leaf == "direction" and value.isdigit() else value
    return json_format.ParseDict(document, admin.ResourceListRequest())


def test_a_plus_is_a_blank_unless_it_is_encoded() -> None:
    assert parse_query("filters=eq(a,b)+eq(c,d)&token=a%2Bb") == {"filters": ["eq(a,b) eq(c,d)"], "token": ["a+b"]}


def test_fields_of_the_path_and_unknown_ones_are_ignored() -> None:
    request = admin.ResourceListRequest(id=admin.NamedEntityIdentifier(project="path"))
    fill_from_query(request, "id.project=query&id.name=n&limit.x=1&token.=2&=3&labels[a]=b", {("id", "project")})
    assert request == admin.ResourceListRequest(id=admin.NamedEntityIdentifier(project="path", name="n"))


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("expires_in=3600s", 3600),
        ("expiresIn=1h30m", 5400),
        ("expires_in=1.5s", 1.5),
        ("expires_in=250ms", 0.25),
        ("expires_in=-.5m", -30),
        ("expires_in=0", 0),
        ("expires_in.seconds=7", 7),
    ],
)
def test_durations(query: str, seconds: float) -> None:
    request = admin.CreateDownloadLocationRequest()
    fill_from_query(request, query, ())
    assert request.HasField("expires_in")
    assert request.expires_in.ToNanoseconds() == seconds * 1_000_000_000


def test_times() -> None:
    closure = admin.ExecutionClosure()
    fill_from_query(closure, "createdAt=2030-01-31T12:00:00.5Z", ())
    assert closure.created_at.ToJsonString() == "2030-01-31T12:00:00.500Z"


@pytest.mark.parametrize(
    ("message", "query", "words"),
    [
        (admin.ResourceListRequest(), "limit=", "limit"),
        (admin.ResourceListRequest(), "limit=-1", "limit"),
        (admin.ResourceListRequest(), "limit=4294967296", "from 0 to 4294967295"),
        (admin.ResourceListRequest(), "limit=1_0", "limit"),
        (admin.ResourceListRequest(), "limit=٣", "limit"),
        (admin.ResourceListRequest(), "limit=1&limit=2", "only once"),
        (admin.ResourceListRequest(), "sort_by=x", "name the field"),
        (admin.ResourceListRequest(), "sort_by.direction=UP", "ASCENDING \\(1\\)"),
        (admin.ResourceListRequest(), "sort_by.direction=7", "ASCENDING"),
        (admin.ResourceListRequest(), "token=%zz", "hexadecimal"),
        (admin.ResourceListRequest(), "token=%ff", "UTF-8"),
        (admin.CreateDownloadLocationRequest(), "expires_in=1", "duration"),
        (admin.CreateDownloadLocationRequest(), "expires_in=s", "duration"),
        (admin.CreateDownloadLocationRequest(), "expires_in=99999999999999h", "duration"),
        (admin.ExecutionClosure(), "createdAt=noon", "time"),
        (admin.ExecutionClosure(), "abort_cause=a&error.code=b", "only one of the two"),
        (admin.CreateUploadLocationRequest(), "content_md5=!", "base64"),
        (admin.CreateUploadLocationRequest(), "add_content_md5_metadata=yes", "true or false"),
        (admin.TaskList(), "tasks=1", "name the field"),
    ],
)
def test_values_that_do_not_fit_are_refused(message: Message, query: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        fill_from_query(message, query, ())


@pytest.mark.parametrize("text", ["1.5", "1e3", "-.5", "inf", "NaN"])
def test_numbers_with_a_point(text: str) -> None:
    primitive = core.Primitive()
    field_path(core.Primitive.DESCRIPTOR, "float_value").assign(primitive, text)
    assert primitive.float_value == pytest.approx(float(text), nan_ok=True)
    with pytest.raises(InvalidArgument, match="a number"):
        field_path(core.Primitive.DESCRIPTOR, "float_value").assign(primitive, text + "_0")
