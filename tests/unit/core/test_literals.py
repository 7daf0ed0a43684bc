"""Literals: constructors and the types literals tell of themselves."""

from __future__ import annotations

import datetime

import pytest
from elevon_core import literals, types
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from hypothesis import given
from hypothesis import strategies as st

_INT = core.LiteralType(simple=core.INTEGER)
_STR = core.LiteralType(simple=core.STRING)
_NONE = core.LiteralType(simple=core.NONE)


def _list(element: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(collection_type=element)


def _map(element: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(map_value_type=element)


def _union(*variants: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(union_type=core.UnionType(variants=variants))


def _scalar(**value: object) -> core.Literal:
    return core.Literal(scalar=core.Scalar(**value))  # type: ignore[arg-type] # one field of the oneof


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        (literals.integer(0), _INT),
        (literals.float_(0), core.LiteralType(simple=core.FLOAT)),
        (literals.string(""), _STR),
        (literals.boolean(False), core.LiteralType(simple=core.BOOLEAN)),
        (literals.datetime_(datetime.datetime(2020, 1, 2)), core.LiteralType(simple=core.DATETIME)),
        (literals.duration(datetime.timedelta()), core.LiteralType(simple=core.DURATION)),
        (literals.none_literal(), _NONE),
        (_scalar(binary=core.Binary(tag="msgpack")), core.LiteralType(simple=core.STRUCT)),
        (_scalar(binary=core.Binary(tag="cbor")), core.LiteralType(simple=core.BINARY)),
        (_scalar(generic={}), core.LiteralType(simple=core.STRUCT)),
        (_scalar(error=core.Error()), core.LiteralType(simple=core.ERROR)),
        (
            _scalar(blob=core.Blob(metadata=core.BlobMetadata(type=core.BlobType(format="csv")))),
            core.LiteralType(blob=core.BlobType(format="csv")),
        ),
        (_scalar(schema=core.Schema(type=core.SchemaType())), core.LiteralType(schema=core.SchemaType())),
        (
            _scalar(structured_dataset=core.StructuredDataset(uri="s3://b/df")),
            core.LiteralType(structured_dataset_type=core.StructuredDatasetType()),
        ),
        (literals.union(literals.integer(1), _INT), _union(_INT)),
        (
            core.Literal(offloaded_metadata=core.LiteralOffloadedMetadata(inferred_type=_list(_INT))),
            _list(_INT),
        ),
        (literals.collection([]), _list(_NONE)),
        (literals.map_({}), _map(_NONE)),
        (literals.collection([literals.integer(1), literals.integer(2)]), _list(_INT)),
        (literals.map_({"a": literals.integer(1), "b": literals.string("x")}), _map(_union(_INT, _STR))),
        (literals.collection([literals.string("x"), literals.integer(1)]), _list(_union(_INT, _STR))),
        (
            literals.collection([literals.collection([]), literals.collection([literals.integer(1)])]),
            _list(_list(_INT)),
        ),
        (literals.collection([literals.map_({}), literals.map_({"a": literals.integer(1)})]), _list(_map(_INT))),
        (literals.collection([literals.collection([]), literals.integer(1)]), _list(_union(_INT, _list(_NONE)))),
    ],
)
def test_types_of_literals(literal: core.Literal, expected: core.LiteralType) -> None:
    assert literals.literal_type(literal) == expected


def test_lists_of_unions_are_flattened() -> None:
    one = literals.collection([literals.union(literals.integer(1), _INT)])
    other = literals.collection([literals.union(literals.string("x"), _STR)])
    assert literals.literal_type(literals.collection([one, other])) == _list(_list(_union(_INT, _STR)))
    mixed = literals.collection([literals.integer(1), literals.string("a")])
    uniform = literals.collection([literals.integer(2)])
    assert literals.literal_type(literals.collection([mixed, uniform])) == _list(_list(_union(_INT, _STR)))


@pytest.mark.parametrize(
    "literal",
    [
        core.Literal(),
        core.Literal(scalar=core.Scalar()),
        _scalar(primitive=core.Primitive()),
        literals.collection([core.Literal()]),
        literals.collection([_scalar(primitive=core.Primitive())]),
        literals.map_({"a": literals.collection([core.Literal(hash="x")])}),
    ],
)
def test_unknown_types(literal: core.Literal) -> None:
    with pytest.raises(InvalidArgument, match="got unknown literal type"):
        literals.literal_type(literal)


@given(st.lists(st.integers(0, 9).map(literals.integer) | st.text(max_size=3).map(literals.string), min_size=1))
def test_elements_fit_the_type_of_their_list(elements: list[core.Literal]) -> None:
    found = literals.literal_type(literals.collection(elements)).collection_type
    assert all(types.castable(literals.literal_type(element), found) for element in elements)
    assert found == literals.literal_type(literals.collection(reversed(elements))).collection_type


@given(st.from_type(core.Literal))
def test_types_do_not_depend_on_the_encoding(literal: core.Literal) -> None:
    again = core.Literal.FromString(literal.SerializeToString())
    assert literals.literal_type(literal) == literals.literal_type(again)
    assert literals.literal_type(literals.collection([literal, again])) == _list(literals.literal_type(literal))


def test_constructors() -> None:
    moment = datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert literals.integer(-(2**63)).scalar.primitive.integer == -(2**63)
    assert literals.datetime_(moment).scalar.primitive.datetime.seconds == 1577934245
    assert literals.duration(datetime.timedelta(milliseconds=1500)).scalar.primitive.duration.nanos == 500_000_000
    assert literals.boolean(False).scalar.primitive.WhichOneof("value") == "boolean"
    with pytest.raises(InvalidArgument, match="64 signed bits"):
        literals.integer(2**63)


def test_is_none() -> None:
    assert literals.is_none(literals.none_literal())
    assert literals.is_none(literals.union(literals.none_literal(), _NONE))
    assert not literals.is_none(literals.union(literals.integer(0), _INT))
    assert not literals.is_none(literals.collection([]))
    assert not literals.is_none(core.Literal())
