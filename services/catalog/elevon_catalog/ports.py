"""What the use cases need from the world.

Every method raises Unavailable when what is behind it is out of reach, and has no effect then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from elevon_catalog.domain.filters import ArtifactFilters, DatasetFilters, Page
from elevon_catalog.domain.leases import Lease, LeaseRequest
from elevon_catalog.domain.names import DatasetKey, Handle, TagKey
from elevon_catalog.domain.records import (
    ArtifactRecord,
    CacheRecord,
    Content,
    DatasetRecord,
    Generation,
    NewArtifact,
    NewEntry,
    PruneRule,
    Replacement,
    StoredEntry,
    Usage,
)

Clock = Callable[[], int]
"""Nanoseconds since 1970."""


class DatasetStore(Protocol):
    """The datasets."""

    async def create_dataset(self, dataset: DatasetRecord) -> None:
        """Insert a dataset; raises AlreadyExists when its key or its UUID is taken."""

    async def find_datasets(self, keys: Sequence[DatasetKey]) -> dict[DatasetKey, DatasetRecord]:
        """Read those of the datasets that exist."""

    async def list_datasets(self, filters: DatasetFilters, page: Page) -> list[DatasetRecord]:
        """Read a page of datasets."""

    async def delete_dataset(self, key: DatasetKey) -> int:
        """Delete a dataset and all that is in it; answers the number of artifacts. Raises NotFound."""

    async def list_usage(self, project: str, domain: str) -> list[Usage]:
        """Add up what is stored, by project and domain; an empty name stands for all."""


class ArtifactStore(Protocol):
    """The artifacts and their tags.

    Contents that name locations in the object store have been announced to the ValueStore before; a method that takes
    them over raises Unavailable when an announcement has lapsed. Locations that are no longer named are discarded.
    """

    async def create_artifact(self, dataset: DatasetKey, artifact: NewArtifact, now: int) -> None:
        """Insert an artifact; raises NotFound without the dataset, AlreadyExists when the id is taken."""

    async def find_artifact(self, handle: Handle) -> ArtifactRecord | None:
        """Read one artifact."""

    async def find_tagged(self, tags: Sequence[TagKey]) -> dict[TagKey, ArtifactRecord]:
        """Read the artifacts of those tags that exist."""

    async def tags_of(self, rows: Sequence[int]) -> dict[int, list[str]]:
        """Read the names of all tags of artifacts, oldest first, by the row of the artifact."""

    async def list_artifacts(self, dataset: DatasetKey, filters: ArtifactFilters, page: Page) -> list[ArtifactRecord]:
        """Read a page of the artifacts of a dataset."""

    async def update_artifact(self, handle: Handle, content: Content, now: int) -> str:
        """Replace the content of an artifact; answers its id. Raises NotFound."""

    async def add_tag(self, tag: TagKey, artifact_id: str, displaced: Generation | None, now: int) -> None:
        """Insert a tag; raises NotFound without the dataset or the artifact, AlreadyExists when there is such a tag.

        A tag that points to the artifact in the state `displaced` is pointed to the new one instead; the old one is
        deleted unless other tags point to it.
        """

    async def store_entries(self, entries: Sequence[NewEntry], now: int) -> list[StoredEntry]:
        """Store all entries or none; answers in their order.

        Raises AlreadyExists when an artifact id is taken by an artifact that the tag does not point to, and
        InvalidArgument when the partitions do not match those of an existing dataset.
        """

    async def delete_artifact(self, handle: Handle) -> str:
        """Delete an artifact and its tags; answers its id. Raises NotFound."""

    async def evict_tag(self, tag: TagKey) -> str:
        """Delete a tag; answers the id of the artifact when it went with its last tag, else "". Raises NotFound."""

    async def prune(self, rule: PruneRule, limit: int) -> int:
        """Delete up to `limit` artifacts that the rule names; answers how many."""

    async def count_prunable(self, rule: PruneRule) -> int:
        """How many artifacts the rule names."""

    async def evict_pointing(self, places: Sequence[str]) -> int:
        """Delete, with their tags, the artifacts that point at one of the places; answers how many."""

    async def count_pointing(self, places: Sequence[str]) -> int:
        """How many artifacts point at one of the places."""


class LeaseStore(Protocol):
    """The leases."""

    async def acquire(self, requests: Sequence[LeaseRequest], now: int) -> list[Lease]:
        """Take or extend each lease unless another owner holds it; answers who holds it now. Subjects are distinct."""

    async def release(self, leases: Sequence[tuple[bytes, str]]) -> None:
        """Delete those leases, given by subject and owner, that have this owner."""

    async def forget(self, expired_before: int) -> int:
        """Delete leases that ran out before a time; answers how many."""


class CacheStore(Protocol):
    """The entries of the cache service; locations are treated as by the ArtifactStore."""

    async def find(self, key: str) -> CacheRecord | None:
        """Read an entry."""

    async def put(self, record: CacheRecord, replacement: Replacement, keep_creation: bool) -> None:
        """Write an entry; raises AlreadyExists when there is one that may not be replaced.

        With keep_creation, the creation time of the replaced entry stays.
        """

    async def delete(self, key: str) -> None:
        """Delete an entry; raises NotFound."""


class DiscardStore(Protocol):
    """Locations in the object store that nothing names, each with the time from when on it may be deleted."""

    async def announce(self, locations: Sequence[str], due_at: int) -> None:
        """Remember locations that are about to be written, so that they are deleted if their owner never appears."""

    async def due(self, now: int, limit: int) -> list[str]:
        """Read up to `limit` locations whose time has come, and keep them from being taken over any more."""

    async def forget(self, locations: Sequence[str]) -> None:
        """Forget locations that have been deleted."""


class ValueStore(Protocol):
    """Values that are too large for a row."""

    async def write(self, values: Mapping[str, bytes]) -> None:
        """Write new objects, by location."""

    async def read(self, locations: Sequence[str]) -> dict[str, bytes]:
        """Read objects, by location; those that do not exist are left out."""

    async def missing(self, sizes: Mapping[str, int]) -> set[str]:
        """Tell which objects, given by location and size in bytes, do not exist or are not whole."""

    async def delete(self, locations: Sequence[str]) -> None:
        """Delete objects; those that do not exist are no error."""


class CatalogStore(DatasetStore, ArtifactStore, DiscardStore, Protocol):
    """What the data catalog needs of the database."""


__all__ = [
    "ArtifactStore",
    "CacheStore",
    "CatalogStore",
    "Clock",
    "DatasetStore",
    "DiscardStore",
    "LeaseStore",
    "ValueStore",
]
