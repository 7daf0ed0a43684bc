"""The keys of cached results and the digests of registered entities."""

from __future__ import annotations

import base64
import functools
from collections.abc import Collection, Mapping

from elevon_idl.core import v1 as core
from google.protobuf.message import Message

from elevon_core.errors import InvalidArgument
from elevon_core.interfaces import stripped
from elevon_core.object_hash import (
    EMPTY,
    UNSPEAKABLE,
    Hasher,
    hash_boolean,
    hash_double,
    hash_int64,
    hash_list,
    hash_member,
    hash_members,
    hash_message,
    hash_name,
    hash_text,
    hasher_of,
)

TAG_PREFIX = "flyte_cached-"
DATASET_PREFIX = "flyte_task-"

_SIGNATURE_LENGTH = 8

_HASH = hash_text("hash")
_SCALAR = hash_text("scalar")
_COLLECTION = hash_text("collection")
_MAP = hash_text("map")
_LITERALS = hash_text("literals")
_PRIMITIVE = hash_text("primitive")
_PRIMITIVE_HASHERS: Mapping[str | None, tuple[bytes, Hasher]] = {
    "integer": (hash_text("integer"), hash_int64),
    "float_value": (hash_text("floatValue"), hash_double),
    "string_value": (hash_text("stringValue"), hash_text),
    "boolean": (hash_text("boolean"), hash_boolean),
}
_hash_scalar = hasher_of(core.Scalar.DESCRIPTOR)
_hash_literal = hasher_of(core.Literal.DESCRIPTOR)


def protobuf_hash(message: Message) -> bytes:
    """The 32 bytes of the object hash of the message; equal for messages whose proto3 JSON is equal.

    Unknown fields do not count. InvalidArgument for what proto3 JSON cannot say, such as a NaN within a Struct.
    """
    return hash_message(message)


def base64_hash(message: Message) -> str:
    """The object hash in the URL alphabet of base64, without padding: 43 characters."""
    return _base64(protobuf_hash(message))


def canonical_digest(message: Message) -> bytes:
    """32 bytes, equal for messages that mean the same whatever the order of their maps; safe to keep for years."""
    return protobuf_hash(message)


def dataset_name(task_name: str) -> str:
    """The name of the dataset that holds the results of a task."""
    return DATASET_PREFIX + task_name


def dataset_version(cache_version: str, interface: core.TypedInterface) -> str:
    """The version of the dataset that holds the results of a task: its cache version and what goes in and out.

    Descriptions, type metadata and annotations do not count. InvalidArgument for a blank cache version.
    """
    version = cache_version.strip(" ")
    if not version:
        raise InvalidArgument.missing("cache version")
    return version + "-" + _signatures(interface.SerializeToString(deterministic=True))


def dataset_of(
    task: core.TaskTemplate, interface: core.TypedInterface, node: core.NodeMetadata
) -> core.Identifier | None:
    """Where the outputs of a task are kept as a node calls it; None when they are not cached.

    `interface` is what the key is made of, which for an element of an array is not quite the task's own.
    """
    cacheable = node.cacheable if node.HasField("cacheable") else task.metadata.discoverable
    version = node.cache_version if node.HasField("cache_version") else task.metadata.discovery_version
    if not (cacheable and version.strip(" ") and interface.outputs.variables):
        return None
    return core.Identifier(
        resource_type=core.DATASET,
        project=task.id.project,
        domain=task.id.domain,
        name=dataset_name(task.id.name),
        version=dataset_version(version, interface),
    )


def signature(variables: core.VariableMap) -> str:
    """The first 8 characters of the hash of the variables as they stand, descriptions included."""
    return base64_hash(variables)[:_SIGNATURE_LENGTH]


def cache_tag(inputs: core.LiteralMap, ignored: Collection[str]) -> str:
    """The tag under which the outputs for these inputs are kept; variables named in `ignored` do not count.

    A literal that carries a hash counts by its hash alone, within lists and maps too, but not within unions.
    """
    return TAG_PREFIX + _base64(inputs_hash(inputs, ignored))


def inputs_hash(inputs: core.LiteralMap, ignored: Collection[str]) -> bytes:
    """The 32 bytes behind `cache_tag`."""
    literals = inputs.literals
    counted = {name: literals[name] for name in literals if name not in ignored} if ignored else literals
    try:
        return _literal_map(counted)
    except UNSPEAKABLE as error:
        raise InvalidArgument(f"inputs have no canonical form: {error}") from None


def _base64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@functools.lru_cache(maxsize=4096)
def _signatures(serialized_interface: bytes) -> str:
    interface = stripped(core.TypedInterface.FromString(serialized_interface))
    return f"{signature(interface.inputs)}-{signature(interface.outputs)}"


def _literal_map(literals: Mapping[str, core.Literal]) -> bytes:
    """The hash of a LiteralMap with each literal replaced as `_literal` says."""
    if not literals:
        return EMPTY
    entries = hash_members([hash_name(name) + _literal(literals[name]) for name in literals])
    return hash_member(_LITERALS, entries)


def _literal(literal: core.Literal) -> bytes:
    """The hash of a literal reduced to its own hash if it has one, of lists and maps without anything but elements."""
    if literal.hash:
        return hash_member(_HASH, hash_text(literal.hash))
    kind = literal.WhichOneof("value")
    if kind == "collection":
        elements = literal.collection.literals
        listed = hash_member(_LITERALS, hash_list(map(_literal, elements))) if elements else EMPTY
        return hash_member(_COLLECTION, listed)
    if kind == "map":
        return hash_member(_MAP, _literal_map(literal.map.literals))
    if kind == "scalar" and not literal.metadata:
        return hash_member(_SCALAR, _scalar(literal.scalar))
    return _hash_literal(literal)


def _scalar(scalar: core.Scalar) -> bytes:
    """The hash of a scalar; plain values, which is what most inputs are, go a shorter way to the same result."""
    primitive = scalar.primitive if scalar.WhichOneof("value") == "primitive" else None
    kind = primitive.WhichOneof("value") if primitive is not None else None
    plan = _PRIMITIVE_HASHERS.get(kind)
    if plan is None:
        return _hash_scalar(scalar)
    return hash_member(_PRIMITIVE, hash_member(plan[0], plan[1](getattr(primitive, str(kind)))))
