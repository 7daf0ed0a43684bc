"""Literals: making them, telling their type, rendering them into commands."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

from elevon_idl.core import v1 as core
from google.protobuf import duration_pb2, timestamp_pb2

from elevon_core import types
from elevon_core.binaries import MSGPACK
from elevon_core.errors import InvalidArgument
from elevon_core.rendering import render as render  # belongs to this vocabulary, fills a module of its own

_PRIMITIVE_TYPES = {
    "integer": core.INTEGER,
    "float_value": core.FLOAT,
    "string_value": core.STRING,
    "boolean": core.BOOLEAN,
    "datetime": core.DATETIME,
    "duration": core.DURATION,
}


def integer(value: int) -> core.Literal:
    """An INTEGER; InvalidArgument outside of 64 signed bits."""
    if not -(2**63) <= value < 2**63:
        raise InvalidArgument.invalid("integer", value, "must fit into 64 signed bits")
    return _primitive(core.Primitive(integer=value))


def float_(value: float) -> core.Literal:
    """A FLOAT; NaN and infinities included."""
    return _primitive(core.Primitive(float_value=value))


def string(value: str) -> core.Literal:
    """A STRING."""
    return _primitive(core.Primitive(string_value=value))


def boolean(value: bool) -> core.Literal:
    """A BOOLEAN."""
    return _primitive(core.Primitive(boolean=value))


def datetime_(value: datetime.datetime) -> core.Literal:
    """A DATETIME; a value without a time zone is taken as UTC."""
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(value)
    return _primitive(core.Primitive(datetime=stamp))


def duration(value: datetime.timedelta) -> core.Literal:
    """A DURATION."""
    span = duration_pb2.Duration()
    span.FromTimedelta(value)
    return _primitive(core.Primitive(duration=span))


def none_literal() -> core.Literal:
    """The literal that stands for no value."""
    return core.Literal(scalar=core.Scalar(none_type=core.Void()))


def collection(elements: Iterable[core.Literal]) -> core.Literal:
    """A list of literals."""
    return core.Literal(collection=core.LiteralCollection(literals=elements))


def map_(elements: Mapping[str, core.Literal]) -> core.Literal:
    """A map of literals by name."""
    return core.Literal(map=core.LiteralMap(literals=elements))


def union(value: core.Literal, variant: core.LiteralType) -> core.Literal:
    """A value together with the variant of the union it stands for."""
    return core.Literal(scalar=core.Scalar(union=core.Union(value=value, type=variant)))


def is_none(literal: core.Literal) -> bool:
    """Whether the literal is none, or a union whose value is."""
    if literal.WhichOneof("value") != "scalar":
        return False
    kind = literal.scalar.WhichOneof("value")
    return kind == "none_type" or (kind == "union" and is_none(literal.scalar.union.value))


def literal_type(literal: core.Literal) -> core.LiteralType:
    """The type a literal tells of itself; an empty list or map has elements of type NONE.

    InvalidArgument for a literal, or one within it, that holds nothing that has a type.
    """
    kind = literal.WhichOneof("value")
    if kind == "scalar":
        return _scalar_type(literal.scalar)
    if kind == "collection":
        return core.LiteralType(collection_type=_element_type(literal.collection.literals))
    if kind == "map":
        return core.LiteralType(map_value_type=_element_type(literal.map.literals.values()))
    if kind == "offloaded_metadata":
        return literal.offloaded_metadata.inferred_type
    raise InvalidArgument("got unknown literal type: a literal without a value")


def _primitive(value: core.Primitive) -> core.Literal:
    return core.Literal(scalar=core.Scalar(primitive=value))


def _scalar_type(scalar: core.Scalar) -> core.LiteralType:
    kind = scalar.WhichOneof("value")
    if kind == "primitive":
        return core.LiteralType(simple=_primitive_type(scalar.primitive))
    if kind == "binary":
        return core.LiteralType(simple=core.STRUCT if scalar.binary.tag == MSGPACK else core.BINARY)
    if kind == "generic":
        return core.LiteralType(simple=core.STRUCT)
    if kind == "none_type":
        return core.LiteralType(simple=core.NONE)
    if kind == "error":
        return core.LiteralType(simple=core.ERROR)
    if kind == "union":
        return core.LiteralType(union_type=core.UnionType(variants=[scalar.union.type]))
    return _stored_type(scalar, kind)


def _stored_type(scalar: core.Scalar, kind: str | None) -> core.LiteralType:
    """The type that stands beside the address of data kept elsewhere."""
    if kind == "blob":
        return core.LiteralType(blob=scalar.blob.metadata.type)
    if kind == "schema":
        return core.LiteralType(schema=scalar.schema.type)
    if kind == "structured_dataset":
        return core.LiteralType(structured_dataset_type=scalar.structured_dataset.metadata.structured_dataset_type)
    raise InvalidArgument("got unknown literal type: a scalar without a value")


def _primitive_type(primitive: core.Primitive) -> core.SimpleType.ValueType:
    kind = primitive.WhichOneof("value")
    if kind is None:
        raise InvalidArgument("got unknown literal type: a primitive without a value")
    return _PRIMITIVE_TYPES[kind]


def _element_type(elements: Iterable[core.Literal]) -> core.LiteralType:
    simple: set[core.SimpleType.ValueType] = set()
    others: dict[bytes, core.LiteralType] = {}
    for element in elements:
        # Long lists are lists of primitives: their types are told apart without building a message for each.
        if element.WhichOneof("value") == "scalar" and element.scalar.WhichOneof("value") == "primitive":
            simple.add(_primitive_type(element.scalar.primitive))
        else:
            found = literal_type(element)
            others.setdefault(found.SerializeToString(deterministic=True), found)
    return _joined([core.LiteralType(simple=kind) for kind in simple] + list(others.values()))


def _joined(found: list[core.LiteralType]) -> core.LiteralType:
    """One type for the elements of a list or map: the only one, or the union of all."""
    if not found:
        return core.LiteralType(simple=core.NONE)
    if len(found) > 1:
        found = _flattened(_without_empty(found))
    if len(found) == 1:
        return found[0]
    return core.LiteralType(union_type=core.UnionType(variants=types.distinct(found)))


def _without_empty(found: list[core.LiteralType]) -> list[core.LiteralType]:
    """Drops the type of an empty list or map where one that is not empty tells more."""
    kinds = {kind for this in found if (kind := this.WhichOneof("type")) and not _is_empty(this)}
    return [this for this in found if not (_is_empty(this) and this.WhichOneof("type") in kinds)]


def _is_empty(this: core.LiteralType) -> bool:
    kind = this.WhichOneof("type")
    if kind == "collection_type":
        return types.is_none_type(this.collection_type)
    return kind == "map_value_type" and types.is_none_type(this.map_value_type)


def _flattened(found: list[core.LiteralType]) -> list[core.LiteralType]:
    """Joins all lists into one list of a union if any is one: [[1, "a"], [2]] is a list of lists."""
    lists = [this for this in found if this.WhichOneof("type") == "collection_type"]
    if not any(this.collection_type.WhichOneof("type") == "union_type" for this in lists):
        return found
    variants: list[core.LiteralType] = []
    for this in lists:
        variants.extend(this.collection_type.union_type.variants or [this.collection_type])
    union_type = core.UnionType(variants=types.distinct(variants))
    joined = core.LiteralType(collection_type=core.LiteralType(union_type=union_type))
    return [joined, *(this for this in found if this.WhichOneof("type") != "collection_type")]
