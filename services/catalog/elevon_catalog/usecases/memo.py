"""Look up and store many entries at a time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from elevon_core.errors import InvalidArgument
from elevon_core.portions import portions
from elevon_idl.catalog import v1 as catalog

from elevon_catalog.domain import validation
from elevon_catalog.domain.names import TagKey
from elevon_catalog.domain.records import ArtifactRecord, NewArtifact, NewEntry, Replacement, StoredEntry
from elevon_catalog.ports import CatalogStore, Clock
from elevon_catalog.usecases.artifacts import EntryRules
from elevon_catalog.usecases.datasets import new_dataset
from elevon_catalog.usecases.measurements import Measurements
from elevon_catalog.usecases.values import PreparedContent, Values, complete, message

Result = catalog.LookupResult
KEPT = catalog.StoreResult.OUTCOME_KEPT
REPLACED = catalog.StoreResult.OUTCOME_REPLACED
LOOKUP_CHUNK = 100
"""How many entries are read at once; entries behind the size of an answer are not read at all."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An entry to store, with its values divided."""

    entry: NewEntry
    prepared: PreparedContent


class Memo:
    """What can be done with entries."""

    def __init__(
        self, store: CatalogStore, values: Values, clock: Clock, rules: EntryRules, measurements: Measurements
    ) -> None:
        self._store = store
        self._values = values
        self._clock = clock
        self._rules = rules
        self._measurements = measurements

    async def lookup(self, request: catalog.LookupRequest) -> list[catalog.LookupResult]:
        """Find entries; whatever is not there is told by the absence of its result."""
        keys = [
            TagKey(
                validation.dataset_key(entry.dataset_id, entry.HasField("dataset_id"), f"entries[{index}]."),
                validation.required(entry.tag_name, f"entries[{index}].tagName"),
            )
            for index, entry in enumerate(validation.batch(request.entries))
        ]
        oldest = self._oldest(validation.duration(request.max_age, request.HasField("max_age"), "max_age"))
        results: list[catalog.LookupResult] = []
        budget = self._rules.answer_bytes
        for number, chunk in enumerate(portions(keys, LOOKUP_CHUNK)):
            if budget > 0:
                answered, used = await self._answer(chunk, oldest, budget, first=number == 0)
                results += answered
                budget -= used
            else:
                results += [Result(absence=Result.ABSENCE_DEFERRED) for _ in chunk]
        self._measurements.looked_up(results)
        return results

    async def _answer(
        self, keys: Sequence[TagKey], oldest: int, budget: int, first: bool
    ) -> tuple[list[catalog.LookupResult], int]:
        """The results of a few entries, and how many bytes of values they carry."""
        found = await self._store.find_tagged(keys)
        usable: list[ArtifactRecord] = []
        absences: list[int] = []
        used = 0
        for index, key in enumerate(keys):
            record = found.get(key)
            absence = _absence(record, oldest)
            if record is not None and absence == Result.ABSENCE_UNSPECIFIED:
                if used + record.content.size > budget and not (first and index == 0):
                    absence = Result.ABSENCE_DEFERRED
                    used = budget
                else:
                    used += record.content.size
                    usable.append(record)
            absences.append(absence)
        values = await self._values.read(usable)
        torn = {record.row for record in usable if not complete(record, values)}
        if torn:
            # A replacement may have come between the two reads: then there are newer rows to look at.
            newer = await self._store.find_tagged([key for key, record in found.items() if record.row in torn])
            values |= await self._values.read(list(newer.values()))
            found |= newer
        results = [_result(key, found.get(key), absence, values) for key, absence in zip(keys, absences, strict=True)]
        return results, used

    async def store(self, request: catalog.StoreRequest) -> list[StoredEntry]:
        """Store entries, all or none; raises AlreadyExists when an artifact id is taken."""
        now = self._clock()
        entries = validation.batch(request.entries)
        wanted = [self._wanted(entry, index, now) for index, entry in enumerate(entries)]
        validation.distinct((each.entry.tag for each in wanted), "tagName")
        validation.distinct(
            ((each.entry.tag.dataset, each.entry.artifact.artifact_id) for each in wanted), "artifactID"
        )
        stored = await self._kept(wanted)
        open_entries = [index for index in range(len(wanted)) if index not in stored]
        if open_entries:
            stored |= await self._write(wanted, open_entries)
        outcomes = [stored[index] for index in range(len(wanted))]
        self._measurements.stored(outcomes)
        return outcomes

    async def _kept(self, wanted: list[Wanted]) -> dict[int, StoredEntry]:
        """Find the entries that stay, so that nothing is written for them; marks those that lost a value."""
        existing = await self._store.find_tagged([each.entry.tag for each in wanted])
        kept: dict[int, ArtifactRecord] = {}
        for index, each in enumerate(wanted):
            record = existing.get(each.entry.tag)
            if record is not None and not each.entry.replacement.permits(record.generation):
                kept[index] = record
        lost = await self._values.lost(kept.values())
        for index in [index for index, record in kept.items() if record.row in lost]:
            replacement = replace(wanted[index].entry.replacement, broken=kept.pop(index).generation)
            wanted[index] = replace(wanted[index], entry=replace(wanted[index].entry, replacement=replacement))
        return {index: StoredEntry(KEPT, record.artifact_id) for index, record in kept.items()}

    async def _write(self, wanted: Sequence[Wanted], indexes: Sequence[int]) -> dict[int, StoredEntry]:
        chosen = [wanted[index] for index in indexes]
        await self._values.write([each.prepared for each in chosen])
        stored = await self._store.store_entries([each.entry for each in chosen], self._clock())
        if any(result.outcome == REPLACED for result in stored):
            await self._values.sweep_quietly()
        return dict(zip(indexes, stored, strict=True))

    def _wanted(self, entry: catalog.StoreEntry, index: int, now: int) -> Wanted:
        prefix = f"entries[{index}]."
        dataset = new_dataset(entry.dataset, now, entry.HasField("dataset"), prefix)
        tag = TagKey(dataset.key, validation.required(entry.tag_name, f"{prefix}tagName"))
        if not entry.HasField("artifact"):
            raise InvalidArgument.missing(f"{prefix}artifact")
        validation.artifact_data(entry.artifact.data, prefix)
        artifact_id = validation.bounded(entry.artifact.id, f"{prefix}artifactID") or str(uuid.uuid4())
        partitions = validation.bounded_partitions(entry.artifact.partitions, prefix)
        prepared = self._values.prepare(dataset.key, artifact_id, entry.artifact.data, entry.artifact.metadata)
        limit = validation.duration(entry.replace_after, entry.HasField("replace_after"), f"{prefix}replace_after")
        replacement = Replacement(always=entry.overwrite, written_before=self._oldest(limit))
        artifact = NewArtifact(artifact_id, prepared.content, partitions)
        return Wanted(NewEntry(tag, dataset, artifact, replacement), prepared)

    def _oldest(self, max_age: int | None) -> int:
        """The time before which values are too old, by the caller's limit and the catalog's own."""
        limits = [limit for limit in (max_age, self._rules.max_age) if limit is not None]
        return self._clock() - min(limits) if limits else 0


def _absence(record: ArtifactRecord | None, oldest: int) -> int:
    if record is None:
        return Result.ABSENCE_UNKNOWN
    return Result.ABSENCE_EXPIRED if record.written_at < oldest else Result.ABSENCE_UNSPECIFIED


def _result(key: TagKey, record: ArtifactRecord | None, absence: int, values: dict[str, bytes]) -> catalog.LookupResult:
    if record is None or absence != Result.ABSENCE_UNSPECIFIED:
        return Result(absence=Result.Absence.ValueType(absence))
    if not complete(record, values):
        return Result(absence=Result.ABSENCE_LOST)
    result = Result(artifact=message(record, values, [key.tag_name]))
    result.dataset_metadata.ParseFromString(record.dataset.metadata)
    result.written_at.FromNanoseconds(record.written_at)
    return result
