"""Whether JSON values fit the fields of a message, said in words that name the field.

protobuf's own reader says things in the words of Python, and where it ignores unknown fields it takes the name of an
unknown enum value for the first one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from elevon_core.errors import InvalidArgument
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from elevon_admin.gateway.fields import (
    BASE64_RULE,
    DECIMAL,
    INTEGER,
    RANGES,
    enum_rule,
    integer_rule,
    is_base64,
    is_repeated,
)

Check = Callable[[FieldDescriptor, Any], str]
"""Answers the rule that a value breaks, empty when it breaks none."""

LEFT_TO_PROTOBUF = "google.protobuf."
"""Messages with forms of their own, such as times; what is said of them is clear enough."""


def check_object(document: Any, descriptor: Descriptor, *, strict: bool, path: str = "") -> None:
    """Raise InvalidArgument unless a value is an object whose members fit; `strict` refuses members of other names."""
    if descriptor.full_name.startswith(LEFT_TO_PROTOBUF):
        return
    if not isinstance(document, dict):
        raise _refused(path, document, "it must be an object")
    names, given = fields_by_name(descriptor), set[str]()
    for name, value in document.items():
        place = f"{path}.{name}" if path else name
        field = names.get(name)
        if field is not None:
            if field.name in given:
                raise _refused(place, "twice", "a member can be given only once, in one of its spellings")
            given.add(field.name)
            _check_field(field, value, strict, place)
        elif strict or not _is_text(name):
            raise _refused(place, value, f"{descriptor.full_name} has no such field")


@cache
def fields_by_name(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    """Fields by both spellings of their names."""
    fields = descriptor.fields
    return {field.json_name: field for field in fields} | {field.name: field for field in fields}


def _check_field(field: FieldDescriptor, value: Any, strict: bool, place: str) -> None:
    if value is None:
        return  # as if it was not given
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        _check_map(message.fields_by_name["value"], value, strict, place)
    elif is_repeated(field):
        if not isinstance(value, list):
            raise _refused(place, value, "it must be a list")
        for number, each in enumerate(value):
            _check_one(field, each, strict, f"{place}[{number}]")
    else:
        _check_one(field, value, strict, place)


def _check_map(of: FieldDescriptor, value: Any, strict: bool, place: str) -> None:
    if not isinstance(value, dict):
        raise _refused(place, value, "it must be an object")
    for key, each in value.items():
        if not _is_text(key):
            raise _refused(place, key, "it must be text, and half of a character is none")
        _check_one(of, each, strict, f"{place}[{key}]")


def _check_one(field: FieldDescriptor, value: Any, strict: bool, place: str) -> None:
    if field.message_type is not None:
        check_object(value, field.message_type, strict=strict, path=place)
        return
    broken = _check_of(field)(field, value)
    if broken:
        raise _refused(place, value, broken)


def _check_of(field: FieldDescriptor) -> Check:
    if field.enum_type is not None:
        return _enum
    if field.cpp_type in RANGES:
        return _integer
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _boolean
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return _decimal
    return _bytes if field.type == FieldDescriptor.TYPE_BYTES else _string


def _enum(field: FieldDescriptor, value: Any) -> str:
    """Numbers that have no name are values too: newer clients may know them."""
    enum = field.enum_type
    assert enum is not None
    if isinstance(value, str):
        known = _is_text(value) and (value in enum.values_by_name or INTEGER.fullmatch(value) is not None)
        return "" if known else enum_rule(enum)
    return "" if _is_whole(value) else enum_rule(enum)


def _integer(field: FieldDescriptor, value: Any) -> str:
    bounds = RANGES[field.cpp_type]
    fits = INTEGER.fullmatch(value) if isinstance(value, str) else _is_whole(value)
    return "" if fits and int(value) in bounds else integer_rule(bounds)


def _boolean(_field: FieldDescriptor, value: Any) -> str:
    return "" if isinstance(value, bool) else "it must be true or false"


def _decimal(_field: FieldDescriptor, value: Any) -> str:
    fits = DECIMAL.fullmatch(value) if isinstance(value, str) else isinstance(value, int | float)
    return "" if fits and not isinstance(value, bool) else "it must be a number"


def _bytes(_field: FieldDescriptor, value: Any) -> str:
    return "" if isinstance(value, str) and is_base64(value) else BASE64_RULE


def _string(_field: FieldDescriptor, value: Any) -> str:
    if not isinstance(value, str):
        return "it must be a string"
    return "" if _is_text(value) else "it must be text, and half of a character is none"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1


def _is_text(value: str) -> bool:
    return re.search("[\ud800-\udfff]", value) is None


def _refused(place: str, value: Any, rule: str) -> InvalidArgument:
    shown = value if isinstance(value, str) else json.dumps(value)
    broken = InvalidArgument.invalid(place or "the body", shown, rule)
    return InvalidArgument(broken.message.encode("utf-8", "replace").decode())
