"""Bindings and promises: resolution of values and of types."""

from __future__ import annotations

import datetime
from typing import Any

import msgpack  # type: ignore[import-untyped]  # ships no type information
import pytest
from elevon_core import binaries, literals, promises
from elevon_core.errors import InvalidArgument, NotFound, OffloadedLiteral
from elevon_idl.core import v1 as core
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

_INT = core.LiteralType(simple=core.INTEGER)
_STR = core.LiteralType(simple=core.STRING)
_OFFLOADED = core.Literal(offloaded_metadata=core.LiteralOffloadedMetadata(uri="s3://b/o", size_bytes=7))
_VALUE = {"a": {"b": [1, 2.5, "x", True, None, {"c": [[3]]}]}, "": 4, "0": 5, 7: "seven"}


def _path(*steps: str | int) -> list[core.PromiseAttribute]:
    return [
        core.PromiseAttribute(int_value=step) if isinstance(step, int) else core.PromiseAttribute(string_value=step)
        for step in steps
    ]


def _packed(value: Any) -> core.Literal:
    return core.Literal(scalar=core.Scalar(binary=core.Binary(value=msgpack.packb(value), tag="msgpack")))


def _generic(value: dict[str, Any]) -> core.Literal:
    generic = struct_pb2.Struct()
    generic.update(value)
    return core.Literal(scalar=core.Scalar(generic=generic))


def _promise(var: str, *steps: str | int) -> core.BindingData:
    return core.BindingData(promise=core.OutputReference(node_id="n0", var=var, attr_path=_path(*steps)))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("a", "b", 0), literals.integer(1)),
        (("a", "b", 1), literals.float_(2.5)),
        (("a", "b", 2), literals.string("x")),
        (("a", "b", 3), literals.boolean(True)),
        (("a", "b", 4), _packed(None)),
        (("a", "b", 5), _packed({"c": [[3]]})),
        (("a", "b", 5, "c"), literals.collection([_packed([3])])),
        (("a", "b", 5, "c", 0), literals.collection([_packed(3)])),
        (("a", "b", 5, "c", 0, 0), literals.integer(3)),
        (("",), literals.integer(4)),
        (("0",), literals.integer(5)),
        ((7,), literals.string("seven")),
    ],
)
def test_paths_through_msgpack(steps: tuple[str | int, ...], expected: core.Literal) -> None:
    assert promises.resolve_attribute_path(_packed(_VALUE), _path(*steps)) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("x",), literals.float_(1)),
        (("y",), literals.collection([literals.boolean(True), literals.none_literal(), literals.string("s")])),
        (("y", 2), literals.string("s")),
        (("z",), _generic({"k": [1]})),
        (("z", "k", 0), literals.float_(1)),
        (("n",), literals.none_literal()),
    ],
)
def test_paths_through_structs(steps: tuple[str | int, ...], expected: core.Literal) -> None:
    value = {"x": 1, "y": [True, None, "s"], "z": {"k": [1]}, "n": None}
    assert promises.resolve_attribute_path(_generic(value), _path(*steps)) == expected


def test_paths_through_literals() -> None:
    inner = literals.union(_packed({"k": [10]}), core.LiteralType(simple=core.STRUCT))
    outer = literals.collection([literals.integer(0), literals.map_({"m": inner, "o": _OFFLOADED})])
    assert promises.resolve_attribute_path(outer, _path(0)) == literals.integer(0)
    assert promises.resolve_attribute_path(outer, _path(1, "m")) == inner
    assert promises.resolve_attribute_path(outer, _path(1, "m", "k", 0)) == literals.integer(10)
    assert promises.resolve_attribute_path(outer, _path(1, "o")) == _OFFLOADED
    assert promises.resolve_attribute_path(literals.map_({"p": _packed(5)}), _path("p")) == literals.integer(5)
    with pytest.raises(OffloadedLiteral) as caught:
        promises.resolve_attribute_path(outer, _path(1, "o", "k"))
    assert (caught.value.uri, caught.value.size_bytes) == ("s3://b/o", 7)


@given(st.from_type(core.Literal))
def test_an_empty_path_changes_nothing(literal: core.Literal) -> None:
    assert promises.resolve_attribute_path(literal, []).SerializeToString(
        deterministic=True
    ) == literal.SerializeToString(deterministic=True)


_keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | _keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)


def _plain(literal: core.Literal) -> Any:
    kind = literal.WhichOneof("value")
    if kind == "collection":
        return [_plain(element) for element in literal.collection.literals]
    scalar = literal.scalar
    if scalar.WhichOneof("value") == "binary":
        return binaries.decode(scalar.binary)
    if scalar.WhichOneof("value") == "generic":
        return json_format.MessageToDict(scalar.generic)
    if scalar.WhichOneof("value") == "none_type":
        return None
    return getattr(scalar.primitive, str(scalar.primitive.WhichOneof("value")))


@given(_json)
def test_what_is_put_in_comes_out(value: Any) -> None:
    found = promises.resolve_attribute_path(_packed({"k": [value]}), _path("k", 0))
    assert _plain(found) == value


@given(st.lists(st.booleans() | st.none() | _keys | st.floats(-1e9, 1e9), max_size=3))
def test_what_is_put_into_a_struct_comes_out(value: list[Any]) -> None:
    assert _plain(promises.resolve_attribute_path(_generic({"k": {"l": value}}), _path("k", "l"))) == value


@pytest.mark.parametrize(
    ("literal", "steps", "message"),
    [
        (_packed(_VALUE), ("a", "z"), r"attribute path \.a\.z leads nowhere: at \.a, the keys are b"),
        (_packed(_VALUE), ("a", "b", 6), r"\.a\.b\[6\] leads nowhere: at \.a\.b, the list has 6 elements"),
        (_packed(_VALUE), ("a", "b", -1), r"the list has 6"),
        (_packed(_VALUE), ("a", "b", "0"), r"the list has 6"),
        (_packed(_VALUE), ("a", "b", 0, "x"), r"there is a int"),
        (_packed({"u": 2**64 - 1}), ("u",), r"64 signed bits"),
        (_packed(5), ("x",), r"at the value, there is a int"),
        (_generic({"x": 1}), ("y",), r"the keys are x"),
        (literals.collection([]), (0,), r"the list has 0 elements"),
        (literals.collection([literals.integer(1)]), (-1,), r"the list has 1 elements"),
        (literals.collection([literals.integer(1)]), ("0",), r"the list has 1 elements"),
        (literals.map_({"a": literals.integer(1)}), ("b",), r"the keys are a"),
        (literals.map_({"a": literals.integer(1)}), (0,), r"the keys are a"),
        (literals.integer(1), ("a",), r"there is a primitive"),
        (core.Literal(scalar=core.Scalar()), ("a",), r"scalar without a value"),
        (core.Literal(), ("a",), r"neither a list nor a map"),
        (core.Literal(scalar=core.Scalar(binary=core.Binary(tag="cbor"))), ("a",), r"only msgpack can be read"),
        (core.Literal(scalar=core.Scalar(binary=core.Binary(tag="msgpack"))), ("a",), r"not a msgpack value"),
    ],
)
def test_paths_that_lead_nowhere(literal: core.Literal, steps: tuple[str | int, ...], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        promises.resolve_attribute_path(literal, _path(*steps))


def test_values_that_msgpack_cannot_hold() -> None:
    with pytest.raises(InvalidArgument, match="cannot be written as msgpack"):
        binaries.encode(datetime.date(2020, 1, 2))
    with pytest.raises(InvalidArgument, match="cannot be written as msgpack"):
        binaries.encode(2**70)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("o0", (None, "o0")),
        ("[3].o0", (3, "o0")),
        ("[3].a.b", (3, "a.b")),
        ("my-var", (None, "my-var")),
        ("with blank/ünd so", (None, "with blank/ünd so")),
        ("[x].o0", (None, "[x].o0")),
        ("[3]", (None, "[3]")),
        ("[3].", (None, "[3].")),
    ],
)
def test_variables(text: str, expected: tuple[int | None, str]) -> None:
    assert promises.parse_variable(text) == expected


def test_a_variable_needs_a_name() -> None:
    with pytest.raises(InvalidArgument, match=r"missing promise\.var"):
        promises.parse_variable("")


_OUTPUTS = {
    ("n0", "o0"): literals.collection([literals.integer(10), literals.map_({"k": literals.string("x")})]),
    ("n0", "my-var"): _packed({"f": 5}),
    ("n0", "far"): _OFFLOADED,
    ("n0", "maybe"): literals.union(literals.collection([literals.integer(1)]), core.LiteralType(collection_type=_INT)),
}


def _output_of(node_id: str, variable: str) -> core.Literal:
    if (node_id, variable) not in _OUTPUTS:
        raise NotFound(f"{node_id} has no output {variable}")
    return _OUTPUTS[node_id, variable]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (core.BindingData(scalar=core.Scalar(none_type=core.Void())), literals.none_literal()),
        (
            core.BindingData(
                scalar=literals.union(literals.integer(1), _INT).scalar, union=core.UnionInfo(targetType=_INT)
            ),
            literals.union(literals.integer(1), _INT),
        ),
        (core.BindingData(offloaded_metadata=_OFFLOADED.offloaded_metadata), _OFFLOADED),
        (_promise("o0"), _OUTPUTS["n0", "o0"]),
        (_promise("[0].o0"), literals.integer(10)),
        (_promise("[1].o0", "k"), literals.string("x")),
        (_promise("o0", 1, "k"), literals.string("x")),
        (_promise("my-var", "f"), literals.integer(5)),
        (_promise("far"), _OFFLOADED),
        (_promise("[0].maybe"), literals.integer(1)),
        (core.BindingData(collection=core.BindingDataCollection()), literals.collection([])),
        (
            core.BindingData(
                map=core.BindingDataMap(
                    bindings={
                        "p": _promise("my-var", "f"),
                        "l": core.BindingData(collection=core.BindingDataCollection(bindings=[_promise("[0].o0")])),
                    }
                )
            ),
            literals.map_({"p": literals.integer(5), "l": literals.collection([literals.integer(10)])}),
        ),
    ],
)
def test_bindings(data: core.BindingData, expected: core.Literal) -> None:
    assert promises.resolve_binding(data, _output_of) == expected


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (core.BindingData(), InvalidArgument, "without a value"),
        (_promise("absent"), NotFound, "n0 has no output absent"),
        (_promise(""), InvalidArgument, "missing promise.var"),
        (_promise("[2].o0"), InvalidArgument, "output o0 of node n0 has no element 2: it is a list of 2"),
        (_promise("[99999999999999999999].o0"), InvalidArgument, "has no element 9999"),
        (_promise("[0].my-var"), InvalidArgument, "it is a list of 0"),
        (_promise("[0].far"), OffloadedLiteral, "s3://b/o"),
        (_promise("far", "k"), OffloadedLiteral, "s3://b/o"),
        (_promise("o0", 5), InvalidArgument, "leads nowhere"),
    ],
)
def test_bindings_that_cannot_be_resolved(data: core.BindingData, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        promises.resolve_binding(data, _output_of)


def test_what_was_loaded_can_be_looked_into() -> None:
    loaded = {"s3://b/o": literals.collection([literals.integer(1), literals.map_({"k": literals.integer(2)})])}
    assert promises.resolve_binding(_promise("far", 1, "k"), _output_of, loaded) == literals.integer(2)
    assert promises.resolve_binding(_promise("[0].far"), _output_of, loaded) == literals.integer(1)
    assert promises.resolve_binding(_promise("far"), _output_of, loaded) == _OFFLOADED
    with pytest.raises(InvalidArgument, match="the list has 2 elements"):
        promises.resolve_binding(_promise("far", 2), _output_of, loaded)
