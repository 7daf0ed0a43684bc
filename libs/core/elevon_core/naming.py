"""Names derived from other names, always the same for the same input."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from elevon_core.errors import InvalidArgument

UNIQUE_NODE_ID_LIMIT = 20
GENERATED_NAME_LIMIT = 50
CHILD_EXECUTION_NAME_LIMIT = 20
REMEMBERED = 4096
"""Names of attempts that are not hashed again: each is asked for several times while its attempt goes on."""

_HASH_ALPHABET = "abcdefghijklmnopqrstuvwxyz123456"
_SHARD_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_RANDOM_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_RANDOM_LENGTH = 19
_RANDOM_BYTES = 16

# Offset basis and prime of FNV-1a, by width.
_FNV = {32: (0x811C9DC5, 0x01000193), 64: (0xCBF29CE484222325, 0x100000001B3)}

_NOT_A_START = re.compile(r"\A[^a-zA-Z_]+")
_NOT_A_WORD = re.compile(r"[^a-zA-Z0-9_]+")


def fit(text: str, limit: int, bits: int = 32) -> str:
    """The text itself if its UTF-8 form has at most `limit` bytes, else `f` and its FNV-1a hash of `bits` (32 or 64).

    A hashed name has 8 or 14 characters of `a-z1-6`; InvalidArgument if not even that fits.
    """
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    hashed = "f" + _base32(_fnv1a(encoded, bits), bits)
    if len(hashed) > limit:
        raise InvalidArgument.invalid("limit", limit, f"a shortened name needs {len(hashed)} characters")
    return hashed


def unique_node_id(parent: str, parent_attempt: int, node_id: str) -> str:
    """The id of a node within its whole execution, given the unique id and the attempt of its parent.

    Nodes of the top level have no parent (an empty one) and keep their id, however long it is.
    """
    if not parent:
        return node_id
    return fit(f"{parent}-{parent_attempt}-{node_id}", UNIQUE_NODE_ID_LIMIT)


def generated_name(execution_name: str, unique_node_id: str, attempt: int, limit: int = GENERATED_NAME_LIMIT) -> str:
    """The name of an attempt of a task: its pod or process, and the last part of its raw data path."""
    return fit(f"{execution_name}-{unique_node_id}-{attempt}", limit)


@lru_cache(maxsize=REMEMBERED)
def attempt_name(
    project: str, domain: str, execution_name: str, unique_node_id: str, attempt: int, limit: int = 49
) -> str:
    """The name of an attempt among those of all executions: a readable part of at most `limit`, then a hash of all.

    Generated names say nothing of project and domain, and long ones are hashes of 32 bits; these have 64 bits on top.
    """
    readable = fit(f"{execution_name}-{unique_node_id}-{attempt}", limit)
    whole = f"{project}/{domain}/{execution_name}/{unique_node_id}/{attempt}"
    digest = hashlib.blake2b(whole.encode(), digest_size=8).digest()
    return f"{readable}-{_base32(int.from_bytes(digest), 64)}"


def metadata_folder(project: str, domain: str, execution_name: str) -> str:
    """The folder of an execution's files below the metadata prefix, different for different executions.

    Joined with hyphens, as clients know it; a hash of 64 bits follows where a hyphen in project or domain would let two
    executions have the same text.
    """
    joined = f"{project}-{domain}-{execution_name}"
    if "-" not in project + domain:
        return joined
    return f"{joined}-{_base32(_fnv1a('/'.join((project, domain, execution_name)).encode(), 64), 64)}"


def child_execution_name(execution_name: str, unique_node_id: str, attempt: int) -> str:
    """The name of the execution that an attempt of a launch plan node starts: at most 20 characters."""
    return fit(f"{execution_name}-{unique_node_id}-{attempt}", CHILD_EXECUTION_NAME_LIMIT, bits=64)


@lru_cache(maxsize=REMEMBERED)
def raw_output_shard(name: str) -> str:
    """Two characters of `a-z0-9` that spread raw data over an object store's partitions, derived from the name."""
    major, minor = divmod(_fnv1a(name.encode(), 32) % len(_SHARD_ALPHABET) ** 2, len(_SHARD_ALPHABET))
    return _SHARD_ALPHABET[major] + _SHARD_ALPHABET[minor]


def per_retry_unique_key(name: str) -> str:
    """A generated name as an identifier of SQL and the like: letters, digits and `_`, not starting with a digit."""
    return _NOT_A_WORD.sub("_", _NOT_A_START.sub("a", name))


def random_execution_name(randomness: bytes) -> str:
    """A name of 20 characters made from at least 16 random bytes: `a`, then letters and digits hard to misread.

    There are 2**90 such names; the alphabet has no vowels, so no words.
    """
    if len(randomness) < _RANDOM_BYTES:
        raise InvalidArgument.invalid("randomness", f"{len(randomness)} bytes", f"at least {_RANDOM_BYTES} are needed")
    number = int.from_bytes(randomness, "big")
    letters = ["a"]
    for _ in range(_RANDOM_LENGTH):
        number, digit = divmod(number, len(_RANDOM_ALPHABET))
        letters.append(_RANDOM_ALPHABET[digit])
    return "".join(letters)


def _fnv1a(data: bytes, bits: int) -> int:
    value, prime = _FNV[bits]
    mask = (1 << bits) - 1
    for byte in data:
        value = ((value ^ byte) * prime) & mask
    return value


def _base32(value: int, bits: int) -> str:
    """Most significant bits first, five to a character, the last one filled up with zeros; no padding."""
    length = -(-bits // 5)
    value <<= length * 5 - bits
    return "".join([_HASH_ALPHABET[value >> shift & 31] for shift in range((length - 1) * 5, -1, -5)])
