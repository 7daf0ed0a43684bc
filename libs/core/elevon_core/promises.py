"""Bindings and promises: from what a node is bound to, to the literals it gets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from elevon_idl.core import v1 as core
from google.protobuf import struct_pb2

from elevon_core import binaries, literals, structs
from elevon_core.errors import InvalidArgument, OffloadedLiteral

OutputOf = Callable[[str, str], core.Literal]
Loaded = Mapping[str, core.Literal]
"""Literals that lie in files of their own, by address, as far as they were loaded."""

_NOTHING: Loaded = {}
_INDEXED = re.compile(r"\[(\d+)\]\.(.+)", re.DOTALL)


def parse_variable(text: str) -> tuple[int | None, str]:
    """The index and the name within the variable of a promise, `[<index>].<name>` or `<name>`.

    The name may hold any characters. InvalidArgument if it is empty.
    """
    if not text:
        raise InvalidArgument.missing("promise.var")
    match = _INDEXED.fullmatch(text)
    return (int(match[1]), match[2]) if match else (None, text)


def resolve_binding(data: core.BindingData, output_of: OutputOf, loaded: Loaded = _NOTHING) -> core.Literal:
    """The literal a binding stands for; `output_of(node_id, variable)` tells the outputs of upstream nodes.

    What `output_of` raises passes through. InvalidArgument for a binding without a value or a path that leads nowhere;
    OffloadedLiteral if a literal must be loaded before its inside can be reached, and is not among those `loaded`.
    """
    kind = data.WhichOneof("value")
    if kind == "scalar":
        return core.Literal(scalar=data.scalar)
    if kind == "promise":
        return _resolve_promise(data.promise, output_of, loaded)
    if kind == "collection":
        return literals.collection([resolve_binding(each, output_of, loaded) for each in data.collection.bindings])
    if kind == "map":
        elements = data.map.bindings
        return literals.map_({name: resolve_binding(elements[name], output_of, loaded) for name in elements})
    if kind == "offloaded_metadata":
        return core.Literal(offloaded_metadata=data.offloaded_metadata)
    raise InvalidArgument("a binding without a value cannot be resolved")


def resolve_attribute_path(
    literal: core.Literal, path: Sequence[core.PromiseAttribute], loaded: Loaded = _NOTHING
) -> core.Literal:
    """What lies at the path within a literal: through maps, lists, unions, msgpack and protobuf structs.

    Where the path ends within a struct, the value found becomes a literal: numbers, strings and booleans primitives,
    lists collections, anything else a struct of the same encoding. An empty path yields the literal as it is.
    InvalidArgument for a path that leads nowhere; OffloadedLiteral for a literal on the way that must be loaded.
    """
    current = literal
    for position, step in enumerate(path):
        current = _inside(current, loaded)
        if current.WhichOneof("value") == "scalar":
            return _resolve_in_scalar(current.scalar, path, position)
        current = _element(current, step, path[:position])
    return _resolve_in_scalar(current.scalar, path, len(path)) if path and _is_struct(current) else current


def path_text(path: Sequence[core.PromiseAttribute]) -> str:
    """The path as people write it: `.a[0].b`."""
    return "".join(
        f"[{step.int_value}]" if step.WhichOneof("value") == "int_value" else f".{step.string_value}" for step in path
    )


def _resolve_promise(promise: core.OutputReference, output_of: OutputOf, loaded: Loaded) -> core.Literal:
    index, name = parse_variable(promise.var)
    literal = output_of(promise.node_id, name)
    if index is not None:
        elements = _inside(literal, loaded).collection.literals
        if index >= len(elements):
            place = f"output {name} of node {promise.node_id}"
            raise InvalidArgument(f"{place} has no element {index}: it is a list of {len(elements)}")
        literal = elements[index]
    return resolve_attribute_path(literal, promise.attr_path, loaded)


def _inside(literal: core.Literal, loaded: Loaded) -> core.Literal:
    """The literal itself, or what a union or a file holds; its inside is about to be looked at."""
    while True:
        if literal.scalar.WhichOneof("value") == "union":
            literal = literal.scalar.union.value
        elif literal.WhichOneof("value") != "offloaded_metadata":
            return literal
        elif literal.offloaded_metadata.uri in loaded:
            literal = loaded[literal.offloaded_metadata.uri]
        else:
            raise OffloadedLiteral(literal.offloaded_metadata.uri, literal.offloaded_metadata.size_bytes)


def _is_struct(literal: core.Literal) -> bool:
    kind = literal.scalar.WhichOneof("value")
    return kind == "generic" or (kind == "binary" and literal.scalar.binary.tag == binaries.MSGPACK)


def _element(
    literal: core.Literal, step: core.PromiseAttribute, before: Sequence[core.PromiseAttribute]
) -> core.Literal:
    kind = literal.WhichOneof("value")
    if kind == "collection":
        elements = literal.collection.literals
        if step.WhichOneof("value") != "int_value" or not 0 <= step.int_value < len(elements):
            raise _nowhere(before, step, f"the list has {len(elements)} elements")
        return elements[step.int_value]
    if kind == "map":
        if step.WhichOneof("value") != "string_value" or step.string_value not in literal.map.literals:
            raise _nowhere(before, step, f"the keys are {', '.join(sorted(literal.map.literals))}")
        return literal.map.literals[step.string_value]
    raise _nowhere(before, step, "there is neither a list nor a map")


def _resolve_in_scalar(scalar: core.Scalar, path: Sequence[core.PromiseAttribute], position: int) -> core.Literal:
    kind = scalar.WhichOneof("value")
    if kind == "binary":
        value = binaries.decode(scalar.binary)
        return _from_msgpack(_descend(value, path, position))
    if kind == "generic":
        return _from_struct(_descend(structs.plain(scalar.generic), path, position))
    raise _nowhere(path[:position], path[position], f"there is a {kind or 'scalar without a value'}")


def _descend(value: Any, path: Sequence[core.PromiseAttribute], position: int) -> Any:
    """Follows the rest of the path through plain dictionaries and lists."""
    for place in range(position, len(path)):
        step = path[place]
        key: str | int = step.int_value if step.WhichOneof("value") == "int_value" else step.string_value
        if isinstance(value, Mapping):
            if key not in value:
                raise _nowhere(path[:place], step, f"the keys are {', '.join(sorted(map(str, value)))}")
            value = value[key]
        elif isinstance(value, list):
            if not isinstance(key, int) or not 0 <= key < len(value):
                raise _nowhere(path[:place], step, f"the list has {len(value)} elements")
            value = value[key]
        else:
            raise _nowhere(path[:place], step, f"there is a {type(value).__name__}")
    return value


def _from_msgpack(value: Any) -> core.Literal:
    if isinstance(value, list):
        return literals.collection([binaries.encode(item) for item in value])
    return _primitive(value) or binaries.encode(value)


def _from_struct(value: Any) -> core.Literal:
    if value is None:
        return literals.none_literal()
    if isinstance(value, list):
        return literals.collection([_from_struct(item) for item in value])
    if isinstance(value, Mapping):
        generic = struct_pb2.Struct()
        generic.update(value)
        return core.Literal(scalar=core.Scalar(generic=generic))
    found = _primitive(value)
    assert found is not None, "a Struct holds nothing else"
    return found


def _primitive(value: Any) -> core.Literal | None:
    if isinstance(value, bool):
        return literals.boolean(value)
    if isinstance(value, int):
        return literals.integer(value)
    if isinstance(value, float):
        return literals.float_(value)
    return literals.string(value) if isinstance(value, str) else None


def _nowhere(before: Sequence[core.PromiseAttribute], step: core.PromiseAttribute, found: str) -> InvalidArgument:
    place = path_text(before) or "the value"
    return InvalidArgument(f"attribute path {path_text([*before, step])} leads nowhere: at {place}, {found}")
