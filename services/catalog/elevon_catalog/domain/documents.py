"""How the content of an artifact is divided between its row and the object store, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from elevon_core import places
from elevon_idl.catalog import v1 as catalog

from elevon_catalog.domain.records import ArtifactRecord, Content, DatasetRecord, ExternalValue


@dataclass(frozen=True, slots=True)
class InlineLimits:
    """Which values stay in the row: those up to `value` bytes, as long as a row has no more than `total` bytes."""

    value: int
    total: int


def divide(
    data: Sequence[catalog.ArtifactData], metadata: catalog.Metadata, limits: InlineLimits, locate: Callable[[str], str]
) -> tuple[Content, dict[str, bytes]]:
    """Decide where each value goes; answers the content, and what has to be written at which location."""
    document = catalog.Artifact(metadata=metadata)
    external: list[ExternalValue] = []
    writes: dict[str, bytes] = {}
    found = source_places(metadata)
    inline = total = 0
    for item in data:
        size = item.value.ByteSize()
        total += size
        if size <= limits.value and inline + size <= limits.total:
            inline += size
            document.data.append(item)
        else:
            value = ExternalValue(item.name, locate(item.name), size)
            external.append(value)
            writes[value.location] = item.value.SerializeToString()
            found |= places.named_in(writes[value.location])
    serialized = document.SerializeToString()
    found |= places.named_in(serialized)
    return Content(serialized, tuple(external), total, frozenset(found)), writes


def source_places(metadata: catalog.Metadata) -> set[str]:
    """The place of the execution that has computed an artifact, as far as the artifact tells."""
    facts = metadata.key_map
    name = facts.get("execution-name", "")
    return {places.kept(facts.get("exec-project", ""), facts.get("exec-domain", ""), name)} if name else set()


def dataset_id(dataset: DatasetRecord) -> catalog.DatasetID:
    """The identifier as it is returned, with the UUID."""
    key = dataset.key
    return catalog.DatasetID(
        project=key.project, domain=key.domain, name=key.name, version=key.version, UUID=dataset.uuid
    )


def dataset_message(dataset: DatasetRecord) -> catalog.Dataset:
    """A dataset as it is returned; metadata is present even when it is empty."""
    metadata = catalog.Metadata.FromString(dataset.metadata)
    return catalog.Dataset(id=dataset_id(dataset), metadata=metadata, partitionKeys=dataset.partition_keys)


def artifact_message(record: ArtifactRecord, values: Mapping[str, bytes], tag_names: Sequence[str]) -> catalog.Artifact:
    """An artifact as it is returned; `values` are the contents of the external locations."""
    message = catalog.Artifact.FromString(record.content.document)
    message.id = record.artifact_id
    message.dataset.CopyFrom(dataset_id(record.dataset))
    message.created_at.FromNanoseconds(record.created_at)
    message.metadata.SetInParent()
    for value in record.content.external:
        message.data.add(name=value.name).value.ParseFromString(values[value.location])
    for key, partition_value in record.partitions:
        message.partitions.add(key=key, value=partition_value)
    for name in tag_names:
        tag = message.tags.add(name=name, artifact_id=record.artifact_id)
        tag.dataset.CopyFrom(message.dataset)
    return message


def without_values(record: ArtifactRecord, tag_names: Sequence[str]) -> catalog.Artifact:
    """An artifact whose external values are lost, as a listing shows it."""
    bare = catalog.Artifact.FromString(record.content.document)
    bare.ClearField("data")
    content = Content(bare.SerializeToString())
    return artifact_message(
        ArtifactRecord(
            row=record.row,
            dataset=record.dataset,
            artifact_id=record.artifact_id,
            content=content,
            partitions=record.partitions,
            created_at=record.created_at,
            written_at=record.written_at,
        ),
        {},
        tag_names,
    )
