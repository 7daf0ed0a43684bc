"""Literals as files and as plain values."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from elevon_core import binaries, literals
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobNotFound, BlobStore
from elevon_kit.retry import ATOMIC
from google.protobuf import json_format

from elevon_propeller.plugins.process.refusal import Refusal


async def lay_out(literal: core.Literal, place: Path, blobs: BlobStore) -> Any:
    """Write a literal to a file, or to a folder when it has parts; answers it as a plain value.

    Blobs are fetched; in the literal, their URIs become the local paths.
    """
    kind = literal.WhichOneof("value")
    if kind == "collection":
        parts = ((str(index), item) for index, item in enumerate(literal.collection.literals))
        return list((await _lay_out_parts(parts, place, blobs)).values())
    if kind == "map":
        return await _lay_out_parts(literal.map.literals.items(), place, blobs)
    if literal.scalar.HasField("union"):
        return await lay_out(literal.scalar.union.value, place, blobs)
    if literal.scalar.HasField("blob"):
        return await _fetch(literal.scalar.blob, place, blobs)
    value, text = plain(literal)
    await asyncio.to_thread(place.write_text, text)
    return value


async def _lay_out_parts(parts: Iterable[tuple[str, core.Literal]], place: Path, blobs: BlobStore) -> dict[str, Any]:
    await asyncio.to_thread(place.mkdir)
    return {name: await lay_out(part, place / name.replace("/", "_"), blobs) for name, part in parts}


async def _fetch(blob: core.Blob, place: Path, blobs: BlobStore) -> str:
    if blob.metadata.type.dimensionality == core.BlobType.MULTIPART:
        folder = blob.uri.rstrip("/") + "/"
        for uri in await ATOMIC.run(lambda: blobs.list(blob.uri), what="list an input"):
            await asyncio.to_thread(_write, place / uri.partition(folder)[2], await _download(uri, blobs))
        await asyncio.to_thread(lambda: place.mkdir(exist_ok=True))
    else:
        await asyncio.to_thread(_write, place, await _download(blob.uri, blobs))
    blob.uri = str(place)
    return str(place)


async def _download(uri: str, blobs: BlobStore) -> bytes:
    try:
        return await ATOMIC.run(lambda: blobs.read(uri), what="fetch an input")
    except BlobNotFound as error:
        raise Refusal("InputDownloadFailed", f"an input of the task is not there: {error.message}") from error


def _write(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def plain(literal: core.Literal) -> tuple[Any, str]:
    """A scalar as a value of JSON, and as the text of its file."""
    scalar = literal.scalar
    if literals.is_none(literal):
        return None, "null"
    if scalar.HasField("binary"):
        value = binaries.decode(scalar.binary)
        return value, json.dumps(value, default=str)
    if scalar.HasField("generic"):
        value = json_format.MessageToDict(scalar.generic)
        return value, json.dumps(value)
    if scalar.HasField("error"):
        return scalar.error.message, scalar.error.message
    if scalar.primitive.HasField("duration"):
        text = scalar.primitive.duration.ToJsonString()
        return text, text
    text = literals.render(literal)
    primitive = scalar.primitive
    for kind in ("integer", "float_value", "boolean"):
        if primitive.HasField(kind):
            return getattr(primitive, kind), text
    return text, text
