"""Requests turned into names, or an InvalidArgument that says which field breaks which rule."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import TypeVar

from elevon_core.errors import InvalidArgument
from elevon_idl.catalog import v1 as catalog
from google.protobuf.duration_pb2 import Duration

from elevon_catalog.domain.names import ArtifactKey, DatasetKey, Handle, TagKey

LONGEST_NAME = 1024
"""In bytes of UTF-8; what an index of every supported database can hold."""
LARGEST_BATCH = 1000
LONGEST_DURATION = 10_000 * 365 * 86_400 * 10**9
"""In nanoseconds; far more than any age, and small enough for every database."""

Item = TypeVar("Item")
HandleRequest = catalog.GetArtifactRequest | catalog.UpdateArtifactRequest | catalog.DeleteArtifactRequest


def bounded(value: str, field: str) -> str:
    """A text that every supported database can hold and index."""
    if "\0" in value:
        raise InvalidArgument.invalid(field, value, "must not contain NUL characters")
    if len(value) > LONGEST_NAME // 4 and len(value.encode()) > LONGEST_NAME:
        raise InvalidArgument.invalid(field, value, f"must not be longer than {LONGEST_NAME} bytes")
    return value


def required(value: str, field: str) -> str:
    """A text that is not empty."""
    if not value:
        raise InvalidArgument.missing(field)
    return bounded(value, field)


def dataset_key(identifier: catalog.DatasetID, present: bool, prefix: str = "") -> DatasetKey:
    """The four names of a dataset; the first one that is empty is reported."""
    if not present:
        raise InvalidArgument.missing(f"{prefix}dataset")
    return DatasetKey(
        project=required(identifier.project, f"{prefix}project"),
        domain=required(identifier.domain, f"{prefix}domain"),
        name=required(identifier.name, f"{prefix}name"),
        version=required(identifier.version, f"{prefix}version"),
    )


def dataset_uuid(text: str) -> str:
    """A UUID in its canonical form; empty stays empty."""
    if not text:
        return ""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidArgument.invalid("UUID", text, "must be 32 hexadecimal digits") from None


def partition_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """The partition keys of a new dataset: unique, maybe empty texts."""
    for index, key in enumerate(keys):
        bounded(key, f"partitionKeys[{index}]")
        if key in keys[:index]:
            raise InvalidArgument.invalid("partitionKeys", key, "must be unique")
    return tuple(keys)


def handle(request: HandleRequest, dataset_required: bool = False) -> Handle:
    """How a request names an artifact; a dataset that is given must be complete even where it is optional."""
    kind = request.WhichOneof("query_handle")
    if kind is None:
        raise InvalidArgument.missing("one of artifactID/tagName")
    if kind == "tag_name":
        tag_name = required(request.tag_name, "tagName")
        return TagKey(dataset_key(request.dataset, request.HasField("dataset")), tag_name)
    artifact_id = required(request.artifact_id, "artifactID")
    if not request.HasField("dataset") and not dataset_required:
        return ArtifactKey(None, artifact_id)
    return ArtifactKey(dataset_key(request.dataset, request.HasField("dataset")), artifact_id)


def artifact_data(data: Sequence[catalog.ArtifactData], prefix: str = "") -> None:
    """The values of an artifact: at least one, each with a name of its own."""
    if not data:
        raise InvalidArgument.missing(f"{prefix}artifactData")
    seen: set[str] = set()
    for index, item in enumerate(data):
        name = required(item.name, f"{prefix}artifactData[{index}].name")
        if name in seen:
            raise InvalidArgument.invalid(f"{prefix}artifactData[{index}].name", name, "must be unique")
        seen.add(name)


def duplicate_name(data: Sequence[catalog.ArtifactData]) -> str:
    """A name that two values share; empty when there is none."""
    seen: set[str] = set()
    for item in data:
        if item.name in seen:
            return item.name
        seen.add(item.name)
    return ""


def match_partitions(partitions: Sequence[catalog.Partition], keys: Sequence[str], prefix: str = "") -> None:
    """An artifact has exactly one partition for each partition key of its dataset; all that is wrong is reported."""
    if len(partitions) != len(keys):
        raise InvalidArgument(
            f"{prefix}Partition key mismatch: the dataset has {len(keys)} partition keys, the artifact has "
            f"{len(partitions)} partitions"
        )
    if not keys:
        return
    problems = [
        f"missing partitionKey[{index}]"
        for index, partition in enumerate(partitions)
        if not partition.key and "" not in keys
    ]
    if sorted(partition.key for partition in partitions) != sorted(keys):
        given = ", ".join(repr(partition.key) for partition in partitions)
        wanted = ", ".join(repr(key) for key in keys)
        problems.append(
            f"Artifact partition assignment does not match dataset partition keys: given {given}; expected {wanted}"
        )
    if problems:
        raise InvalidArgument(prefix + ", ".join(problems))


def bounded_partitions(partitions: Iterable[catalog.Partition], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """The partitions of an artifact as pairs that the database can hold."""
    return tuple(
        (
            bounded(partition.key, f"{prefix}partitions[{index}].key"),
            bounded(partition.value, f"{prefix}partitions[{index}].value"),
        )
        for index, partition in enumerate(partitions)
    )


def reservation_key(identifier: catalog.ReservationID, present: bool, prefix: str = "") -> TagKey:
    """What a lease is on."""
    if not present:
        raise InvalidArgument.missing(f"{prefix}reservation_id")
    dataset = dataset_key(identifier.dataset_id, identifier.HasField("dataset_id"), prefix)
    return TagKey(dataset, required(identifier.tag_name, f"{prefix}tagName"))


def duration(value: Duration, present: bool, field: str) -> int | None:
    """A positive duration in nanoseconds, None when it is not set."""
    if not present:
        return None
    nanoseconds = value.seconds * 10**9 + value.nanos
    if value.nanos < 0 or value.nanos >= 10**9 or nanoseconds <= 0:
        raise InvalidArgument.invalid(field, f"{value.seconds} s {value.nanos} ns", "must be a positive duration")
    return min(nanoseconds, LONGEST_DURATION)


def batch(entries: Sequence[Item]) -> Sequence[Item]:
    """The entries of a batch call: at least one, and not more than one call can carry."""
    if not entries:
        raise InvalidArgument.missing("entries")
    if len(entries) > LARGEST_BATCH:
        raise InvalidArgument.invalid("entries", f"{len(entries)} entries", f"must be at most {LARGEST_BATCH}")
    return entries


def distinct(keys: Iterable[object], what: str) -> None:
    """Nothing occurs twice in a batch call; `what` names the field."""
    seen: dict[object, int] = {}
    for index, key in enumerate(keys):
        if key in seen:
            raise InvalidArgument(f"invalid value for entries[{index}].{what}: the same as in entries[{seen[key]}]")
        seen[key] = index
