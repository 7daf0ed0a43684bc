"""Inputs that lie in files of their own, for programs that cannot read those."""

from __future__ import annotations

import re

from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobNotFound, BlobStore
from elevon_kit.retry import ATOMIC
from google.protobuf.message import DecodeError

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_FIRST_VERSION = (1, 13, 14)


def reads_offloaded(task: core.TaskTemplate) -> bool:
    """Whether the SDK a task was registered with reads such inputs by itself: flytekit does from 1.13.14 on."""
    runtime = task.metadata.runtime
    version = _VERSION.match(runtime.version)
    if runtime.type != core.RuntimeMetadata.FLYTE_SDK or version is None:
        return False
    return tuple(map(int, version.groups())) >= _FIRST_VERSION


def has_offloaded(inputs: core.LiteralMap) -> bool:
    """Whether there is anything to load."""
    return any(_is_offloaded(literal) for literal in inputs.literals.values())


async def loaded(inputs: core.LiteralMap, blobs: BlobStore) -> core.LiteralMap:
    """The same inputs with everything in place. Raises InvalidArgument for a file that is absent or no literal."""
    result = core.LiteralMap()
    for name, literal in inputs.literals.items():
        result.literals[name].CopyFrom(await _loaded(name, literal, blobs))
    return result


async def _loaded(name: str, literal: core.Literal, blobs: BlobStore) -> core.Literal:
    kind = literal.WhichOneof("value")
    if not _is_offloaded(literal):
        return literal
    if kind == "collection":
        items = [await _loaded(name, item, blobs) for item in literal.collection.literals]
        return core.Literal(collection=core.LiteralCollection(literals=items), hash=literal.hash)
    if kind == "map":
        values = {key: await _loaded(name, item, blobs) for key, item in literal.map.literals.items()}
        return core.Literal(map=core.LiteralMap(literals=values), hash=literal.hash)
    uri = literal.offloaded_metadata.uri
    try:
        return core.Literal.FromString(await ATOMIC.run(lambda: blobs.read(uri), what="read an offloaded input"))
    except BlobNotFound as error:
        raise InvalidArgument(f"input {name} is kept in a file that is not there: {error.message}") from error
    except DecodeError:
        raise InvalidArgument(f"input {name} is kept in {uri}, which is no Literal") from None


def _is_offloaded(literal: core.Literal) -> bool:
    kind = literal.WhichOneof("value")
    if kind == "collection":
        return any(_is_offloaded(item) for item in literal.collection.literals)
    if kind == "map":
        return any(_is_offloaded(item) for item in literal.map.literals.values())
    return kind == "offloaded_metadata"
