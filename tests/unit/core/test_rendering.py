"""Literals as text in commands."""

from __future__ import annotations

import datetime
import json
from typing import Any

import msgpack  # type: ignore[import-untyped]  # ships no type information
import pytest
from elevon_core import literals
from elevon_core.errors import FailedPrecondition, InvalidArgument, OffloadedLiteral
from elevon_idl.core import v1 as core
from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

_STR = core.LiteralType(simple=core.STRING)
_OFFLOADED = core.Literal(offloaded_metadata=core.LiteralOffloadedMetadata(uri="s3://b/o", size_bytes=7))


def _scalar(**value: object) -> core.Literal:
    return core.Literal(scalar=core.Scalar(**value))  # type: ignore[arg-type] # one field of the oneof


def _generic(**fields: Any) -> core.Literal:
    generic = struct_pb2.Struct()
    generic.update(fields)
    return _scalar(generic=generic)


def _packed(value: object, tag: str = "msgpack") -> core.Literal:
    return _scalar(binary=core.Binary(value=msgpack.packb(value), tag=tag))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.5, "1.5"),
        (-0.1, "-0.1"),
        (100.0, "100"),
        (1e5, "100000"),
        (1e6, "1e+06"),
        (123456789.0, "1.23456789e+08"),
        (1234567.5, "1.2345675e+06"),
        (1e20, "1e+20"),
        (1e100, "1e+100"),
        (0.0001, "0.0001"),
        (0.00012345, "0.00012345"),
        (0.00001, "1e-05"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (float("nan"), "NaN"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
    ],
)
def test_floats(number: float, expected: str) -> None:
    assert literals.render(literals.float_(number)) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back(number: float) -> None:
    assert float(literals.render(literals.float_(number))) == number


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        (literals.integer(-5), "-5"),
        (literals.boolean(True), "true"),
        (literals.boolean(False), "false"),
        (literals.string("as it 'is'\n"), "as it 'is'\n"),
        (literals.datetime_(datetime.datetime(2020, 1, 2, 3, 4, 5)), "2020-01-02T03:04:05Z"),
        (literals.datetime_(datetime.datetime(2020, 1, 2, 3, 4, 5, 670000)), "2020-01-02T03:04:05.67Z"),
        (literals.duration(datetime.timedelta(seconds=10)), "seconds:10"),
        (literals.duration(datetime.timedelta(seconds=10, microseconds=1)), "seconds:10 nanos:1000"),
        (literals.duration(datetime.timedelta()), ""),
        (_scalar(blob=core.Blob(uri="s3://b/k")), "s3://b/k"),
        (_scalar(schema=core.Schema(uri="s3://b/s")), "s3://b/s"),
        (_scalar(structured_dataset=core.StructuredDataset(uri="s3://b/df")), "s3://b/df"),
        (
            _packed({"b": 1, "a": [1, "x", None, True, 2.5], "c": {"z": b"\1\2"}}),
            "map[a:[1 x <nil> true 2.5] b:1 c:map[z:[1 2]]]",
        ),
        (_packed({1: "x", "a": 2}), "map[a:2 1:x]"),
        (_packed("plain"), "plain"),
        (_packed(1e6), "1e+06"),
        (literals.collection([literals.integer(1), literals.string("b"), literals.collection([])]), "[1,b,[]]"),
        (literals.map_({"b": literals.integer(1), "a": literals.string("ü")}), '{"a":"ü","b":1}'),
        (literals.union(literals.string("x"), _STR), "x"),
        (literals.none_literal(), "null"),
        (_generic(x=1, y=[True, None, "s"]), '{"x":1,"y":[true,null,"s"]}'),
        (_scalar(error=core.Error(message="m")), '{"failedNodeId":"","message":"m"}'),
        (_generic(x=float("-inf"), a={"b": 1.5, "a": 1e300}), '{"a":{"a":1e+300,"b":1.5},"x":"-Inf"}'),
        (literals.map_({"f": literals.float_(2)}), '{"f":2}'),
        (literals.collection([literals.none_literal(), literals.map_({})]), "[null,{}]"),
    ],
)
def test_render(literal: core.Literal, expected: str) -> None:
    assert literals.render(literal) == expected


def test_everything_within_a_map_is_json() -> None:
    inside = {
        "binary": _packed({"k": b"\1", "n": float("nan"), "l": [1]}),
        "collection": literals.collection([literals.boolean(True)]),
        "datetime": literals.datetime_(datetime.datetime(2020, 1, 2)),
        "nan": literals.float_(float("nan")),
        "none": literals.none_literal(),
        "union": literals.union(literals.float_(1.5), _STR),
        "uri": _scalar(blob=core.Blob(uri="s3://b/k")),
    }
    assert json.loads(literals.render(literals.map_(inside))) == {
        "binary": {"k": "AQ==", "n": "NaN", "l": [1]},
        "collection": [True],
        "datetime": "2020-01-02T00:00:00Z",
        "nan": "NaN",
        "none": None,
        "union": 1.5,
        "uri": "s3://b/k",
    }


@pytest.mark.parametrize("literal", [_OFFLOADED, literals.map_({"a": literals.collection([_OFFLOADED])})])
def test_offloaded_literals_are_to_be_loaded(literal: core.Literal) -> None:
    with pytest.raises(OffloadedLiteral) as caught:
        literals.render(literal)
    assert (caught.value.uri, caught.value.size_bytes) == ("s3://b/o", 7)
    assert caught.value.kind is FailedPrecondition.kind
    assert "s3://b/o" in caught.value.message


@pytest.mark.parametrize(
    "literal",
    [
        core.Literal(),
        core.Literal(scalar=core.Scalar()),
        _scalar(primitive=core.Primitive()),
        literals.map_({"a": _scalar(primitive=core.Primitive())}),
        _packed(1, tag="cbor"),
        _scalar(binary=core.Binary(value=b"\xc1", tag="msgpack")),
        _scalar(binary=core.Binary(value=b"", tag="msgpack")),
        _scalar(binary=core.Binary(value=b"\1\2", tag="msgpack")),
        _scalar(binary=core.Binary(value=b"\xa1\xff", tag="msgpack")),
        _scalar(binary=core.Binary(value=b"\x81\x90\x01", tag="msgpack")),
        _scalar(binary=core.Binary(value=b"\x91" * 5000 + b"\x01", tag="msgpack")),
        _scalar(binary=core.Binary(value=b"\x81\xa1k" * 900 + b"\x01", tag="msgpack")),
        _scalar(primitive=core.Primitive(datetime=timestamp_pb2.Timestamp(seconds=2**60))),
    ],
)
def test_what_cannot_be_rendered(literal: core.Literal) -> None:
    with pytest.raises(InvalidArgument):
        literals.render(literal)


def _can_be_rendered(literal: core.Literal) -> bool:
    """Whether nothing within is offloaded or in an encoding nobody knows."""
    kind = literal.WhichOneof("value")
    if kind == "collection":
        return all(map(_can_be_rendered, literal.collection.literals))
    if kind == "map":
        return all(map(_can_be_rendered, literal.map.literals.values()))
    scalar = literal.scalar
    if scalar.WhichOneof("value") == "union":
        return _can_be_rendered(scalar.union.value)
    return kind == "scalar" and (scalar.WhichOneof("value") != "binary" or scalar.binary.tag == "msgpack")


@given(st.from_type(core.Literal))
def test_all_that_has_a_value_can_be_rendered(literal: core.Literal) -> None:
    if _can_be_rendered(literal):
        assert isinstance(literals.render(literal), str)
        assert list(json.loads(literals.render(literals.map_({"it": literal})))) == ["it"]
    else:
        with pytest.raises((InvalidArgument, OffloadedLiteral)):
            literals.render(literal)


def test_durations_beyond_days() -> None:
    span = core.Primitive(duration=duration_pb2.Duration(seconds=-3, nanos=-1))
    assert literals.render(_scalar(primitive=span)) == "seconds:-3 nanos:-1"
