"""Which JSON schemas can read what others describe."""

from __future__ import annotations

from typing import Any

import pytest
from elevon_core import json_schemas
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st


def _accepts(reader: dict[str, Any], writer: dict[str, Any]) -> bool:
    documents = [struct_pb2.Struct(), struct_pb2.Struct()]
    for document, schema in zip(documents, (reader, writer), strict=True):
        document.update(schema)
    return json_schemas.accepts(*documents)


def _object(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return schema if required is None else {**schema, "required": required}


_INT, _NUMBER, _STR = {"type": "integer"}, {"type": "number"}, {"type": "string"}
_OPTIONAL_INT = {"anyOf": [_INT, {"type": "null"}]}


def _marshmallow(**fields: Any) -> dict[str, Any]:
    """The form older SDKs send: a reference to a definition."""
    definition = {**_object(sorted(fields), **fields), "additionalProperties": False}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"P": definition},
        "$ref": "#/definitions/P",
    }


def _list_of_itself(payload: Any) -> dict[str, Any]:
    node = _object(["next", "payload"], next={"$ref": "#/$defs/Node"}, payload=payload)
    return {"$defs": {"Node": node}, "$ref": "#/$defs/Node"}


@pytest.mark.parametrize(
    ("reader", "writer"),
    [
        ({}, _object(a=_INT)),
        (_object(a=_INT), {}),
        (_object(["a"], a=_INT), _object(a=_INT, b=_STR)),
        (_object(a=_INT), _object(b=_STR)),
        ({**_object(a=_INT), "additionalProperties": False}, _object(a=_INT, b=_STR)),
        (_NUMBER, _INT),
        ({"type": ["integer", "null"]}, _INT),
        (_OPTIONAL_INT, _INT),
        (_OPTIONAL_INT, _OPTIONAL_INT),
        ({"oneOf": [_STR, _NUMBER]}, _OPTIONAL_INT["anyOf"][0]),
        ({"type": "array", "items": _NUMBER}, {"type": "array", "items": _INT}),
        ({"type": "array"}, {"type": "array", "items": _INT}),
        ({"type": "array", "items": _NUMBER}, {"type": "array", "items": [_INT, _NUMBER]}),
        ({"type": "array", "items": [_INT, _STR]}, {"type": "array", "items": [_INT, _STR]}),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}),
        ({"enum": ["a", "b"]}, {"const": "b"}),
        (_STR, {"type": "string", "enum": ["a"]}),
        ({"allOf": [_object(["a"], a=_INT), _object(b=_STR)]}, _object(a=_INT, b=_STR)),
        (_object(["a", "b"], a=_INT), {"allOf": [_object(a=_INT), _object(b=_STR)]}),
        (_marshmallow(a=_INT), _marshmallow(a=_INT, b=_STR)),
        (_marshmallow(a=_INT), {"title": "P", **_object(["a"], a=_INT)}),
        (_list_of_itself(_NUMBER), _list_of_itself(_INT)),
        ({"$ref": "#/definitions/absent"}, _object(a=_INT)),
        ({"$ref": "https://elsewhere/schema"}, _object(a=_INT)),
        ({"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"}, _INT),
        ({"$defs": {"a/b": _NUMBER}, "$ref": "#/$defs/a~1b"}, _INT),
    ],
)
def test_accepted(reader: dict[str, Any], writer: dict[str, Any]) -> None:
    assert _accepts(reader, writer)


@pytest.mark.parametrize(
    ("reader", "writer"),
    [
        (_INT, _NUMBER),
        (_INT, {"type": ["integer", "null"]}),
        (_INT, _OPTIONAL_INT),
        (_OPTIONAL_INT, _STR),
        (_object(["a"], a=_INT), _object(b=_INT)),
        (_object(a=_INT), _object(a=_STR)),
        (_object(a=_object(["b"], b=_INT)), _object(a=_object(["c"], c=_INT))),
        ({"type": "array", "items": _INT}, {"type": "array", "items": _STR}),
        ({"type": "array", "items": [_INT]}, {"type": "array", "items": [_INT, _INT]}),
        ({"type": "array", "items": [_INT]}, {"type": "array", "items": _INT}),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}),
        ({"const": "a"}, _STR),
        ({"allOf": [_object(["a"], a=_INT), _object(["b"])]}, _object(a=_INT)),
        (_marshmallow(a=_INT), _marshmallow(a=_STR)),
        (_list_of_itself(_INT), _list_of_itself(_STR)),
        (_object(a={"type": "object", "properties": {}, "required": ["x"]}), _object(a={"type": "object"})),
    ],
)
def test_refused(reader: dict[str, Any], writer: dict[str, Any]) -> None:
    assert not _accepts(reader, writer)


def test_numbers_that_json_does_not_know() -> None:
    assert _accepts({"enum": [float("inf")]}, {"const": float("inf")})
    assert not _accepts({"enum": [1]}, {"const": float("nan")})


def test_long_chains_of_references_end() -> None:
    chain = {str(number): _object(n={"$ref": f"#/$defs/{number + 1}"}) for number in range(2000)}
    first = {"$defs": {**chain, "2000": _INT}, "$ref": "#/$defs/0"}
    assert _accepts(first, first)
    assert _accepts(first, {"$defs": {**chain, "2000": _STR}, "$ref": "#/$defs/0"}), "taken to agree beyond the depth"
    assert not _accepts(first, {"$defs": {**chain, "9": _STR}, "$ref": "#/$defs/0"})


def test_equal_references_may_mean_different_things() -> None:
    link = _object(p={"$ref": "#/$defs/P"})
    assert not _accepts({"$defs": {"P": _INT}, **link}, {"$defs": {"P": _STR}, **link})


def test_boolean_schemas() -> None:
    assert _accepts(_object(a=True), _object(a=_INT))
    assert not _accepts(_object(a=False), _object(a=_INT))
    assert _accepts(_object(a=_INT), _object(a=True))


_schemas = st.recursive(
    st.sampled_from([_INT, _NUMBER, _STR, {}, {"enum": ["a", "b"]}, {"type": ["string", "null"]}]),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
            lambda found: _object(sorted(found)[:1], **found)
        ),
        inner.map(lambda schema: {"type": "array", "items": schema}),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: {"anyOf": found}),
    ),
    max_leaves=8,
)


@given(_schemas)
def test_every_schema_reads_itself_whatever_its_title(schema: dict[str, Any]) -> None:
    assert _accepts(schema, schema)
    assert _accepts({**schema, "title": "Reader"}, schema)


@given(_schemas, _schemas)
def test_a_property_more_does_not_matter_to_the_reader(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert _accepts(_object(["a"], a=first), _object(["a", "z"], a=first, z=second))
    assert not _accepts(_object(["z"], a=first, z=second), _object(["a"], a=first))


@given(_schemas, _schemas)
def test_nesting_does_not_change_the_answer(reader: dict[str, Any], writer: dict[str, Any]) -> None:
    assert _accepts(_object(a=reader), _object(a=writer)) is _accepts(reader, writer)
    definitions = {"$defs": {"X": reader}, "$ref": "#/$defs/X"}
    assert _accepts(definitions, {"definitions": {"Y": writer}, "$ref": "#/definitions/Y"}) is _accepts(reader, writer)
