"""The cache service: outputs under keys, and leases on keys."""

from __future__ import annotations

import uuid

from elevon_core.errors import AlreadyExists, InvalidArgument
from elevon_idl.cacheservice import v1 as cacheservice
from elevon_idl.core import v1 as core

from elevon_catalog.domain import validation
from elevon_catalog.domain.failures import missing_entity
from elevon_catalog.domain.leases import LeasePolicy
from elevon_catalog.domain.locations import cache_location
from elevon_catalog.domain.names import digest
from elevon_catalog.domain.records import CacheRecord, Replacement
from elevon_catalog.ports import CacheStore, Clock, LeaseStore
from elevon_catalog.usecases.values import Values

READ_ATTEMPTS = 3


class Cache:
    """What can be done with entries of the cache service."""

    def __init__(self, store: CacheStore, values: Values, clock: Clock, base: str, inline_bytes: int) -> None:
        self._store = store
        self._values = values
        self._clock = clock
        self._base = base
        self._inline_bytes = inline_bytes

    async def read(self, request: cacheservice.GetCacheRequest) -> cacheservice.CachedOutput:
        """Read an entry; raises NotFound, also when its literals are lost."""
        key = validation.required(request.key, "key")
        for _ in range(READ_ATTEMPTS):
            record = await self._store.find(key)
            if record is None:
                break
            output = await self._output(record)
            if output is not None:
                return output
            # A replacement may have come between the two reads: then there is a newer row to look at.
            if await self._store.find(key) == record:
                break
        raise missing_entity("CachedOutput", f'key: "{key}"')

    async def put(self, request: cacheservice.PutCacheRequest) -> None:
        """Write an entry; raises AlreadyExists unless it may be overwritten or the existing one is of no use."""
        key = validation.required(request.key, "key")
        _check_output(request)
        old = None if request.overwrite else await self._store.find(key)
        replacement = Replacement(always=request.overwrite)
        if old is not None:
            if await self._output(old) is not None:
                raise AlreadyExists(f'value with matching already exists (CachedOutput key: "{key}")')
            replacement = Replacement(broken=old.generation)
        record, keep_creation = self._record(key, request.output)
        if record.location:
            literals = request.output.output_literals.SerializeToString()
            await self._values.write_objects({record.location: literals})
        await self._store.put(record, replacement, keep_creation)
        if request.overwrite:
            await self._values.sweep_quietly()

    async def delete(self, request: cacheservice.DeleteCacheRequest) -> None:
        """Delete an entry; raises NotFound."""
        await self._store.delete(validation.required(request.key, "key"))
        await self._values.sweep_quietly()

    def _record(self, key: str, output: cacheservice.CachedOutput) -> tuple[CacheRecord, bool]:
        """The row for an output, and whether the creation time of an entry that it replaces stays."""
        now = self._clock()
        document = cacheservice.CachedOutput()
        document.CopyFrom(output)
        location = ""
        if output.output_literals.ByteSize() > self._inline_bytes:
            location = cache_location(self._base, key, uuid.uuid4().hex)
            document.ClearField("output_literals")
        given = output.metadata.HasField("created_at")
        created_at = output.metadata.created_at.ToNanoseconds() if given else now
        return CacheRecord(key, document.SerializeToString(), location, created_at, now), not given

    async def _output(self, record: CacheRecord) -> cacheservice.CachedOutput | None:
        """The output as it is returned; None when its literals are lost."""
        output = cacheservice.CachedOutput.FromString(record.document)
        if record.location:
            found = await self._values.read_objects([record.location])
            if record.location not in found:
                return None
            output.output_literals.CopyFrom(core.LiteralMap.FromString(found[record.location]))
        output.metadata.created_at.FromNanoseconds(record.created_at)
        output.metadata.last_updated_at.FromNanoseconds(record.written_at)
        return output


class CacheReservations:
    """What can be done with leases on keys."""

    def __init__(self, leases: LeaseStore, clock: Clock, policy: LeasePolicy) -> None:
        self._leases = leases
        self._clock = clock
        self._policy = policy

    async def extend(self, request: cacheservice.GetOrExtendReservationRequest) -> cacheservice.Reservation:
        """Take or extend a lease; answers who holds it."""
        key = validation.required(request.key, "key")
        owner = validation.required(request.owner_id, "owner_id")
        present = request.HasField("heartbeat_interval")
        requested = validation.duration(request.heartbeat_interval, present, "heartbeat_interval")
        now = self._clock()
        wanted = self._policy.request(_subject(key), key, owner, requested, now)
        lease = (await self._leases.acquire([wanted], now))[0]
        message = cacheservice.Reservation(key=key, owner_id=lease.owner_id)
        message.heartbeat_interval.FromNanoseconds(lease.interval)
        message.expires_at.FromNanoseconds(lease.expires_at)
        return message

    async def release(self, request: cacheservice.ReleaseReservationRequest) -> None:
        """Give up a lease."""
        key = validation.required(request.key, "key")
        owner = validation.required(request.owner_id, "owner_id")
        await self._leases.release([(_subject(key), owner)])


def _subject(key: str) -> bytes:
    """What the lease on a key is found by; differs from that of every tag, which has five names."""
    return digest("cache service", key)


def _check_output(request: cacheservice.PutCacheRequest) -> None:
    kind = request.output.WhichOneof("output")
    if not request.HasField("output"):
        raise InvalidArgument.missing("output")
    if kind is None:
        raise InvalidArgument.missing("one of output_literals/output_uri")
    if kind == "output_uri":
        validation.required(request.output.output_uri, "output_uri")
    if request.output.metadata.HasField("created_at"):
        try:
            request.output.metadata.created_at.ToDatetime()
        except (ValueError, OverflowError):
            given = f"{request.output.metadata.created_at.seconds} s"
            raise InvalidArgument.invalid("created_at", given, "must be between the years 1 and 9999") from None
