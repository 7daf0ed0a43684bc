"""Values that go to the object store and come back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from elevon_core.errors import ElevonError
from elevon_idl.catalog import v1 as catalog
from elevon_kit.logging import get_logger

from elevon_catalog.domain.documents import InlineLimits, artifact_message, divide
from elevon_catalog.domain.locations import value_location
from elevon_catalog.domain.names import DatasetKey
from elevon_catalog.domain.records import ArtifactRecord, Content
from elevon_catalog.ports import Clock, DiscardStore, ValueStore

ANNOUNCED_FOR = 3600 * 10**9
"""How long a writer has between announcing locations and committing the row that names them, in nanoseconds."""
SWEEP_BATCH = 1000
log = get_logger("values")


@dataclass(frozen=True, slots=True)
class PreparedContent:
    """Content for a row, and the values to be written before the row is."""

    content: Content
    writes: dict[str, bytes]


class Values:
    """Divides, writes and gathers the values of artifacts.

    Order is everything here: a location is announced, then written, then named by a committed row. Whatever breaks off
    in between leaves a location behind that the sweeper deletes.
    """

    def __init__(
        self, values: ValueStore, discards: DiscardStore, clock: Clock, base: str, limits: InlineLimits
    ) -> None:
        self._values = values
        self._discards = discards
        self._clock = clock
        self._base = base
        self._limits = limits

    def prepare(
        self, dataset: DatasetKey, artifact_id: str, data: Sequence[catalog.ArtifactData], metadata: catalog.Metadata
    ) -> PreparedContent:
        """Decide where the values of an artifact go; nothing is written yet."""
        unique = uuid.uuid4().hex
        content, writes = divide(
            data, metadata, self._limits, lambda name: value_location(self._base, dataset, artifact_id, name, unique)
        )
        return PreparedContent(content, writes)

    async def write(self, prepared: Iterable[PreparedContent]) -> None:
        """Announce and write the large values of all contents."""
        await self.write_objects({place: data for each in prepared for place, data in each.writes.items()})

    async def write_objects(self, objects: dict[str, bytes]) -> None:
        """Announce and write objects, by location."""
        if not objects:
            return
        await self._discards.announce(list(objects), self._clock() + ANNOUNCED_FOR)
        await self._values.write(objects)

    async def read(self, records: Sequence[ArtifactRecord]) -> dict[str, bytes]:
        """Read the large values of all artifacts, by location; lost ones are left out."""
        locations = [location for record in records for location in record.content.locations]
        return await self._values.read(locations) if locations else {}

    async def read_objects(self, locations: Sequence[str]) -> dict[str, bytes]:
        """Read objects, by location; lost ones are left out."""
        return await self._values.read(locations)

    async def lost(self, records: Iterable[ArtifactRecord]) -> set[int]:
        """Tell which artifacts, by row, have lost a value."""
        owners: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for record in records:
            for value in record.content.external:
                owners[value.location] = record.row
                sizes[value.location] = value.size
        missing = await self._values.missing(sizes) if sizes else set()
        return {owners[location] for location in missing}

    async def sweep(self) -> int:
        """Delete a batch of objects that no row names any more; answers how many, 0 when nothing is left to do."""
        due = await self._discards.due(self._clock(), SWEEP_BATCH)
        if due:
            await self._values.delete(due)
            await self._discards.forget(due)
        return len(due)

    async def sweep_quietly(self) -> None:
        """Sweep at the end of a call that has done its work: whatever fails is left to the next sweep."""
        try:
            await self.sweep()
        except ElevonError as error:
            log.warning("sweep postponed", error=error.message)


def complete(record: ArtifactRecord, values: dict[str, bytes]) -> bool:
    """Whether every large value of the artifact has been read, whole: a power failure may leave a part of a file."""
    return all(len(values.get(value.location, b"")) == value.size for value in record.content.external)


def message(record: ArtifactRecord, values: dict[str, bytes], tags: Sequence[str], first: str = "") -> catalog.Artifact:
    """The artifact as it is returned; the tag `first` comes first."""
    names = sorted(tags, key=lambda name: name != first)
    return artifact_message(record, values, names)


def fitting(records: Sequence[ArtifactRecord], budget: int) -> int:
    """How many of the records, from the first on, stay within a number of bytes; one always does."""
    total = 0
    for count, record in enumerate(records):
        total += record.content.size
        if total > budget and count:
            return count
    return len(records)
