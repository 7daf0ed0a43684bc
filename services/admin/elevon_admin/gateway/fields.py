"""Fields of messages by dotted name, and their values from text, as paths and queries carry them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from elevon_core.errors import InvalidArgument
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
DECIMAL = re.compile(r"[+-]?(inf(inity)?|nan|([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)", re.IGNORECASE)
BOOLEANS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "false", "FALSE", "False"), False
)
RANGES = {
    FieldDescriptor.CPPTYPE_INT32: range(-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_UINT32: range(2**32),
    FieldDescriptor.CPPTYPE_INT64: range(-(2**63), 2**63),
    FieldDescriptor.CPPTYPE_UINT64: range(2**64),
}

BASE64_RULE = "it must be base64"

Convert = Callable[[str, str], Any]


def is_repeated(field: FieldDescriptor) -> bool:
    """Tell whether a field holds many values; protobuf 5 has only the label, later versions discourage it."""
    if hasattr(field, "is_repeated"):
        return field.is_repeated
    label: int = getattr(field, "label")  # noqa: B009 - the type stubs know later versions only
    return label == FieldDescriptor.LABEL_REPEATED


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A field inside nested messages that holds one value."""

    name: str
    parents: tuple[str, ...]
    leaf: FieldDescriptor
    convert: Convert

    def assign(self, message: Message, text: str) -> None:
        """Set the field from text; raises InvalidArgument when the text is no value of it."""
        for parent in self.parents:
            message = getattr(message, parent)
        setattr(message, self.leaf.name, self.convert(self.name, text))


def field_path(descriptor: Descriptor, name: str) -> FieldPath:
    """Find a field by the dotted names of the protos; raises InvalidArgument when it does not hold one plain value."""
    *parents, last = name.split(".")
    here: Descriptor | None = descriptor
    for parent in parents:
        found = here.fields_by_name.get(parent) if here is not None else None
        here = found.message_type if found is not None and not is_repeated(found) else None
    leaf = here.fields_by_name.get(last) if here is not None else None
    if leaf is None or is_repeated(leaf) or leaf.message_type is not None:
        raise InvalidArgument.invalid("path", name, f"{descriptor.full_name} has no such field with one plain value")
    return FieldPath(name, tuple(parents), leaf, converter(leaf))


def converter(field: FieldDescriptor) -> Convert:
    """Answer what turns text into a value of a field; its first argument is what errors call the field."""
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.cpp_type in RANGES:
        return _integer(RANGES[field.cpp_type])
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _boolean
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return _decimal
    return _bytes if field.type == FieldDescriptor.TYPE_BYTES else _text


def _text(_name: str, text: str) -> str:
    return text


def _integer(bounds: range) -> Convert:
    def convert(name: str, text: str) -> int:
        value = int(text) if INTEGER.fullmatch(text) else None
        if value is None or value not in bounds:
            raise InvalidArgument.invalid(name, text, integer_rule(bounds))
        return value

    return convert


def _boolean(name: str, text: str) -> bool:
    if text not in BOOLEANS:
        raise InvalidArgument.invalid(name, text, "it must be true or false")
    return BOOLEANS[text]


def _decimal(name: str, text: str) -> float:
    if not DECIMAL.fullmatch(text):
        raise InvalidArgument.invalid(name, text, "it must be a number")
    return float(text)


def _bytes(name: str, text: str) -> bytes:
    """Base64 of either alphabet, with or without padding."""
    try:
        return _decoded(text)
    except (binascii.Error, ValueError):
        raise InvalidArgument.invalid(name, text, BASE64_RULE) from None


def _decoded(text: str) -> bytes:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def is_base64(text: str) -> bool:
    """Whether a text is base64 of either alphabet, with or without padding."""
    try:
        _decoded(text)
    except (binascii.Error, ValueError):
        return False
    return True


def integer_rule(bounds: range) -> str:
    """What errors say of integers."""
    return f"it must be an integer from {bounds.start} to {bounds.stop - 1}"


def enum_rule(enum: EnumDescriptor) -> str:
    """What errors say of enums."""
    return "it must be one of " + ", ".join(f"{value.name} ({value.number})" for value in enum.values)


def _enum(enum: EnumDescriptor) -> Convert:
    numbers = {value.number for value in enum.values}  # values_by_number takes 2**32 for 0

    def convert(name: str, text: str) -> int:
        if text in enum.values_by_name:
            return enum.values_by_name[text].number
        if INTEGER.fullmatch(text) and int(text) in numbers:
            return int(text)
        raise InvalidArgument.invalid(name, text, enum_rule(enum))

    return convert
