"""The catalog through its MemoService: look-ups, stores and reservations of many nodes in few calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import grpc
from elevon_core import interfaces
from elevon_core.errors import InvalidArgument
from elevon_idl.catalog import v1 as catalog
from elevon_idl.catalog.v1 import memo_service_pb2_grpc
from elevon_idl.core import v1 as core
from elevon_kit.grpc_client import translate_errors
from google.protobuf.duration_pb2 import Duration

from elevon_propeller.drivers.batching import Batcher
from elevon_propeller.engine.commands import CacheEntry
from elevon_propeller.ports import CacheHit

ENTRIES_PER_CALL = 500
_UNKNOWN = "unknown"


class GrpcCatalog:
    """`max_age` in seconds, 0 for any; `timeout` of one call in seconds."""

    def __init__(self, channel: grpc.aio.Channel, max_age: float = 0.0, timeout: float = 15.0) -> None:
        stub = memo_service_pb2_grpc.MemoServiceStub(channel)
        self._stub = cast("memo_service_pb2_grpc.MemoServiceAsyncStub", stub)
        self._max_age = _duration(max_age) if max_age else None
        self._timeout = timeout
        self._lookups = Batcher(self._look_up_all, ENTRIES_PER_CALL)
        self._stores = Batcher(self._store_all, ENTRIES_PER_CALL)
        self._reservations = Batcher(self._reserve_all, ENTRIES_PER_CALL)
        self._releases = Batcher(self._release_all, ENTRIES_PER_CALL)

    async def look_up(self, entry: CacheEntry) -> CacheHit | None:
        """The outputs of an entry; raises InvalidArgument when they do not fit the task's interface."""
        question = catalog.LookupEntry(dataset_id=_dataset_id(entry), tag_name=entry.tag)
        result = await self._lookups.ask(_key(entry), question)
        if result.absence == catalog.LookupResult.ABSENCE_DEFERRED:
            result = (await self._look_up_all([question]))[0]
        return _hit(entry, result) if result.HasField("artifact") else None

    async def store(self, entry: CacheEntry, outputs: core.LiteralMap, *, overwrite: bool) -> core.CatalogMetadata:
        """Keep outputs; what is there and usable is kept unless `overwrite`."""
        stored = catalog.StoreEntry(
            dataset=catalog.Dataset(
                id=_dataset_id(entry), metadata=catalog.Metadata(key_map={"task-version": entry.task_id.version})
            ),
            artifact=catalog.Artifact(
                data=[catalog.ArtifactData(name=name, value=value) for name, value in sorted(outputs.literals.items())],
                metadata=catalog.Metadata(key_map=_source_metadata(entry.source)),
            ),
            tag_name=entry.tag,
            overwrite=overwrite,
        )
        if self._max_age is not None:
            stored.replace_after.CopyFrom(self._max_age)
        result = await self._stores.ask(_key(entry), stored)
        return _metadata(entry, result.artifact_id, entry.source)

    async def reserve(self, entry: CacheEntry, heartbeat_seconds: float) -> str:
        """Take or extend a reservation."""
        question = catalog.ReserveEntry(
            reservation_id=_reservation_id(entry),
            owner_id=entry.owner,
            heartbeat_interval=_duration(heartbeat_seconds),
        )
        answer = await self._reservations.ask(_key(entry), question)
        return answer.owner_id

    async def release(self, entry: CacheEntry) -> None:
        """Give a reservation up."""
        question = catalog.ReleaseEntry(reservation_id=_reservation_id(entry), owner_id=entry.owner)
        await self._releases.ask((*_key(entry), entry.owner), question)

    async def _look_up_all(self, entries: Sequence[catalog.LookupEntry]) -> Sequence[catalog.LookupResult]:
        request = catalog.LookupRequest(entries=entries, max_age=self._max_age)
        with translate_errors("catalog"):
            return (await self._stub.Lookup(request, timeout=self._timeout)).results

    async def _store_all(self, entries: Sequence[catalog.StoreEntry]) -> Sequence[catalog.StoreResult]:
        with translate_errors("catalog"):
            return (await self._stub.Store(catalog.StoreRequest(entries=entries), timeout=self._timeout)).results

    async def _reserve_all(self, entries: Sequence[catalog.ReserveEntry]) -> Sequence[catalog.Reservation]:
        request = catalog.ReserveRequest(entries=entries)
        with translate_errors("catalog"):
            return (await self._stub.Reserve(request, timeout=self._timeout)).reservations

    async def _release_all(self, entries: Sequence[catalog.ReleaseEntry]) -> Sequence[None]:
        with translate_errors("catalog"):
            await self._stub.Release(catalog.ReleaseRequest(entries=entries), timeout=self._timeout)
        return [None] * len(entries)


def _hit(entry: CacheEntry, result: catalog.LookupResult) -> CacheHit:
    outputs = core.LiteralMap()
    for item in result.artifact.data:
        outputs.literals[item.name].CopyFrom(item.value)
    try:
        interfaces.check_literals(outputs, entry.interface.outputs, "cached outputs")
    except InvalidArgument as error:
        raise InvalidArgument(f"the entry {entry.tag} does not fit the task: {error.message}") from error
    source = _source(entry, result.artifact.metadata.key_map, result.dataset_metadata.key_map)
    return CacheHit(outputs, _metadata(entry, result.artifact.id, source))


def _source(entry: CacheEntry, facts: object, dataset: object) -> core.TaskExecutionIdentifier:
    """The attempt that computed an entry, as far as the entry tells."""
    found: dict[str, str] = dict(facts)  # type: ignore[call-overload]  # protobuf's map has no common type
    about: dict[str, str] = dict(dataset)  # type: ignore[call-overload]  # as above
    task_id = core.Identifier()
    task_id.CopyFrom(entry.task_id)
    task_id.version = about.get("task-version", _UNKNOWN)
    attempt = found.get("exec-attempt", "0")
    return core.TaskExecutionIdentifier(
        task_id=task_id,
        retry_attempt=int(attempt) if attempt.isdecimal() else 0,
        node_execution_id=core.NodeExecutionIdentifier(
            node_id=found.get("exec-node", _UNKNOWN),
            execution_id=core.WorkflowExecutionIdentifier(
                project=found.get("exec-project", entry.task_id.project),
                domain=found.get("exec-domain", entry.task_id.domain),
                name=found.get("execution-name", _UNKNOWN),
            ),
        ),
    )


def _source_metadata(source: core.TaskExecutionIdentifier) -> dict[str, str]:
    execution = source.node_execution_id.execution_id
    return {
        "exec-project": execution.project,
        "exec-domain": execution.domain,
        "execution-name": execution.name,
        "exec-node": source.node_execution_id.node_id,
        "exec-attempt": str(source.retry_attempt),
    }


def _metadata(entry: CacheEntry, artifact_id: str, source: core.TaskExecutionIdentifier) -> core.CatalogMetadata:
    return core.CatalogMetadata(
        dataset_id=entry.dataset,
        artifact_tag=core.CatalogArtifactTag(artifact_id=artifact_id, name=entry.tag),
        source_task_execution=source,
    )


def _dataset_id(entry: CacheEntry) -> catalog.DatasetID:
    dataset = entry.dataset
    return catalog.DatasetID(project=dataset.project, domain=dataset.domain, name=dataset.name, version=dataset.version)


def _reservation_id(entry: CacheEntry) -> catalog.ReservationID:
    return catalog.ReservationID(dataset_id=_dataset_id(entry), tag_name=entry.tag)


def _key(entry: CacheEntry) -> tuple[str, ...]:
    dataset = entry.dataset
    return (dataset.project, dataset.domain, dataset.name, dataset.version, entry.tag)


def _duration(seconds: float) -> Duration:
    microseconds = round(seconds * 1_000_000)
    return Duration(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1_000)
