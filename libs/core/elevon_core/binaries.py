"""Values inside Binary literals; the one encoding that clients use for structs is msgpack."""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped]  # ships no type information
from elevon_idl.core import v1 as core

from elevon_core.errors import InvalidArgument

MSGPACK = "msgpack"


def decode(binary: core.Binary) -> Any:
    """The value in plain Python types; InvalidArgument if the tag is not `msgpack` or the bytes are not one value."""
    if binary.tag != MSGPACK:
        raise InvalidArgument.invalid("binary.tag", binary.tag, f"only {MSGPACK} can be read")
    try:
        return msgpack.unpackb(binary.value, raw=False, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise InvalidArgument(f"binary literal is not a msgpack value: {error or type(error).__name__}") from None


def encode(value: Any) -> core.Literal:
    """A Binary literal with the value; InvalidArgument for what msgpack cannot hold."""
    try:
        packed = msgpack.packb(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidArgument(f"value cannot be written as msgpack: {error}") from None
    return core.Literal(scalar=core.Scalar(binary=core.Binary(value=packed, tag=MSGPACK)))
