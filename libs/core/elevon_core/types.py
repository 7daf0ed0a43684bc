"""Literal types: whether a value of one may flow into another, and how a type reads to people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from elevon_idl.core import v1 as core
from google.protobuf.message import Message

from elevon_core import json_schemas

_SIMPLE_NAMES = {
    core.NONE: "none",
    core.INTEGER: "int",
    core.FLOAT: "float",
    core.STRING: "str",
    core.BOOLEAN: "bool",
    core.DATETIME: "datetime",
    core.DURATION: "duration",
    core.BINARY: "binary",
    core.ERROR: "error",
    core.STRUCT: "struct",
}

_Column = core.SchemaType.SchemaColumn

_COLUMN_TYPES = {
    _Column.INTEGER: core.INTEGER,
    _Column.FLOAT: core.FLOAT,
    _Column.STRING: core.STRING,
    _Column.BOOLEAN: core.BOOLEAN,
    _Column.DATETIME: core.DATETIME,
    _Column.DURATION: core.DURATION,
}

_LONGEST_DESCRIPTION = 500
_MOST_ITEMS = 8


def castable(upstream: core.LiteralType, downstream: core.LiteralType) -> bool:
    """Whether a value of the upstream type may be bound where the downstream type is expected.

    Reflexive, not symmetric, not transitive. A union of exactly one variant counts as that variant, or as itself.
    INTEGER and FLOAT do not flow into each other; the dimensionality of blobs is not compared.
    """
    if upstream == downstream:
        return True
    alone = _is_union(upstream) and len(upstream.union_type.variants) == 1
    given, expected = _peeled(upstream), _peeled(downstream)
    if _is_union(expected):
        return _accepts_union(expected, given, alone)
    rule = _RULES.get(expected.WhichOneof("type"), _accepts_untyped)
    return rule(expected, given)


def is_optional(literal_type: core.LiteralType) -> bool:
    """Whether the type is a union that has NONE among its variants, so that a binding may be left out."""
    return any(is_none_type(variant) for variant in literal_type.union_type.variants)


def is_none_type(literal_type: core.LiteralType) -> bool:
    """Whether the type is the simple type NONE; a message without any type is not."""
    return literal_type.WhichOneof("type") == "simple" and literal_type.simple == core.NONE


def describe(literal_type: core.LiteralType) -> str:
    """The type as people write it: `list[int]`, `union[str, none]`; cut at 500 characters.

    A tag that the simple name does not tell already is appended, since two types may differ in nothing else.
    """
    text = _describe(literal_type)
    return text if len(text) <= _LONGEST_DESCRIPTION else text[: _LONGEST_DESCRIPTION - 1] + "…"


def _is_union(literal_type: core.LiteralType) -> bool:
    return literal_type.WhichOneof("type") == "union_type"


def _peeled(literal_type: core.LiteralType) -> core.LiteralType:
    """The type within unions of exactly one variant, however many lie around it."""
    while len(literal_type.union_type.variants) == 1:
        literal_type = literal_type.union_type.variants[0]
    return literal_type


def _accepts_simple(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    if downstream.simple == core.NONE:
        return is_none_type(upstream)
    kind = upstream.WhichOneof("type")
    if downstream.simple == core.STRING and kind == "enum_type":
        return True
    if kind != "simple" or upstream.simple != downstream.simple or not _tags_agree(downstream, upstream):
        return False
    return downstream.simple != core.STRUCT or _schemas_agree(downstream, upstream)


def _accepts_collection(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    if upstream.WhichOneof("type") != "collection_type":
        return False
    return _accepts_elements(downstream.collection_type, upstream.collection_type)


def _accepts_map(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    if upstream.WhichOneof("type") != "map_value_type":
        return False
    return _accepts_elements(downstream.map_value_type, upstream.map_value_type)


def _accepts_elements(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    # An empty list or map carries NONE as the type of its elements and fits wherever any list or map does.
    return is_none_type(upstream) or castable(upstream, downstream)


def _accepts_blob(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    if upstream.WhichOneof("type") != "blob":
        return False
    given, expected = upstream.blob.format, downstream.blob.format
    return given == expected or not given or not expected


def _accepts_schema(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    kind = upstream.WhichOneof("type")
    expected = downstream.schema.columns
    if kind == "schema":
        given = {(column.name, column.type) for column in upstream.schema.columns}
        return not given or all((column.name, column.type) in given for column in expected)
    if kind == "structured_dataset_type" and _reads_as_parquet(upstream.structured_dataset_type.format):
        columns = upstream.structured_dataset_type.columns
        simple = {(column.name, column.literal_type.simple) for column in columns if _is_simple(column.literal_type)}
        return not columns or all((column.name, _COLUMN_TYPES.get(column.type)) in simple for column in expected)
    return False


def _accepts_structured_dataset(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    expected = downstream.structured_dataset_type
    kind = upstream.WhichOneof("type")
    if kind == "structured_dataset_type":
        given = upstream.structured_dataset_type
        return _formats_agree(expected.format, given.format) and _columns_agree(expected.columns, given.columns)
    if kind == "schema":
        if not _reads_as_parquet(expected.format):
            return False
        simple = {(column.name, _COLUMN_TYPES.get(column.type)) for column in upstream.schema.columns}
        return not simple or all(
            _is_simple(column.literal_type) and (column.name, column.literal_type.simple) in simple
            for column in expected.columns
        )
    return is_none_type(upstream)


def _columns_agree(
    expected: Iterable[core.StructuredDatasetType.DatasetColumn],
    given: Iterable[core.StructuredDatasetType.DatasetColumn],
) -> bool:
    offered: dict[str, list[core.LiteralType]] = {}
    for column in given:
        offered.setdefault(column.name, []).append(column.literal_type)
    return not offered or all(
        any(castable(literal_type, column.literal_type) for literal_type in offered.get(column.name, ()))
        for column in expected
    )


def _accepts_union(downstream: core.LiteralType, upstream: core.LiteralType, alone: bool) -> bool:
    if alone or _is_union(upstream):
        # Whoever made the value has said which variant it is, also of unions within unions.
        return _accept_all(_flat(downstream), _flat(upstream) if _is_union(upstream) else [upstream])
    # Two variants that accept a bare value leave open which one is meant: that is refused, not guessed.
    return sum(castable(upstream, variant) for variant in downstream.union_type.variants) == 1


def _accept_all(downstream: Iterable[core.LiteralType], upstream: Iterable[core.LiteralType]) -> bool:
    """Whether each may flow into any; those that are among the others are not compared with each of them."""
    expected = {_fingerprint(variant): variant for variant in downstream}
    given = {_fingerprint(variant): variant for variant in upstream}
    others = (variant for fingerprint, variant in given.items() if fingerprint not in expected)
    return all(any(castable(one, variant) for variant in expected.values()) for one in others)


def _flat(union: core.LiteralType) -> Iterator[core.LiteralType]:
    """The variants, those of unions among them in their place."""
    for variant in union.union_type.variants:
        if _is_union(variant):
            yield from _flat(variant)
        else:
            yield variant


def _accepts_enum(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    kind = upstream.WhichOneof("type")
    if kind == "simple":
        return upstream.simple == core.STRING
    return kind == "enum_type" and upstream.enum_type == downstream.enum_type


def _accepts_untyped(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    return upstream.WhichOneof("type") is None and _tags_agree(downstream, upstream)


_RULES: dict[str | None, Callable[[core.LiteralType, core.LiteralType], bool]] = {
    "simple": _accepts_simple,
    "collection_type": _accepts_collection,
    "map_value_type": _accepts_map,
    "blob": _accepts_blob,
    "schema": _accepts_schema,
    "structured_dataset_type": _accepts_structured_dataset,
    "enum_type": _accepts_enum,
}


def _is_simple(literal_type: core.LiteralType) -> bool:
    return literal_type.WhichOneof("type") == "simple"


def _tags_agree(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    tag = upstream.structure.tag
    return not tag or tag == downstream.structure.tag


def _schemas_agree(downstream: core.LiteralType, upstream: core.LiteralType) -> bool:
    if not (downstream.HasField("metadata") and upstream.HasField("metadata")):
        return True
    return upstream.metadata == downstream.metadata or json_schemas.accepts(downstream.metadata, upstream.metadata)


def _reads_as_parquet(file_format: str) -> bool:
    return file_format.lower() in ("", "parquet")


def _formats_agree(expected: str, given: str) -> bool:
    return not expected or not given or expected.lower() == given.lower()


def _describe(literal_type: core.LiteralType) -> str:
    kind = literal_type.WhichOneof("type")
    text = _DESCRIPTIONS[kind](literal_type) if kind is not None else "unknown"
    tag = literal_type.structure.tag
    return f"{text}({tag})" if tag and tag != text else text


def _describe_simple(literal_type: core.LiteralType) -> str:
    name = _SIMPLE_NAMES.get(literal_type.simple, f"simple {literal_type.simple}")
    if literal_type.simple == core.STRUCT and "title" in literal_type.metadata.fields:
        title = literal_type.metadata.fields["title"].string_value
        return f"{name} {title}" if title else name
    return name


def _describe_blob(literal_type: core.LiteralType) -> str:
    multipart = literal_type.blob.dimensionality == core.BlobType.MULTIPART
    parts = [part for part in (literal_type.blob.format, "multipart" if multipart else "") if part]
    return "blob" + (f"[{', '.join(parts)}]" if parts else "")


def _describe_schema(literal_type: core.LiteralType) -> str:
    columns = literal_type.schema.columns
    items = (
        f"{column.name}: {_SIMPLE_NAMES.get(_COLUMN_TYPES.get(column.type, core.NONE), '?')}"
        for column in columns[:_MOST_ITEMS]
    )
    return "schema" + (f"[{_listed(items, len(columns))}]" if columns else "")


def _describe_structured_dataset(literal_type: core.LiteralType) -> str:
    dataset = literal_type.structured_dataset_type
    columns = dataset.columns
    items = (f"{column.name}: {_describe(column.literal_type)}" for column in columns[:_MOST_ITEMS])
    parts = [part for part in (dataset.format, _listed(items, len(columns))) if part]
    return "structured_dataset" + (f"[{'; '.join(parts)}]" if parts else "")


def _listed(items: Iterable[str], count: int) -> str:
    return ", ".join(items) + (", …" if count > _MOST_ITEMS else "")


_DESCRIPTIONS: dict[str, Callable[[core.LiteralType], str]] = {
    "simple": _describe_simple,
    "collection_type": lambda this: f"list[{_describe(this.collection_type)}]",
    "map_value_type": lambda this: f"dict[str, {_describe(this.map_value_type)}]",
    "blob": _describe_blob,
    "schema": _describe_schema,
    "structured_dataset_type": _describe_structured_dataset,
    "union_type": lambda this: f"union[{', '.join(_describe(variant) for variant in this.union_type.variants)}]",
    "enum_type": lambda this: (
        f"enum[{_listed(map(repr, this.enum_type.values[:_MOST_ITEMS]), len(this.enum_type.values))}]"
    ),
}


def distinct(types: Iterable[core.LiteralType]) -> list[core.LiteralType]:
    """The types without repetitions, in a stable order that does not depend on the order given."""
    seen: dict[bytes, core.LiteralType] = {}
    for literal_type in types:
        seen.setdefault(_fingerprint(literal_type), literal_type)
    return sorted(seen.values(), key=lambda literal_type: (_describe(literal_type), _fingerprint(literal_type)))


def _fingerprint(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
