"""Files as literals."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from elevon_core import binaries, literals, types
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobStore, join
from google.protobuf import timestamp_pb2

from elevon_propeller.plugins.contract import Attempt

_ERROR_FILE = "_ERROR"
_LARGEST = 1024 * 1024
_DURATION = re.compile(r"([+-]?)((?:\d+(?:\.\d*)?(?:h|ms|m|s|us|µs|ns))+)")
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?)(h|ms|m|s|us|µs|ns)")
_NANOSECONDS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "µs": 10**3, "ns": 1}


async def collect(folder: Path, attempt: Attempt, blobs: BlobStore) -> core.LiteralMap:
    """The literals of all declared outputs; files and folders that are blobs are uploaded below the raw prefix.

    Raises InvalidArgument for a file that is missing, over 1 MiB, or does not read as its type.
    """
    outputs = core.LiteralMap()
    prefix = attempt.paths.raw_output_prefix.removeprefix("file://")  # SDKs take local files by their paths only
    for name, variable in sorted(attempt.task.interface.outputs.variables.items()):
        path = await asyncio.to_thread(_find, folder, name)
        if variable.type.WhichOneof("type") == "blob":
            target = join(prefix, path.name)
            literal = await _upload(path, target, variable.type.blob, blobs)
        else:
            literal = await asyncio.to_thread(_read, name, path, variable.type)
        outputs.literals[name].CopyFrom(literal)
    return outputs


def complaint(folder: Path) -> str:
    """What the program wrote to the file `_ERROR`, 1 MiB at most; empty when there is none."""
    path = folder / _ERROR_FILE
    if not path.is_file():
        return ""
    return path.read_bytes()[:_LARGEST].decode(errors="replace") or "the task wrote an empty file _ERROR"


def _find(folder: Path, name: str) -> Path:
    """The file of an output: of its name, or the only one of its name and any extension."""
    path = folder / name
    if path.exists():
        return path
    found = sorted(folder.glob(f"{name}.*"))
    if len(found) == 1:
        return found[0]
    raise InvalidArgument.invalid(f"output {name}", path, "no such file was written" if not found else "ambiguous")


async def _upload(path: Path, target: str, blob_type: core.BlobType, blobs: BlobStore) -> core.Literal:
    literal = core.Literal()
    literal.scalar.blob.uri = target
    literal.scalar.blob.metadata.type.CopyFrom(blob_type)
    for file, uri in await asyncio.to_thread(_uploads, path, target):
        await blobs.write(uri, await asyncio.to_thread(file.read_bytes))
    return literal


def _uploads(path: Path, target: str) -> list[tuple[Path, str]]:
    """A file and its URI, or all files of a folder and theirs."""
    if not path.is_dir():
        return [(path, target)]
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return [(file, join(target, file.relative_to(path).as_posix())) for file in files]


def _read(name: str, path: Path, expected: core.LiteralType) -> core.Literal:
    parse = _PARSERS.get(expected.simple) if expected.WhichOneof("type") == "simple" else None
    if parse is None:
        kinds = "simple types and blobs can be written as files"
        raise InvalidArgument.invalid(f"output {name}", types.describe(expected), kinds)
    if path.stat().st_size > _LARGEST:
        raise InvalidArgument.invalid(f"output {name}", f"{path.stat().st_size} bytes", f"at most {_LARGEST} are read")
    if expected.simple == core.BINARY:
        return core.Literal(scalar=core.Scalar(binary=core.Binary(value=path.read_bytes(), tag=binaries.MSGPACK)))
    text = path.read_text(errors="replace").strip()
    try:
        return parse(text)
    except (ValueError, InvalidArgument) as error:
        rule = f"does not read as {types.describe(expected)}: {error}"
        raise InvalidArgument.invalid(f"output {name}", text, rule) from None


def _boolean(text: str) -> core.Literal:
    known = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    if text.lower() not in known:
        raise ValueError("expected true or false")
    return literals.boolean(known[text.lower()])


def _datetime(text: str) -> core.Literal:
    moment = timestamp_pb2.Timestamp()
    moment.FromJsonString(text)
    return core.Literal(scalar=core.Scalar(primitive=core.Primitive(datetime=moment)))


def parse_duration(text: str) -> core.Literal:
    """A duration such as `1h2m3.5s`; raises ValueError for any other text."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("expected a duration such as 1h2m3.5s")
    nanoseconds = sum(Decimal(number) * _NANOSECONDS[unit] for number, unit in _DURATION_PART.findall(match.group(2)))
    literal = core.Literal()
    literal.scalar.primitive.duration.FromNanoseconds(int(-nanoseconds if match.group(1) == "-" else nanoseconds))
    return literal


def _struct(text: str) -> core.Literal:
    literal = core.Literal()
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")
    literal.scalar.generic.update(value)
    return literal


_PARSERS: dict[core.SimpleType.ValueType, Callable[[str], core.Literal]] = {
    core.INTEGER: lambda text: literals.integer(int(text)),
    core.FLOAT: lambda text: literals.float_(float(text)),
    core.STRING: literals.string,
    core.BOOLEAN: _boolean,
    core.DATETIME: _datetime,
    core.DURATION: parse_duration,
    core.STRUCT: _struct,
    core.BINARY: literals.string,  # read as bytes, never as text
}
