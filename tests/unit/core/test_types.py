"""Castability, rule by rule, and the readable form of types."""

from __future__ import annotations

from typing import Any

import pytest
from elevon_core import types
from elevon_idl.core import v1 as core
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

_Column = core.SchemaType.SchemaColumn


def _simple(simple: core.SimpleType.ValueType, tag: str = "") -> core.LiteralType:
    return core.LiteralType(simple=simple, structure=core.TypeStructure(tag=tag) if tag else None)


def _list(element: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(collection_type=element)


def _map(element: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(map_value_type=element)


def _union(*variants: core.LiteralType) -> core.LiteralType:
    return core.LiteralType(union_type=core.UnionType(variants=variants))


def _blob(file_format: str, dimensionality: core.BlobType.BlobDimensionality.ValueType = 0) -> core.LiteralType:  # type: ignore[assignment] # zero is SINGLE
    return core.LiteralType(blob=core.BlobType(format=file_format, dimensionality=dimensionality))


def _schema(**columns: _Column.SchemaColumnType.ValueType) -> core.LiteralType:
    found = [_Column(name=name, type=kind) for name, kind in columns.items()]
    return core.LiteralType(schema=core.SchemaType(columns=found))


def _dataset(file_format: str = "", **columns: core.LiteralType) -> core.LiteralType:
    found = [
        core.StructuredDatasetType.DatasetColumn(name=name, literal_type=literal_type)
        for name, literal_type in columns.items()
    ]
    return core.LiteralType(structured_dataset_type=core.StructuredDatasetType(columns=found, format=file_format))


def _enum(*values: str) -> core.LiteralType:
    return core.LiteralType(enum_type=core.EnumType(values=values))


def _struct(schema: dict[str, Any] | None = None, tag: str = "") -> core.LiteralType:
    literal_type = _simple(core.STRUCT, tag)
    if schema is not None:
        literal_type.metadata.update(schema)
    return literal_type


_NONE, _INT, _FLOAT, _STR, _BOOL = map(_simple, (core.NONE, core.INTEGER, core.FLOAT, core.STRING, core.BOOLEAN))
_A_INT = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
_A_STR = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("upstream", "downstream"),
    [
        (_NONE, _NONE),
        (_INT, _INT),
        (_list(_NONE), _list(_INT)),
        (_list(_list(_NONE)), _list(_list(_INT))),
        (_map(_NONE), _map(_STR)),
        (_map(_enum("a")), _map(_STR)),
        (_blob("csv"), _blob("csv")),
        (_blob("csv"), _blob("")),
        (_blob(""), _blob("csv")),
        (_blob("csv", core.BlobType.MULTIPART), _blob("csv")),
        (_schema(), _schema(a=_Column.INTEGER)),
        (_schema(a=_Column.INTEGER), _schema()),
        (_schema(a=_Column.INTEGER, b=_Column.STRING), _schema(a=_Column.INTEGER)),
        (_dataset("Parquet", a=_INT), _schema(a=_Column.INTEGER)),
        (_dataset(""), _schema(a=_Column.INTEGER)),
        (_NONE, _dataset("csv")),
        (_dataset("CSV"), _dataset("csv")),
        (_dataset(""), _dataset("csv", a=_INT)),
        (_dataset("csv", a=_INT), _dataset("csv")),
        (_dataset("", a=_enum("x"), b=_INT), _dataset("csv", a=_STR)),
        (_schema(a=_Column.FLOAT), _dataset("", a=_FLOAT)),
        (_schema(), _dataset("PARQUET", a=_FLOAT)),
        (_INT, _union(_INT, _STR)),
        (_NONE, _union(_INT, _NONE)),
        (_union(_INT), _INT),
        (_union(_INT), _union(_INT, _STR)),
        (_union(_INT, _STR), _union(_STR, _BOOL, _INT)),
        (_union(_STR), _union(_STR, _enum("a"))),
        (_union(_STR, _enum("a")), _union(_NONE, _union(_STR, _enum("a")))),
        (_union(_enum("a")), _union(_NONE, _union(_STR, _enum("a")))),
        (_union(_NONE, _union(_STR, _enum("a"))), _union(_enum("a"), _NONE, _STR)),
        (_union(_simple(core.STRING, "a")), _union(_simple(core.STRING, "a"), _simple(core.STRING, "b"))),
        (_list(_union(_INT)), _list(_union(_INT, _NONE))),
        (_list(_union(_union(_INT), _union(_STR))), _list(_union(_INT, _STR))),
        (_STR, _enum("a", "b")),
        (_enum("a"), _enum("a")),
        (_enum("a"), _STR),
        (_simple(core.INTEGER, "int"), _simple(core.INTEGER, "int")),
        (_INT, _simple(core.INTEGER, "int")),
        (_struct(), _struct(_A_INT)),
        (_struct(_A_INT), _struct()),
        (_struct(_A_INT), _struct(_A_INT)),
        (_struct({**_A_INT, "title": "Other"}), _struct(_A_INT)),
        (core.LiteralType(), core.LiteralType()),
    ],
)
def test_castable(upstream: core.LiteralType, downstream: core.LiteralType) -> None:
    assert types.castable(upstream, downstream)


@pytest.mark.parametrize(
    ("upstream", "downstream"),
    [
        (_INT, _FLOAT),
        (_FLOAT, _INT),
        (_INT, _NONE),
        (_NONE, _INT),
        (core.LiteralType(), _NONE),
        (_INT, core.LiteralType()),
        (_INT, _list(_INT)),
        (_list(_INT), _INT),
        (_list(_INT), _list(_FLOAT)),
        (_list(_INT), _map(_INT)),
        (_map(_INT), _list(_INT)),
        (_map(_INT), _map(_STR)),
        (_blob("csv"), _blob("txt")),
        (_STR, _blob("csv")),
        (_schema(a=_Column.INTEGER), _schema(a=_Column.STRING)),
        (_schema(a=_Column.INTEGER), _schema(b=_Column.INTEGER)),
        (_dataset("csv", a=_INT), _schema(a=_Column.INTEGER)),
        (_dataset("", a=_STR), _schema(a=_Column.INTEGER)),
        (_dataset("", a=_list(_INT)), _schema(a=_Column.INTEGER)),
        (_INT, _schema()),
        (_dataset("csv"), _dataset("parquet")),
        (_dataset("", a=_INT), _dataset("", b=_INT)),
        (_dataset("", a=_INT), _dataset("", a=_FLOAT)),
        (_schema(a=_Column.FLOAT), _dataset("csv", a=_FLOAT)),
        (_schema(a=_Column.FLOAT), _dataset("", a=_INT)),
        (_schema(a=_Column.FLOAT), _dataset("", a=_list(_FLOAT))),
        (_INT, _dataset()),
        (_BOOL, _union(_INT, _STR)),
        (_enum("a"), _union(_STR, _enum("a"))),
        (_STR, _union(_STR, _enum("a"))),
        (_STR, _union(_NONE, _union(_STR, _enum("a")))),
        (_union(_NONE, _union(_INT, _BOOL)), _union(_NONE, _union(_INT, _STR))),
        (_union(_INT, _BOOL), _union(_INT, _STR)),
        (_union(_INT, _STR), _INT),
        (_INT, _union()),
        (_INT, _enum("1")),
        (_enum("a"), _enum("b")),
        (_enum("a", "b"), _enum("b", "a")),
        (_enum("a"), _INT),
        (_simple(core.INTEGER, "int"), _INT),
        (_simple(core.INTEGER, "int"), _simple(core.INTEGER, "other")),
        (_simple(core.STRING, "a"), _simple(core.STRING, "b")),
        (_struct(tag="A"), _struct(tag="B")),
        (_struct(_A_INT), _struct(_A_STR)),
        (_struct(), _simple(core.BINARY)),
    ],
)
def test_not_castable(upstream: core.LiteralType, downstream: core.LiteralType) -> None:
    assert not types.castable(upstream, downstream)


def _annotate(literal_type: core.LiteralType) -> None:
    literal_type.annotation.annotations.update({"note": "differs"})
    kind = literal_type.WhichOneof("type")
    inner = [column.literal_type for column in literal_type.structured_dataset_type.columns]
    inner.extend(literal_type.union_type.variants)
    if kind in ("collection_type", "map_value_type"):
        inner.append(getattr(literal_type, kind))
    for part in inner:
        _annotate(part)


@given(st.from_type(core.LiteralType))
def test_castable_is_reflexive(literal_type: core.LiteralType) -> None:
    # Annotations do not count, but get the comparison past the short cut for equal messages, at every level.
    other = core.LiteralType()
    other.CopyFrom(literal_type)
    _annotate(other)
    assert types.castable(literal_type, literal_type)
    assert types.castable(other, literal_type)
    assert types.castable(literal_type, other)


@given(st.from_type(core.LiteralType), st.from_type(core.LiteralType))
def test_elements_decide_for_lists_and_maps(upstream: core.LiteralType, downstream: core.LiteralType) -> None:
    expected = types.is_none_type(upstream) or types.castable(upstream, downstream)
    assert types.castable(_list(upstream), _list(downstream)) is expected
    assert types.castable(_map(upstream), _map(downstream)) is expected
    assert not types.castable(_list(upstream), _map(downstream))


@given(st.from_type(core.LiteralType), st.from_type(core.LiteralType))
def test_a_union_of_one_passes_as_its_variant(upstream: core.LiteralType, downstream: core.LiteralType) -> None:
    if types.castable(upstream, downstream):
        assert types.castable(_union(upstream), downstream)


@given(st.from_type(core.LiteralType), st.lists(st.from_type(core.LiteralType), min_size=1, max_size=3))
def test_unions_take_their_variants(upstream: core.LiteralType, variants: list[core.LiteralType]) -> None:
    downstream = _union(*variants)
    if upstream.WhichOneof("type") != "union_type":
        assert types.castable(upstream, downstream) is (
            [types.castable(upstream, one) for one in variants].count(True) == 1
        )
    if len(variants) > 1:
        assert types.castable(_union(*variants[1:]), downstream)


_FEW = st.sampled_from([_NONE, _INT, _STR, _simple(core.STRING, "a"), _enum("a"), _enum("b"), _struct(), _list(_NONE)])
_UNIONS = st.recursive(st.lists(_FEW, max_size=4), lambda inner: st.lists(_FEW | inner.map(lambda of: _union(*of))))


def _variants(union: core.LiteralType) -> list[core.LiteralType]:
    inner = [_variants(each) if each.HasField("union_type") else [each] for each in union.union_type.variants]
    return [variant for variants in inner for variant in variants]


@given(_UNIONS, _UNIONS)
def test_each_variant_of_a_union_fits_into_one_of_the_other(
    upstream: list[core.LiteralType], downstream: list[core.LiteralType]
) -> None:
    given_variants, expected = _variants(_union(*upstream)), _variants(_union(*downstream))
    if len(upstream) != 1 and len(downstream) != 1:
        fits = all(any(types.castable(one, variant) for variant in expected) for one in given_variants)
        assert types.castable(_union(*upstream), _union(*downstream)) is fits


def test_equal_variants_are_not_compared_with_each_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, castable = 0, types.castable

    def counted(upstream: core.LiteralType, downstream: core.LiteralType) -> bool:
        nonlocal compared
        compared += 1
        return castable(upstream, downstream)

    monkeypatch.setattr(types, "castable", counted)
    variants = [_struct(tag=f"t{number}") for number in range(1_000)]
    assert types.castable(_union(*reversed(variants)), _union(_NONE, *variants, *variants))
    assert compared == 1


@given(st.from_type(core.LiteralType), st.from_type(struct_pb2.Struct))
def test_metadata_counts_for_structs_only(literal_type: core.LiteralType, metadata: struct_pb2.Struct) -> None:
    other = core.LiteralType()
    other.CopyFrom(literal_type)
    other.metadata.CopyFrom(metadata)
    if not (literal_type.WhichOneof("type") == "simple" and literal_type.simple == core.STRUCT):
        assert types.castable(other, literal_type)


def test_nested_unions_of_one_cost_no_more_than_their_depth() -> None:
    upstream, downstream = _INT, _union(_STR, _BOOL)
    for _ in range(40):
        upstream, downstream = _union(upstream), _union(downstream)
    assert not types.castable(upstream, downstream)
    assert types.castable(upstream, _union(_INT))


def test_is_optional() -> None:
    assert types.is_optional(_union(_INT, _NONE))
    assert not types.is_optional(_union(_INT, _STR))
    assert not types.is_optional(_NONE)
    assert not types.is_optional(_union(core.LiteralType()))


@pytest.mark.parametrize(
    ("literal_type", "expected"),
    [
        (_list(_INT), "list[int]"),
        (_map(_list(_FLOAT)), "dict[str, list[float]]"),
        (_union(_simple(core.STRING, "str"), _NONE), "union[str, none]"),
        (_simple(core.STRING, "path"), "str(path)"),
        (_blob(""), "blob"),
        (_blob("csv", core.BlobType.MULTIPART), "blob[csv, multipart]"),
        (_schema(), "schema"),
        (_schema(a=_Column.INTEGER, b=_Column.STRING), "schema[a: int, b: str]"),
        (_dataset(), "structured_dataset"),
        (_dataset("parquet", a=_list(_INT)), "structured_dataset[parquet; a: list[int]]"),
        (_enum("a", "b"), "enum['a', 'b']"),
        (_enum(*"abcdefghij"), "enum['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', …]"),
        (_struct({"title": "Point"}), "struct Point"),
        (_struct({"title": 3}), "struct"),
        (core.LiteralType.FromString(b"\x08\x63"), "simple 99"),
        (core.LiteralType(), "unknown"),
    ],
)
def test_describe(literal_type: core.LiteralType, expected: str) -> None:
    assert types.describe(literal_type) == expected


@given(st.from_type(core.LiteralType))
def test_descriptions_are_short(literal_type: core.LiteralType) -> None:
    assert 0 < len(types.describe(_union(*[literal_type] * 200))) <= 500


@given(st.lists(st.from_type(core.LiteralType), max_size=5))
def test_distinct_does_not_depend_on_order(found: list[core.LiteralType]) -> None:
    shuffled = list(reversed(found))
    distinct = types.distinct(found)
    assert distinct == types.distinct(shuffled + found)
    assert all(literal_type in distinct for literal_type in found)
    assert len(distinct) <= len(found)
