"""The query of a request into the fields of its message."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import cast
from urllib.parse import parse_qsl

from elevon_core.errors import InvalidArgument
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from elevon_admin.gateway.durations import set_duration, set_timestamp
from elevon_admin.gateway.fields import converter, is_repeated

BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
KNOWN_MESSAGES: dict[str, Callable[[Message, str, str], None]] = {
    "google.protobuf.Duration": set_duration,
    "google.protobuf.Timestamp": set_timestamp,
}
"""Messages that one parameter can hold."""


def parse_query(query: str) -> dict[str, list[str]]:
    """Answer the values of each parameter in order; `+` is a blank. Raises InvalidArgument for broken escapes."""
    if BROKEN_ESCAPE.search(query):
        raise InvalidArgument.invalid("query", query, "a % must be followed by two hexadecimal digits")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidArgument.invalid("query", query, "its escapes must be UTF-8") from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def fill_from_query(message: Message, query: str, bound: Collection[tuple[str, ...]]) -> None:
    """Set fields from a query; parameters that name no field, or one that the path sets, are ignored.

    Raises InvalidArgument for values that are none of their field.
    """
    for name, values in parse_query(query).items():
        path = _find(cast(Descriptor, message.DESCRIPTOR), name)
        if path and not _is_bound(path, bound):
            _assign(message, path, name, values)


def _find(descriptor: Descriptor, name: str) -> list[FieldDescriptor] | None:
    """The fields that a dotted name leads through, each by its proto name or its camel case name."""
    here: Descriptor | None = descriptor
    path: list[FieldDescriptor] = []
    for part in name.split("."):
        field = None if here is None or (path and is_repeated(path[-1])) else _field(here, part)
        if field is None:
            return None
        path.append(field)
        here = field.message_type
    return path


def _field(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    if name in descriptor.fields_by_name:
        return descriptor.fields_by_name[name]
    return descriptor.fields_by_camelcase_name.get(name)


def _is_bound(path: list[FieldDescriptor], bound: Collection[tuple[str, ...]]) -> bool:
    names = tuple(field.name for field in path)
    return any(names[: len(prefix)] == prefix for prefix in bound)


def _assign(message: Message, path: list[FieldDescriptor], name: str, values: list[str]) -> None:
    for field in path[:-1]:
        _only_choice(message, field, name)
        message = getattr(message, field.name)
    leaf = path[-1]
    _only_choice(message, leaf, name)
    if leaf.message_type is not None:
        _assign_message(message, leaf, name, values)
    elif is_repeated(leaf):
        convert = converter(leaf)
        getattr(message, leaf.name).extend([convert(name, value) for value in values])
    else:
        setattr(message, leaf.name, converter(leaf)(name, _single(name, values)))


def _assign_message(message: Message, leaf: FieldDescriptor, name: str, values: list[str]) -> None:
    assert leaf.message_type is not None
    setter = KNOWN_MESSAGES.get(leaf.message_type.full_name)
    if setter is None or is_repeated(leaf):
        raise InvalidArgument.invalid(name, values[0], "it is a message: name the field of it that is meant")
    target = getattr(message, leaf.name)
    target.SetInParent()
    setter(target, name, _single(name, values))


def _single(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise InvalidArgument.invalid(name, ", ".join(values), "it can be given only once")
    return values[0]


def _only_choice(message: Message, field: FieldDescriptor, name: str) -> None:
    """Refuse a second field of a oneof: which of them wins would depend on their order."""
    choice = field.containing_oneof
    if choice is None:
        return
    taken = message.WhichOneof(choice.name)
    if taken not in (None, field.name):
        raise InvalidArgument.invalid(name, taken, "only one of the two can be given")
