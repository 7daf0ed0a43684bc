"""What the catalog remembers. Times are nanoseconds since 1970, sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass

from elevon_catalog.domain.names import DatasetKey, TagKey


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """A dataset; `metadata` is a serialized Metadata message."""

    key: DatasetKey
    uuid: str
    metadata: bytes
    partition_keys: tuple[str, ...]
    created_at: int


@dataclass(frozen=True, slots=True)
class ExternalValue:
    """A value that is too large for its row: the object at `location` is a serialized Literal."""

    name: str
    location: str
    size: int


@dataclass(frozen=True, slots=True)
class Content:
    """What an update replaces as a whole.

    `document` is a serialized Artifact message with the small values and the metadata; `size` counts all values.
    `places` say whose data the values point at; they are known when content is written, not when it is read.
    """

    document: bytes
    external: tuple[ExternalValue, ...] = ()
    size: int = 0
    places: frozenset[str] = frozenset()

    @property
    def locations(self) -> tuple[str, ...]:
        """Where the large values are."""
        return tuple(value.location for value in self.external)


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """An artifact to be inserted; `partitions` are key and value, in the order of the request."""

    artifact_id: str
    content: Content
    partitions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """One state of an artifact: changes whenever its values are written."""

    row: int
    written_at: int


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """An artifact as it was read in one statement."""

    row: int
    dataset: DatasetRecord
    artifact_id: str
    content: Content
    partitions: tuple[tuple[str, str], ...]
    created_at: int
    written_at: int

    @property
    def generation(self) -> Generation:
        """What tells this state of the artifact from a later one."""
        return Generation(self.row, self.written_at)


@dataclass(frozen=True, slots=True)
class Replacement:
    """Which existing entry may be replaced: any, one written before a time, or one that was found broken."""

    always: bool = False
    written_before: int = 0
    broken: Generation | None = None

    def permits(self, generation: Generation) -> bool:
        """Whether an entry in this state has to give way."""
        return self.always or generation.written_at < self.written_before or generation == self.broken


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A tag, the artifact it is to point to, and the dataset in case there is none."""

    tag: TagKey
    dataset: DatasetRecord
    artifact: NewArtifact
    replacement: Replacement


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """What became of an entry; `outcome` is a number of StoreResult.Outcome."""

    outcome: int
    artifact_id: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one domain of a project stores."""

    project: str
    domain: str
    datasets: int
    artifacts: int
    untagged_artifacts: int
    value_bytes: int


@dataclass(frozen=True, slots=True)
class PruneRule:
    """Which artifacts of a project go: written before a time, untagged, or both when both are asked for."""

    project: str
    domain: str
    written_before: int | None
    only_untagged: bool


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """An entry of the cache service.

    `document` is a serialized CachedOutput; its literals are at `location` instead when they are large.
    """

    key: str
    document: bytes
    location: str
    created_at: int
    written_at: int

    @property
    def generation(self) -> Generation:
        """What tells this state of the entry from a later one; the key tells entries apart."""
        return Generation(0, self.written_at)
