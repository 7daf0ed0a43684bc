"""Random literals and types for the property tests: `st.from_type(core.Literal)`, `st.from_type(core.LiteralType)`."""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped]  # ships no type information
from elevon_idl.core import v1 as core
from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2
from hypothesis import strategies as st

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_plain = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


def _struct(fields: dict[str, Any]) -> struct_pb2.Struct:
    result = struct_pb2.Struct()
    result.update(fields)
    return result


_structs = st.builds(_struct, st.dictionaries(_texts, _plain, max_size=3))
_tags = st.sampled_from(["", "", "", "int", "other"]).map(lambda tag: core.TypeStructure(tag=tag) if tag else None)
_formats = st.sampled_from(["", "csv", "parquet", "PARQUET"])
_columns = st.sampled_from(["a", "b", "c"])
_schema_columns = st.builds(
    core.SchemaType.SchemaColumn,
    name=_columns,
    type=st.sampled_from(core.SchemaType.SchemaColumn.SchemaColumnType.values()),
)
_leaf_types = st.one_of(
    st.builds(core.LiteralType, simple=st.sampled_from(core.SimpleType.values()), structure=_tags),
    st.builds(core.LiteralType, simple=st.just(core.STRUCT), metadata=_structs),
    st.builds(core.BlobType, format=_formats, dimensionality=st.sampled_from([0, 1])).map(
        lambda blob: core.LiteralType(blob=blob)
    ),
    st.lists(st.sampled_from("xyz"), max_size=3).map(
        lambda values: core.LiteralType(enum_type=core.EnumType(values=values))
    ),
    st.lists(_schema_columns, max_size=3).map(
        lambda columns: core.LiteralType(schema=core.SchemaType(columns=columns))
    ),
    st.just(core.LiteralType()),
)


def _composite_types(inner: st.SearchStrategy[core.LiteralType]) -> st.SearchStrategy[core.LiteralType]:
    columns = st.builds(core.StructuredDatasetType.DatasetColumn, name=_columns, literal_type=inner)
    datasets = st.builds(core.StructuredDatasetType, columns=st.lists(columns, max_size=3), format=_formats)
    unions = st.builds(core.UnionType, variants=st.lists(inner, max_size=3))
    return st.one_of(
        inner.map(lambda element: core.LiteralType(collection_type=element)),
        inner.map(lambda element: core.LiteralType(map_value_type=element)),
        unions.map(lambda union: core.LiteralType(union_type=union)),
        datasets.map(lambda dataset: core.LiteralType(structured_dataset_type=dataset)),
    )


_types = st.recursive(_leaf_types, _composite_types, max_leaves=6)

_times = st.builds(
    timestamp_pb2.Timestamp, seconds=st.integers(-62135596800, 253402300799), nanos=st.integers(0, 999_999_999)
)
_spans = st.builds(duration_pb2.Duration, seconds=st.integers(0, 315_576_000_000), nanos=st.integers(0, 999_999_999))
_primitives = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(lambda value: core.Primitive(integer=value)),
    st.floats().map(lambda value: core.Primitive(float_value=value)),
    _texts.map(lambda value: core.Primitive(string_value=value)),
    st.booleans().map(lambda value: core.Primitive(boolean=value)),
    _times.map(lambda value: core.Primitive(datetime=value)),
    _spans.map(lambda value: core.Primitive(duration=value)),
)
_scalars = st.one_of(
    _primitives.map(lambda value: core.Scalar(primitive=value)),
    _structs.map(lambda value: core.Scalar(generic=value)),
    _plain.map(lambda value: core.Scalar(binary=core.Binary(value=msgpack.packb(value), tag="msgpack"))),
    st.binary(max_size=6).map(lambda value: core.Scalar(binary=core.Binary(value=value, tag="other"))),
    st.just(core.Scalar(none_type=core.Void())),
    st.builds(core.Error, failed_node_id=_texts, message=_texts).map(lambda value: core.Scalar(error=value)),
    _texts.map(lambda uri: core.Scalar(structured_dataset=core.StructuredDataset(uri=uri))),
    st.builds(core.Blob, uri=_texts, metadata=st.just(core.BlobMetadata(type=core.BlobType(format="csv")))).map(
        lambda value: core.Scalar(blob=value)
    ),
)
_marks = {"hash": st.sampled_from(["", "", "", "abc"]), "metadata": st.dictionaries(_texts, _texts, max_size=1)}
_offloaded = st.builds(
    core.LiteralOffloadedMetadata, uri=_texts, size_bytes=st.integers(0, 2**64 - 1), inferred_type=_types
)
_leaves = st.builds(core.Literal, scalar=_scalars, **_marks) | st.builds(
    core.Literal, offloaded_metadata=_offloaded, **_marks
)


def _composite_literals(inner: st.SearchStrategy[core.Literal]) -> st.SearchStrategy[core.Literal]:
    return st.one_of(
        st.lists(inner, max_size=3).map(
            lambda elements: core.Literal(collection=core.LiteralCollection(literals=elements))
        ),
        st.dictionaries(_texts, inner, max_size=3).map(
            lambda elements: core.Literal(map=core.LiteralMap(literals=elements))
        ),
        st.builds(core.Union, value=inner, type=_types).map(
            lambda union: core.Literal(scalar=core.Scalar(union=union))
        ),
    )


_literals = st.recursive(_leaves, _composite_literals, max_leaves=6)

st.register_type_strategy(core.LiteralType, _types)
st.register_type_strategy(core.Literal, _literals)
st.register_type_strategy(
    core.LiteralMap, st.dictionaries(_texts, _literals, max_size=4).map(lambda found: core.LiteralMap(literals=found))
)
st.register_type_strategy(struct_pb2.Struct, _structs)
