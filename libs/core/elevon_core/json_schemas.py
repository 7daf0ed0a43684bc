"""Whether a JSON object that fits one schema can be read by the holder of another.

Structs carry the JSON schema of the class they came from. The comparison is structural and lenient: it looks at types,
properties, required properties, items, enumerations and alternatives; it ignores additionalProperties, formats, bounds
and titles, which say nothing about whether a class can be built from the fields of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import struct_pb2

from elevon_core import structs

_Schema = Mapping[str, Any]

# Beyond this depth schemas are taken to agree; only chains of references get there.
_DEEPEST = 50


def accepts(reader: struct_pb2.Struct, writer: struct_pb2.Struct) -> bool:
    """Whether everything the writer's schema describes has what the reader's schema asks for.

    A reference that leads nowhere counts as "anything". Recursive schemas are compared as far as they differ.
    """
    return _Comparison(structs.plain(reader), structs.plain(writer)).documents_agree()


class _Comparison:
    """One comparison: both documents, for their references, and the pairs already looked at."""

    def __init__(self, reader: _Schema, writer: _Schema) -> None:
        self._reader = reader
        self._writer = writer
        # A pair being looked at is taken to agree, which ends the walk through a recursive schema.
        self._known: dict[tuple[str, str], bool] = {}
        self._depth = 0

    def documents_agree(self) -> bool:
        """The answer for the two documents as wholes."""
        return self._agree(self._reader, self._writer)

    def _agree(self, reader: Any, writer: Any) -> bool:
        if self._depth >= _DEEPEST:
            return True
        self._depth += 1
        try:
            return self._pair_agrees(reader, writer)
        finally:
            self._depth -= 1

    def _pair_agrees(self, reader: Any, writer: Any) -> bool:
        pair = (_reference(reader), _reference(writer))
        if not any(pair):
            return self._resolved_agree(reader, writer)
        pair = (pair[0] or repr(reader), pair[1] or repr(writer))
        if pair not in self._known:
            self._known[pair] = True
            self._known[pair] = self._resolved_agree(
                _dereferenced(reader, self._reader), _dereferenced(writer, self._writer)
            )
        return self._known[pair]

    def _resolved_agree(self, reader: Any, writer: Any) -> bool:
        if not isinstance(reader, Mapping) or not isinstance(writer, Mapping) or not reader:
            # `true`, `{}` and what is no schema at all ask for nothing.
            return reader is not False
        if any(not self._agree(part, writer) for part in _list(reader, "allOf")):
            return False
        choices = _alternatives(writer)
        if choices:
            return all(self._agree(reader, choice) for choice in choices)
        options = _alternatives(reader)
        if options:
            return any(self._agree(option, writer) for option in options)
        return self._plain_agree(reader, writer)

    def _plain_agree(self, reader: _Schema, writer: _Schema) -> bool:
        parts = [writer, *(_dereferenced(part, self._writer) for part in _list(writer, "allOf"))]
        merged = _merged([part for part in parts if isinstance(part, Mapping)])
        return (
            _types_agree(reader, merged)
            and _values_agree(reader, merged)
            and self._properties_agree(reader, merged)
            and self._items_agree(reader, merged)
        )

    def _properties_agree(self, reader: _Schema, writer: _Schema) -> bool:
        wanted, offered = _mapping(reader, "properties"), _mapping(writer, "properties")
        if any(name not in offered for name in _list(reader, "required")):
            return False
        return all(self._agree(schema, offered[name]) for name, schema in wanted.items() if name in offered)

    def _items_agree(self, reader: _Schema, writer: _Schema) -> bool:
        if "items" not in reader or "items" not in writer:
            return True
        wanted, offered = reader["items"], writer["items"]
        if isinstance(wanted, list) and isinstance(offered, list):
            return len(wanted) == len(offered) and all(map(self._agree, wanted, offered))
        if isinstance(wanted, list) or isinstance(offered, list):
            return isinstance(offered, list) and all(self._agree(wanted, item) for item in offered)
        return self._agree(wanted, offered)


def _types_agree(reader: _Schema, writer: _Schema) -> bool:
    wanted, offered = _types(reader), _types(writer)
    if not wanted or not offered:
        return True
    return all(kind in wanted or (kind == "integer" and "number" in wanted) for kind in offered)


def _values_agree(reader: _Schema, writer: _Schema) -> bool:
    wanted, offered = _values(reader), _values(writer)
    return wanted is None or (offered is not None and all(value in wanted for value in offered))


def _types(schema: _Schema) -> tuple[str, ...]:
    kind = schema.get("type")
    if isinstance(kind, str):
        return (kind,)
    return tuple(item for item in kind if isinstance(item, str)) if isinstance(kind, list) else ()


def _values(schema: _Schema) -> Sequence[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _alternatives(schema: _Schema) -> Sequence[Any]:
    return _list(schema, "anyOf") or _list(schema, "oneOf")


def _merged(schemas: Sequence[_Schema]) -> _Schema:
    """One schema with what several ask for together; the first to name a keyword other than properties wins."""
    if len(schemas) == 1:
        return schemas[0]
    result: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for schema in schemas:
        properties.update(_mapping(schema, "properties"))
        result = {**schema, **result}
    return {**result, "properties": properties}


def _mapping(schema: _Schema, keyword: str) -> _Schema:
    value = schema.get(keyword)
    return value if isinstance(value, Mapping) else {}


def _list(schema: _Schema, keyword: str) -> Sequence[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else ()


def _reference(schema: Any) -> str:
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    return reference if isinstance(reference, str) else ""


def _dereferenced(schema: Any, document: _Schema) -> Any:
    """Follows `$ref` within the document; a chain of more than sixteen references is taken for a loop."""
    for _ in range(16):
        reference = _reference(schema)
        if not reference:
            return schema
        schema = _at(document, reference)
    return {}


def _at(document: _Schema, reference: str) -> Any:
    if not reference.startswith("#"):
        return {}
    place: Any = document
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(place, Mapping) or name not in place:
            return {}
        place = place[name]
    return place
