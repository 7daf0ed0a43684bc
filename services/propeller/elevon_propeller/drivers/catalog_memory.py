"""The catalog in memory: the fake of `Catalog`; and the one that is used when caching is off."""

from __future__ import annotations

from elevon_core.errors import Unavailable
from elevon_idl.core import v1 as core

from elevon_propeller.engine.commands import CacheEntry
from elevon_propeller.ports import CacheHit

Key = tuple[str, str, str, str, str]


class MemoryCatalog:
    """Keeps entries and reservations; while `down` is true every call raises Unavailable. Leases do not run out."""

    def __init__(self) -> None:
        self.down = False
        self.entries: dict[Key, CacheHit] = {}
        self.reservations: dict[Key, str] = {}

    async def look_up(self, entry: CacheEntry) -> CacheHit | None:
        """The outputs of an entry."""
        self._check()
        return self.entries.get(_key(entry))

    async def store(self, entry: CacheEntry, outputs: core.LiteralMap, *, overwrite: bool) -> core.CatalogMetadata:
        """Keep outputs."""
        self._check()
        key = _key(entry)
        if overwrite or key not in self.entries:
            catalog = core.CatalogMetadata(
                dataset_id=entry.dataset,
                artifact_tag=core.CatalogArtifactTag(artifact_id=f"artifact-{len(self.entries)}", name=entry.tag),
                source_task_execution=entry.source,
            )
            self.entries[key] = CacheHit(outputs, catalog)
        return self.entries[key].catalog

    async def reserve(self, entry: CacheEntry, heartbeat_seconds: float) -> str:
        """Take or extend a reservation."""
        self._check()
        return self.reservations.setdefault(_key(entry), entry.owner)

    async def release(self, entry: CacheEntry) -> None:
        """Give a reservation up."""
        self._check()
        if self.reservations.get(_key(entry)) == entry.owner:
            del self.reservations[_key(entry)]

    def _check(self) -> None:
        if self.down:
            raise Unavailable("the catalog is down")


def _key(entry: CacheEntry) -> Key:
    dataset = entry.dataset
    return (dataset.project, dataset.domain, dataset.name, dataset.version, entry.tag)
