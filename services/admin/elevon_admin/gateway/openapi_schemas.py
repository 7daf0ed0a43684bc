"""Schemas of messages for the OpenAPI document: their JSON with the names of the protos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from elevon_admin.gateway.fields import is_repeated

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/"

WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
        "additionalProperties": True,
    },
    "google.protobuf.BoolValue": {"type": ["boolean", "null"]},
    "google.protobuf.DoubleValue": {"type": ["number", "null"]},
    "google.protobuf.Duration": {"type": "string", "description": "Seconds with the letter s, such as 3.5s."},
    "google.protobuf.Int32Value": {"type": ["integer", "null"], "format": "int32"},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.StringValue": {"type": ["string", "null"]},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Value": {},
}
SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FIXED32: {"type": "integer", "format": "int64", "minimum": 0},
    FieldDescriptor.TYPE_FIXED64: {"type": "string", "format": "uint64"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_SFIXED32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_SFIXED64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_SINT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_SINT64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64"},
}
"""How JSON spells them: integers of 64 bits are texts, for JavaScript's numbers cannot hold them."""

STATUS = "google.rpc.Status"
STATUS_SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "code": {"type": "integer", "format": "int32", "description": "A code of google.rpc.Code."},
        "message": {"type": "string"},
        "details": {"type": "array", "items": WELL_KNOWN["google.protobuf.Any"]},
    },
}


class Schemas:
    """Collects the schemas of messages and of all that they hold."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {STATUS: STATUS_SCHEMA}

    def reference(self, descriptor: Descriptor) -> Schema:
        """Answer where the schema of a message is; writes it on the first call."""
        if descriptor.full_name in WELL_KNOWN:
            return WELL_KNOWN[descriptor.full_name]
        if descriptor.full_name not in self.components:
            component: Schema = {"type": "object"}
            self.components[descriptor.full_name] = component  # in place before its fields, which may lead back to it
            component["properties"] = {field.name: self._field(field) for field in descriptor.fields}
        return {"$ref": REFERENCE + descriptor.full_name}

    def _field(self, field: FieldDescriptor) -> Schema:
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self._single(message.fields_by_name["value"])}
        if is_repeated(field):
            return {"type": "array", "items": self._single(field)}
        single = self._single(field)
        if message is not None and single:
            return {"anyOf": [single, {"type": "null"}]}
        return single

    def _single(self, field: FieldDescriptor) -> Schema:
        if field.message_type is not None:
            return self.reference(field.message_type)
        return plain_schema(field)


def plain_schema(field: FieldDescriptor) -> Schema:
    """Answer the schema of one value of a field that holds no message."""
    return enum_schema(field.enum_type) if field.enum_type is not None else SCALARS[field.type]


def enum_schema(enum: EnumDescriptor) -> Schema:
    """Answer the schema of an enum: its names."""
    return {"type": "string", "enum": [value.name for value in enum.values]}


def query_fields(descriptor: Descriptor, prefix: str = "", above: tuple[str, ...] = ()) -> Iterator[tuple[str, Schema]]:
    """Every field that a query can hold, by its dotted name; a message inside itself is left out."""
    for field in descriptor.fields:
        name = prefix + field.name
        message = field.message_type
        if message is None:
            plain = plain_schema(field)
            yield name, {"type": "array", "items": plain} if is_repeated(field) else plain
        elif is_repeated(field) or message.full_name in above:
            continue
        elif message.full_name in ("google.protobuf.Duration", "google.protobuf.Timestamp"):
            yield name, WELL_KNOWN[message.full_name]
        elif not message.full_name.startswith("google.protobuf."):
            yield from query_fields(message, f"{name}.", (*above, descriptor.full_name))
