"""What things are called: datasets, tags and artifacts, and the digests that the database finds them by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def digest(*parts: str) -> bytes:
    """SHA-256 of names in an order; 32 bytes. Lengths are hashed too, so that `a`, `bc` and `ab`, `c` differ."""
    hasher = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        hasher.update(len(encoded).to_bytes(8, "big"))
        hasher.update(encoded)
    return hasher.digest()


@dataclass(frozen=True, slots=True)
class DatasetKey:
    """The name of a dataset; a UUID and an org are not part of it."""

    project: str
    domain: str
    name: str
    version: str

    @property
    def digest(self) -> bytes:
        """One value of fixed size that is unique for the four names together."""
        return digest(self.project, self.domain, self.name, self.version)


@dataclass(frozen=True, slots=True)
class TagKey:
    """The name of a tag, and of the lease on it."""

    dataset: DatasetKey
    tag_name: str

    @property
    def digest(self) -> bytes:
        """One value of fixed size that is unique for dataset and tag together."""
        dataset = self.dataset
        return digest(dataset.project, dataset.domain, dataset.name, dataset.version, self.tag_name)

    @property
    def label(self) -> str:
        """The names for people; not unique."""
        dataset = self.dataset
        return "/".join((dataset.project, dataset.domain, dataset.name, dataset.version, self.tag_name))


@dataclass(frozen=True, slots=True)
class ArtifactKey:
    """An artifact by its own id; without a dataset, the newest one of this id."""

    dataset: DatasetKey | None
    artifact_id: str


Handle = ArtifactKey | TagKey
"""The two ways to name an artifact."""
