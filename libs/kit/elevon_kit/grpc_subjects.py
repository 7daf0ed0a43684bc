"""What a request is about, for the log line: the project, domain, name and version that it names."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

Subject = dict[str, str]
Extractor = Callable[[Message], Subject]

PARTS = ("project", "domain", "name", "version", "node_id")
DEPTH = 4


def subject_of(request: Descriptor) -> Extractor | None:
    """Find where requests of a type name their subject; None when they name none.

    The shortest path counts that leads, over at most four messages, to one with the texts `project` and `domain`.
    """
    found = _search(request)
    if found is None:
        return None
    path, parts = found

    def extract(message: Message) -> Subject:
        for name in path:
            message = getattr(message, name)
        return {part: value for part in parts if (value := getattr(message, part))}

    return extract


@cache
def _search(request: Descriptor) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    level: list[tuple[tuple[str, ...], Descriptor]] = [((), request)]
    for _ in range(DEPTH):
        for path, descriptor in level:
            parts = _parts(descriptor)
            if "project" in parts and "domain" in parts:
                return path, parts
        level = [
            ((*path, field.name), field.message_type)
            for path, descriptor in level
            for field in descriptor.fields
            if field.message_type is not None and not _repeated(field)
        ]
    return None


def _parts(descriptor: Descriptor) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in descriptor.fields
        if field.name in PARTS and field.type == FieldDescriptor.TYPE_STRING and not _repeated(field)
    )


def _repeated(field: FieldDescriptor) -> bool:
    """Tell whether a field holds many values; protobuf 5 has only the label, later versions discourage it."""
    if hasattr(field, "is_repeated"):
        return field.is_repeated
    label: int = getattr(field, "label")  # noqa: B009 - the type stubs know later versions only
    return label == FieldDescriptor.LABEL_REPEATED
