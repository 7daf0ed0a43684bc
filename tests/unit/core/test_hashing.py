"""Hashes: every vector that existing caches rest on, and agreement with a second, slower way to get at them."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any

import pytest
from elevon_core import hashing, literals
from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from flyteidl.core import literals_pb2
from google.protobuf import any_pb2, json_format, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

_EMPTY_HASH = "GKw-c0PwFokMUQ6T-TUmEWnZ4_VlQ2Qpgw-vCTT0-OQ"


def _slow_hash(message: Message) -> bytes:
    return _slow_json_hash(json.loads(json_format.MessageToJson(message)))


def _slow_json_hash(value: Any) -> bytes:
    if value is None:
        tagged = b"n"
    elif isinstance(value, bool):
        tagged = b"b1" if value else b"b0"
    elif isinstance(value, str):
        tagged = b"u" + value.encode()
    elif isinstance(value, int | float):
        tagged = b"f" + _slow_normal(float(value)).encode()
    elif isinstance(value, list):
        tagged = b"l" + b"".join(map(_slow_json_hash, value))
    else:
        tagged = b"d" + b"".join(sorted(_slow_json_hash(k) + _slow_json_hash(v) for k, v in value.items()))
    return hashlib.sha256(tagged).digest()


def _slow_normal(value: float) -> str:
    if value == 0:
        return "+0:"
    text, value, exponent = "-" if value < 0 else "+", abs(value), 0
    while value > 1:
        value, exponent = value / 2, exponent + 1
    while value <= 0.5:
        value, exponent = value * 2, exponent - 1
    text += f"{exponent}:"
    while value != 0:
        text += "1" if value >= 1 else "0"
        value = (value - 1 if value >= 1 else value) * 2
    return text


def _literal(text: str) -> core.Literal:
    return json_format.Parse(text, core.Literal())


def _variables(**types: core.Variable) -> core.VariableMap:
    return core.VariableMap(variables=types)


def _simple(simple: core.SimpleType.ValueType, description: str = "") -> core.Variable:
    return core.Variable(type=core.LiteralType(simple=simple), description=description)


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ('{"scalar":{"primitive":{"integer":"0"}}}', "twQmhh9sFdLtBWGKRq4LtOZuFlwROR2qj0MZ0cr-noY"),
        ('{"scalar":{"primitive":{"integer":"5"}}}', "7DZYDp81RLki9G-U-HC1ScLkDQ6M6Fi7QaV5ahFZCkw"),
        ('{"scalar":{"primitive":{"integer":"9007199254740993"}}}', "00Xb8a2MZLQHzmQfP0rch7pw_iADYkgksrHH5-UdLbM"),
        ('{"scalar":{"primitive":{"floatValue":1.5}}}', "w8eg1fmtybp7pl5iXcJof1ISDd1QDBAWKEIJHo7YYmA"),
        ('{"scalar":{"primitive":{"floatValue":-0.1}}}', "97577U2qhpaoX13ksxHvr6VsrnzBvnuM84_eU4dhtMM"),
        ('{"scalar":{"primitive":{"floatValue":"NaN"}}}', "u_ucvnWhu-NCe2wS3TO5SlekRON9m_S9y9LS00PeXyQ"),
        ('{"scalar":{"primitive":{"stringValue":"hello"}}}', "iVS070zqLXueu3ftJebQZssDkR9BnuRgQTCQ18IaJRs"),
        ('{"scalar":{"primitive":{"stringValue":""}}}', "vnPrY_e4VlVsyZZSSPEb0BuTgGYoNDc5rhWPWwYR3rw"),
        ('{"scalar":{"primitive":{"boolean":true}}}', "WEzQfkHHSK3-CmSVk7mJlSuaIsYayuZM1NFP6zBiVOQ"),
        ('{"scalar":{"primitive":{"boolean":false}}}', "7uklECbBXQ7yN05C_3yymFzhHZOH-EPkawhIe_fdbyM"),
        (
            '{"scalar":{"primitive":{"datetime":"2020-01-02T03:04:05.678Z"}}}',
            "6hAeJt96C78Nt5zPFK0jrJM-RpDlo01u6vBQz_SaTxc",
        ),
        ('{"scalar":{"primitive":{"duration":"90s"}}}', "BpF5XpFtXU7UTjk8rmVpl2AbYaJozuRcHJm7LmAG7Wg"),
        ('{"scalar":{"noneType":{}}}', "Sk60CRXSkIGDBppoDHwZeEfoVBpg-bt822fZEcGE2LE"),
        (
            '{"scalar":{"blob":{"metadata":{"type":{"format":"csv"}},"uri":"s3://b/k"}}}',
            "g8hMWjtsmdWOimBNh0kY44a_tKd3OffV2uFVAO3V8G8",
        ),
        (
            '{"scalar":{"structuredDataset":{"uri":"s3://b/df",'
            '"metadata":{"structuredDatasetType":{"format":"parquet"}}}}}',
            "AObtKfwDfbYsMMWRXyrw8AaLr3P2XB3HSgIHZ7boAV8",
        ),
        (
            '{"hash":"abcde","scalar":{"structuredDataset":{"uri":"s3://b/df",'
            '"metadata":{"structuredDatasetType":{"format":"parquet"}}}}}',
            "Fq3JovY8ctWd0lGy2p1c-XTHu1uSMWLr5jGyHrwk1do",
        ),
        (
            '{"collection":{"literals":[{"scalar":{"primitive":{"integer":"1"}}},'
            '{"scalar":{"primitive":{"integer":"2"}}}]}}',
            "fBFv8WW1wISXbWmVdNUUuxDtBBC5cOopcw3JAhL0Ji0",
        ),
        ('{"collection":{}}', "4ZnkW4ehbijBMHwq9wMvjCLRqq6N1aHm7XUUTR4mIqE"),
        (
            '{"map":{"literals":{"k":{"scalar":{"primitive":{"stringValue":"v"}}}}}}',
            "tah78ni0qbEg42EUJ62SdVq7c9ABJHlsOaiQ6apnvJY",
        ),
        (
            '{"scalar":{"binary":{"value":"gaF4AQ==","tag":"msgpack"}}}',
            "e9FtBBs19UYTkkR8wvQ0_rkmMpmeBQr3wsupkH-d3KM",
        ),
        (
            '{"scalar":{"generic":{"x":1,"y":[true,null,"s"]}}}',
            "SlJlgiAnbMQ3pEIEfoAeR-EVTXt_1f3sch9dmSeFGg8",
        ),
        (
            '{"scalar":{"union":{"value":{"scalar":{"primitive":{"integer":"5"}}},'
            '"type":{"simple":"INTEGER","structure":{"tag":"int"}}}}}',
            "fxoGOgl1agAAzS9uk4IU-faB1bWujNdeasHQCyXMzUw",
        ),
        (
            '{"hash":"zzz","offloadedMetadata":{"uri":"s3://b/o","sizeBytes":"7"}}',
            "KrWOGg9_n8QRR46CS_oWWOvbKNz7fopehQpGufHbhRY",
        ),
    ],
)
def test_cache_tags_of_one_input(literal: str, expected: str) -> None:
    inputs = core.LiteralMap(literals={"a": _literal(literal)})
    assert hashing.cache_tag(inputs, ()) == "flyte_cached-" + expected


def test_cache_tags_of_several_inputs() -> None:
    two = core.LiteralMap(literals={"1": literals.integer(1), "2": literals.integer(2)})
    three = core.LiteralMap(literals={**two.literals, "3": literals.integer(3)})
    expected = "flyte_cached-GQid5LjHbakcW68DS3P2jp80QLbiF0olFHF2hTh5bg8"
    assert hashing.cache_tag(two, ()) == expected
    assert hashing.cache_tag(three, ["3"]) == expected
    assert hashing.cache_tag(three, ()) != expected


def test_cache_tags_without_inputs() -> None:
    assert hashing.cache_tag(core.LiteralMap(), ()) == "flyte_cached-" + _EMPTY_HASH
    only_ignored = core.LiteralMap(literals={"b": literals.integer(6)})
    assert hashing.cache_tag(only_ignored, {"b", "absent"}) == "flyte_cached-" + _EMPTY_HASH


def test_dataset_versions() -> None:
    integers = _variables(**{"1": _simple(core.INTEGER), "2": _simple(core.INTEGER)})
    assert hashing.dataset_version("1.0.0", core.TypedInterface()) == "1.0.0-GKw-c0Pw-GKw-c0Pw"
    both = core.TypedInterface(inputs=core.VariableMap(), outputs=core.VariableMap())
    assert hashing.dataset_version("1.0.0", both) == "1.0.0-GKw-c0Pw-GKw-c0Pw"
    assert hashing.dataset_version(" 1.0.0 ", core.TypedInterface(inputs=integers)) == "1.0.0-UxVtPm0k-GKw-c0Pw"
    outputs = core.TypedInterface(outputs=_variables(a=_simple(core.INTEGER, "a")))
    assert hashing.dataset_version("\t", outputs) == "\t-GKw-c0Pw-rJudYX8l"
    assert hashing.dataset_name("wf.add") == "flyte_task-wf.add"


@pytest.mark.parametrize("blank", ["", " ", "   "])
def test_a_dataset_version_needs_a_cache_version(blank: str) -> None:
    with pytest.raises(InvalidArgument, match="missing cache version"):
        hashing.dataset_version(blank, core.TypedInterface())


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (_variables(a=_simple(core.INTEGER, "a")), "OyKgSd3b"),
        (_variables(a=_simple(core.INTEGER)), "rJudYX8l"),
        (_variables(o0=_simple(core.STRING, "o0")), "4RvDXNMe"),
        (_variables(o0=_simple(core.NONE)), "Hm7LIxaa"),
        (_variables(), "GKw-c0Pw"),
    ],
)
def test_signatures(variables: core.VariableMap, expected: str) -> None:
    assert hashing.signature(variables) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"integer": "18", "floatValue": 1.3, "stringValue": "lets test this", "boolean": True},
            "GhPMTKvJfUPHK8U3vEmoi/wdVBx7IQSPqyjGXAZzquI=",
        ),
        (
            {
                "integer": "18",
                "floatValue": 1.3,
                "stringValue": "lets test this",
                "boolean": True,
                "datetime": "2019-03-29T12:00:00Z",
                "duration": "0.001s",
                "mapValue": {"z": "last", "a": "first"},
                "collections": ["1", "2", "3"],
            },
            "YpWyLCP1NW0DVk3Hj64tK70H/9t+5fQlj7yyDK2lSEQ=",
        ),
    ],
)
def test_plain_json_values(value: dict[str, Any], expected: str) -> None:
    message = struct_pb2.Struct()
    message.update(value)
    assert base64.b64encode(hashing.protobuf_hash(message)).decode() == expected
    assert base64.b64encode(_slow_json_hash(value)).decode() == expected


@given(st.from_type(core.LiteralMap))
def test_the_hash_is_that_of_the_json(inputs: core.LiteralMap) -> None:
    assert hashing.protobuf_hash(inputs) == _slow_hash(inputs)
    assert hashing.canonical_digest(inputs) == hashing.protobuf_hash(inputs)


@given(st.from_type(core.LiteralType))
def test_the_hash_of_types_is_that_of_the_json(literal_type: core.LiteralType) -> None:
    assert hashing.protobuf_hash(literal_type) == _slow_hash(literal_type)


def _hashified(literal: core.Literal) -> core.Literal:
    if literal.hash:
        return core.Literal(hash=literal.hash)
    kind = literal.WhichOneof("value")
    if kind == "collection":
        return literals.collection(map(_hashified, literal.collection.literals))
    if kind == "map":
        return literals.map_({name: _hashified(value) for name, value in literal.map.literals.items()})
    return literal


@given(st.from_type(core.LiteralMap), st.sets(st.sampled_from(["", "0", "a"])))
def test_the_tag_is_the_hash_of_the_reduced_inputs(inputs: core.LiteralMap, ignored: set[str]) -> None:
    reduced = {name: _hashified(value) for name, value in inputs.literals.items() if name not in ignored}
    expected = hashing.base64_hash(core.LiteralMap(literals=reduced))
    assert hashing.cache_tag(inputs, ignored) == "flyte_cached-" + expected


@given(st.from_type(core.LiteralMap), st.randoms(use_true_random=False))
def test_the_order_of_maps_does_not_count(inputs: core.LiteralMap, random: Any) -> None:
    names = list(inputs.literals)
    random.shuffle(names)
    shuffled = core.LiteralMap(literals={name: inputs.literals[name] for name in names})
    assert hashing.cache_tag(shuffled, ()) == hashing.cache_tag(inputs, ())
    assert hashing.protobuf_hash(shuffled) == hashing.protobuf_hash(inputs)


@given(st.from_type(core.LiteralMap))
def test_serialization_does_not_count(inputs: core.LiteralMap) -> None:
    data = inputs.SerializeToString()
    assert hashing.cache_tag(core.LiteralMap.FromString(data), ()) == hashing.cache_tag(inputs, ())
    # The official stubs describe the same message under another package: the hash does not know packages.
    assert hashing.protobuf_hash(literals_pb2.LiteralMap.FromString(data)) == hashing.protobuf_hash(inputs)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers(number: float) -> None:
    assert hashing.protobuf_hash(struct_pb2.Value(number_value=number)) == _slow_json_hash(number)


@given(st.floats(width=32))
def test_numbers_of_32_bits(number: float) -> None:
    message = core.ArrayNode(min_success_ratio=number)
    assert hashing.protobuf_hash(message) == _slow_hash(message)


@pytest.mark.parametrize(
    "message",
    [
        core.Binary(value=b"\xff\x00\xfe", tag="x"),
        core.LiteralOffloadedMetadata(size_bytes=2**64 - 1),
        core.ArrayNode(min_success_ratio=0.1, parallelism=0),
        core.ArrayNode(min_success_ratio=1.3644169484905433e-05),
        core.ArrayNode(min_successes=3),
        core.TaskMetadata(interruptible=False, discoverable=True, cache_ignore_input_vars=["b", "a"]),
        core.TaskTemplate(type="t", custom=struct_pb2.Struct(), config={"k": "v"}),
        admin.LaunchPlanSpec(interruptible=wrappers_pb2.BoolValue(value=False)),
        admin.LaunchPlanSpec(interruptible=wrappers_pb2.BoolValue(value=True), max_parallelism=7),
        struct_pb2.ListValue(values=[struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)]),
        core.Primitive.FromString(b""),
        core.LiteralType.FromString(b"\x08\x63"),
        timestamp_pb2.Timestamp(seconds=1, nanos=5000),
    ],
)
def test_every_kind_of_field(message: Message) -> None:
    assert hashing.protobuf_hash(message) == _slow_hash(message)


def test_any_and_null() -> None:
    packed = any_pb2.Any()
    packed.Pack(core.ArrayNode(min_successes=3, parallelism=2))
    assert hashing.protobuf_hash(packed) == _slow_hash(packed)
    structured = any_pb2.Any()
    values = [struct_pb2.Value(null_value=struct_pb2.NULL_VALUE), struct_pb2.Value(bool_value=True)]
    structured.Pack(struct_pb2.ListValue(values=[*values, struct_pb2.Value(number_value=1.5)]))
    assert hashing.protobuf_hash(structured) == _slow_hash(structured)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_structs_cannot_hold_what_is_no_number(number: float) -> None:
    generic = struct_pb2.Struct(fields={"x": struct_pb2.Value(number_value=number)})
    inputs = core.LiteralMap(literals={"a": core.Literal(scalar=core.Scalar(generic=generic))})
    with pytest.raises(InvalidArgument, match="Struct cannot hold"):
        hashing.cache_tag(inputs, ())
    with pytest.raises(InvalidArgument, match="LiteralMap has no canonical form"):
        hashing.protobuf_hash(inputs)


def test_times_out_of_range_have_no_hash() -> None:
    primitive = core.Primitive(datetime=timestamp_pb2.Timestamp(seconds=2**50))
    with pytest.raises(InvalidArgument, match="Primitive has no canonical form"):
        hashing.protobuf_hash(primitive)
