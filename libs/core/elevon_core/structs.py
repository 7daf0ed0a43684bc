"""Protobuf structs as plain Python values, whatever numbers they hold."""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2


def plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The struct as a dictionary, names in order; numbers are floats, NaN and infinities included."""
    return {name: _plain_value(struct.fields[name]) for name in sorted(struct.fields)}


def given(struct: struct_pb2.Struct) -> dict[str, struct_pb2.Value]:
    """The fields that hold something: null says the same as leaving a field out, as in Kubernetes."""
    return {
        name: value for name, value in struct.fields.items() if value.WhichOneof("kind") not in (None, "null_value")
    }


def _plain_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain(value.struct_value)
    if kind == "list_value":
        return [_plain_value(item) for item in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)
