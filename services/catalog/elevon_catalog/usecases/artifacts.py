"""Create, read, list and update artifacts, and tag them."""

from __future__ import annotations

from dataclasses import dataclass

from elevon_core.errors import AlreadyExists, InvalidArgument, NotFound
from elevon_idl.catalog import v1 as catalog

from elevon_catalog.domain import filters, validation
from elevon_catalog.domain.documents import without_values
from elevon_catalog.domain.failures import already_exists, missing_artifact
from elevon_catalog.domain.names import ArtifactKey, Handle, TagKey
from elevon_catalog.domain.records import ArtifactRecord, Generation, NewArtifact
from elevon_catalog.ports import CatalogStore, Clock
from elevon_catalog.usecases.datasets import find_dataset
from elevon_catalog.usecases.measurements import Measurements
from elevon_catalog.usecases.values import Values, complete, fitting, message

READ_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class EntryRules:
    """How old entries may get, in nanoseconds (None: any age), and how many bytes of values one answer carries."""

    max_age: int | None
    answer_bytes: int

    def expired(self, record: ArtifactRecord, now: int) -> bool:
        """Whether the values are too old to be found by a tag."""
        return self.max_age is not None and record.written_at < now - self.max_age


class Artifacts:
    """What can be done with artifacts."""

    def __init__(
        self, store: CatalogStore, values: Values, clock: Clock, rules: EntryRules, measurements: Measurements
    ) -> None:
        self._store = store
        self._values = values
        self._clock = clock
        self._rules = rules
        self._measurements = measurements

    async def create(self, request: catalog.CreateArtifactRequest) -> None:
        """Create an artifact; raises NotFound for the dataset, AlreadyExists for the artifact."""
        artifact = request.artifact
        if not request.HasField("artifact"):
            raise InvalidArgument.missing("artifact")
        key = validation.dataset_key(artifact.dataset, artifact.HasField("dataset"))
        artifact_id = validation.required(artifact.id, "artifactID")
        if name := validation.duplicate_name(artifact.data):
            raise already_exists("ArtifactData", f'name: "{name}"')
        validation.artifact_data(artifact.data)
        dataset = await find_dataset(self._store, key)
        validation.match_partitions(artifact.partitions, dataset.partition_keys)
        partitions = validation.bounded_partitions(artifact.partitions)
        prepared = self._values.prepare(key, artifact_id, artifact.data, artifact.metadata)
        if prepared.writes and await self._store.find_artifact(ArtifactKey(key, artifact_id)):
            raise already_exists("Artifact", f'id: "{artifact_id}"')
        await self._values.write([prepared])
        await self._store.create_artifact(key, NewArtifact(artifact_id, prepared.content, partitions), self._clock())

    async def read(self, request: catalog.GetArtifactRequest) -> catalog.Artifact:
        """Read an artifact; raises NotFound, also for an entry that is too old or has lost a value."""
        handle = validation.handle(request)
        if not isinstance(handle, TagKey):
            return await self._read(handle)
        try:
            found = await self._read(handle)
        except NotFound:
            self._measurements.missed()
            raise
        self._measurements.hit()
        return found

    async def _read(self, handle: Handle) -> catalog.Artifact:
        for _ in range(READ_ATTEMPTS):
            record = await self._find(handle)
            values = await self._values.read([record])
            if complete(record, values):
                tags = (await self._store.tags_of([record.row])).get(record.row, [])
                return message(record, values, tags, handle.tag_name if isinstance(handle, TagKey) else "")
            # An update may have replaced the values between the two reads: then there is a newer row to look at.
            if await self._store.find_artifact(handle) == record:
                break
        raise missing_artifact(handle, "a value is gone from the object store")

    async def list(self, request: catalog.ListArtifactsRequest) -> catalog.ListArtifactsResponse:
        """Read one page of the artifacts of a dataset; raises NotFound for the dataset.

        A page ends early rather than grow over the size of an answer.
        """
        key = validation.dataset_key(request.dataset, request.HasField("dataset"))
        conditions = filters.artifact_filters(request.filter)
        page = filters.page(request.pagination, request.HasField("pagination"))
        await find_dataset(self._store, key)
        records = await self._store.list_artifacts(key, conditions, page)
        records = records[: fitting(records, self._rules.answer_bytes)]
        values = await self._values.read(records)
        tags = await self._store.tags_of([record.row for record in records])
        artifacts = [
            message(record, values, tags.get(record.row, []))
            if complete(record, values)
            else without_values(record, tags.get(record.row, []))
            for record in records
        ]
        return catalog.ListArtifactsResponse(artifacts=artifacts, next_token=page.next_token(len(artifacts)))

    async def update(self, request: catalog.UpdateArtifactRequest) -> str:
        """Replace values and metadata of an artifact; answers its id. Raises NotFound."""
        handle = validation.handle(request)
        validation.artifact_data(request.data)
        record = await self._store.find_artifact(handle)
        if record is None:
            raise missing_artifact(handle)
        prepared = self._values.prepare(record.dataset.key, record.artifact_id, request.data, request.metadata)
        await self._values.write([prepared])
        artifact_id = await self._store.update_artifact(handle, prepared.content, self._clock())
        if record.content.external:
            await self._values.sweep_quietly()
        return artifact_id

    async def add_tag(self, request: catalog.AddTagRequest) -> None:
        """Tag an artifact; raises NotFound, and AlreadyExists unless the tag points to one that cannot be read."""
        tag = request.tag
        if not request.HasField("tag"):
            raise InvalidArgument.missing("tag")
        dataset = validation.dataset_key(tag.dataset, tag.HasField("dataset"))
        key = TagKey(dataset, validation.required(tag.name, "tagName"))
        artifact_id = validation.required(tag.artifact_id, "artifactID")
        try:
            await self._store.add_tag(key, artifact_id, None, self._clock())
        except AlreadyExists:
            displaced = await self._unusable(key, artifact_id)
            if displaced is None:
                raise
            await self._store.add_tag(key, artifact_id, displaced, self._clock())

    async def _find(self, handle: Handle) -> ArtifactRecord:
        record = await self._store.find_artifact(handle)
        if record is None:
            raise missing_artifact(handle)
        if isinstance(handle, TagKey) and self._rules.expired(record, self._clock()):
            raise missing_artifact(handle, "the entry is older than this catalog allows")
        return record

    async def _unusable(self, tag: TagKey, artifact_id: str) -> Generation | None:
        record = (await self._store.find_tagged([tag])).get(tag)
        if record is None or record.artifact_id == artifact_id:
            return None
        if self._rules.expired(record, self._clock()) or await self._values.lost([record]):
            return record.generation
        return None
