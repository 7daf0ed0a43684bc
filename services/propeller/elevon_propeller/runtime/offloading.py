"""Literals so large that they get a file of their own beside outputs.pb."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from elevon_core import hashing, literals
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core

Write = Callable[[str, bytes], Awaitable[None]]


async def offloaded(outputs: core.LiteralMap, folder: str, minimum: int, write: Write) -> core.LiteralMap:
    """The same outputs, where literals of at least `minimum` bytes are references to files that `write` has written.

    A reference carries the literal's hash, or that of its content, so that caches need not read the file. A literal
    whose type cannot be told stays where it is.
    """
    large = [name for name, literal in outputs.literals.items() if literal.ByteSize() >= minimum and _has_type(literal)]
    if not large:
        return outputs
    result = core.LiteralMap(literals={name: each for name, each in outputs.literals.items() if name not in large})
    for name in large:
        literal = outputs.literals[name]
        uri = f"{folder}/{name}_offloaded_metadata.pb"
        await write(uri, literal.SerializeToString(deterministic=True))
        reference = result.literals[name]
        reference.offloaded_metadata.uri = uri
        reference.offloaded_metadata.size_bytes = literal.ByteSize()
        reference.offloaded_metadata.inferred_type.CopyFrom(literals.literal_type(literal))
        reference.hash = literal.hash or hashing.base64_hash(literal)
    return result


def _has_type(literal: core.Literal) -> bool:
    if literal.HasField("offloaded_metadata"):
        return False
    try:
        literals.literal_type(literal)
    except InvalidArgument:
        return False
    return True
