"""Elements of an array as bytes: some tens of bytes for each, errors that many of them share once."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

_COUNTS = struct.Struct("<HH")
_LENGTH = struct.Struct("<I")
_FIXED = struct.Struct("<BHHBBBqqqHIHI")
_NOTHING = 0xFFFFFFFF
"""Stands for outputs that are not there, which empty outputs are not."""


class ElementRecord(NamedTuple):
    """What is stored of an element; times in microseconds since 1970, messages as bytes."""

    phase: int = 0
    attempt: int = 0
    system_failures: int = 0
    outcome: int = 0
    flags: int = 0
    cache_status: int = 0
    queued_at: int = 0
    attempt_at: int = 0
    wake_at: int = 0
    outputs: bytes | None = None
    uri: str = ""
    error: bytes = b""
    detail: bytes = b""


def pack(records: Sequence[ElementRecord]) -> bytes:
    """Some elements as bytes."""
    errors: dict[bytes, int] = {}
    parts: list[bytes] = []
    for record in records:
        error = errors.setdefault(record.error, len(errors) + 1) if record.error else 0
        uri = record.uri.encode()
        outputs = record.outputs
        length = _NOTHING if outputs is None else len(outputs)
        parts.append(_FIXED.pack(*record[:9], error, length, len(uri), len(record.detail)))
        parts.append((outputs or b"") + uri + record.detail)
    table = b"".join(_LENGTH.pack(len(error)) + error for error in errors)
    return _COUNTS.pack(len(records), len(errors)) + table + b"".join(parts)


def unpack(data: bytes) -> list[ElementRecord]:
    """The elements of a chunk."""
    count, known = _COUNTS.unpack_from(data)
    place = _COUNTS.size
    errors = [b""]
    for _ in range(known):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        errors.append(data[place : place + length])
        place += length
    records = []
    for _ in range(count):
        record, place = _unpack_one(data, place, errors)
        records.append(record)
    return records


def _unpack_one(data: bytes, place: int, errors: Sequence[bytes]) -> tuple[ElementRecord, int]:
    *numbers, error, length, uri_length, detail_length = _FIXED.unpack_from(data, place)
    place += _FIXED.size
    outputs = None
    if length != _NOTHING:
        outputs = data[place : place + length]
        place += length
    uri = data[place : place + uri_length].decode()
    place += uri_length
    detail = data[place : place + detail_length]
    record = ElementRecord._make((*numbers, outputs, uri, errors[error], detail))
    return record, place + detail_length
