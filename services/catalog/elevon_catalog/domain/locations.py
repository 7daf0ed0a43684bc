"""Where values are put in the object store."""

from __future__ import annotations

import hashlib

from elevon_catalog.domain.names import DatasetKey

PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
LONGEST_PART = 200
"""In characters; file systems stop at 255."""


def escaped(part: str) -> str:
    """One part of a path, such that no two texts share it and nothing reads a meaning into it.

    Bytes other than letters, digits, `-`, `_` and `.` become `=` and two hexadecimal digits, and so does a leading dot.
    A part that gets too long is cut and ends with a digest of all of it.
    """
    encoded = "".join(
        chr(byte) if byte in PLAIN and not (index == 0 and byte == ord(".")) else f"={byte:02x}"
        for index, byte in enumerate(part.encode())
    )
    if len(encoded) <= LONGEST_PART:
        return encoded or "="
    return f"{encoded[: LONGEST_PART - 64]}=={hashlib.sha256(part.encode()).hexdigest()[:62]}"


def value_location(base: str, dataset: DatasetKey, artifact_id: str, name: str, unique: str) -> str:
    """The place of one value; `unique` makes it differ for every write, so that nothing is overwritten in place."""
    names = (dataset.project, dataset.domain, dataset.name, dataset.version, artifact_id, name)
    return "/".join((base.rstrip("/"), *map(escaped, names), f"{escaped(unique)}.pb"))


def cache_location(base: str, key: str, unique: str) -> str:
    """The place of the literals of an entry of the cache service."""
    return "/".join((base.rstrip("/"), escaped(key), f"{escaped(unique)}.pb"))
