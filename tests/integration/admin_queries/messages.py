"""Requests of any RPC: something usual in every field, and variants with one text replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

DEEPEST = 6
"""Levels of messages in which texts are replaced; values and types go on forever, and all are alike."""

WITHIN = ("attributes", "policy")
"""Messages that requests must have, beside identifiers."""

Path = tuple[FieldDescriptor, ...]


def text_fields(descriptor: Descriptor, path: Path = (), around: tuple[str, ...] = ()) -> Iterator[Path]:
    """Every way to a text, through a message that is not inside another of its kind, which `around` names."""
    around = (*around, descriptor.full_name)
    for field in descriptor.fields:
        within = field.message_type
        if field.type == FieldDescriptor.TYPE_STRING:
            yield (*path, field)
        elif within is not None and len(path) < DEEPEST and within.full_name not in around:
            yield from text_fields(within, (*path, field), around)


def with_text(message: Message, path: Path, text: str) -> Message:
    """A copy of the message with the text in one place; messages, elements and entries on the way are made."""
    changed = type(message)()
    changed.CopyFrom(message)
    _put(changed, path, text)
    return changed


def _put(message: Any, path: Path, text: str) -> None:
    field, rest = path[0], path[1:]
    kept = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _put_entry(kept, field.message_type, rest, text)
    elif not field.is_repeated:
        if rest:
            kept.SetInParent()
            _put(kept, rest, text)
        else:
            setattr(message, field.name, text)
    elif rest:
        _put(kept[0] if kept else kept.add(), rest, text)
    else:
        kept.append(text)


def _put_entry(entries: Any, entry: Descriptor, rest: Path, text: str) -> None:
    value = entry.fields_by_name["value"]
    if rest[0].name == "key":
        if value.message_type is None:
            entries[text] = "x" if value.type == FieldDescriptor.TYPE_STRING else 1
        else:
            entries[text].SetInParent()
    elif value.message_type is None:
        entries["x"] = text
    else:
        entries["x"].SetInParent()
        _put(entries["x"], rest[1:], text)


def usual(message: Any, words: Mapping[str, Any], depth: int = 4) -> None:
    """Fill in fields by their names, also of the messages within that all requests of this kind have."""
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated or (field.containing_oneof is not None and len(field.containing_oneof.fields) > 1):
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth and (field.name.endswith("id") or field.name in WITHIN):
                getattr(message, field.name).SetInParent()
                usual(getattr(message, field.name), words, depth - 1)
        elif field.name in words and isinstance(getattr(message, field.name), type(words[field.name])):
            setattr(message, field.name, words[field.name])
