"""Take, extend and give up leases on tags."""

from __future__ import annotations

from collections.abc import Sequence

from elevon_idl.catalog import v1 as catalog

from elevon_catalog.domain import validation
from elevon_catalog.domain.leases import Lease, LeasePolicy
from elevon_catalog.domain.names import TagKey
from elevon_catalog.ports import Clock, LeaseStore

ExtendRequest = catalog.GetOrExtendReservationRequest | catalog.ReserveEntry
ReleaseRequest = catalog.ReleaseReservationRequest | catalog.ReleaseEntry


class Reservations:
    """What can be done with reservations."""

    def __init__(self, leases: LeaseStore, clock: Clock, policy: LeasePolicy) -> None:
        self._leases = leases
        self._clock = clock
        self._policy = policy

    async def extend(self, request: catalog.GetOrExtendReservationRequest) -> catalog.Reservation:
        """Take or extend one lease; answers who holds it."""
        return (await self._extend([request], [""]))[0]

    async def reserve(self, request: catalog.ReserveRequest) -> list[catalog.Reservation]:
        """Take or extend many leases; answers who holds each."""
        entries = validation.batch(request.entries)
        return await self._extend(entries, [f"entries[{index}]." for index in range(len(entries))])

    async def give_up(self, request: catalog.ReleaseReservationRequest) -> None:
        """Give up one lease."""
        await self._leases.release([_named(request, "")])

    async def release(self, request: catalog.ReleaseRequest) -> None:
        """Give up many leases."""
        entries = validation.batch(request.entries)
        await self._leases.release([_named(entry, f"entries[{index}].") for index, entry in enumerate(entries)])

    async def _extend(self, entries: Sequence[ExtendRequest], prefixes: Sequence[str]) -> list[catalog.Reservation]:
        now = self._clock()
        keys: list[TagKey] = []
        requests = []
        for entry, prefix in zip(entries, prefixes, strict=True):
            key = validation.reservation_key(entry.reservation_id, entry.HasField("reservation_id"), prefix)
            owner = validation.required(entry.owner_id, f"{prefix}owner_id")
            present = entry.HasField("heartbeat_interval")
            requested = validation.duration(entry.heartbeat_interval, present, f"{prefix}heartbeat_interval")
            keys.append(key)
            requests.append(self._policy.request(key.digest, key.label, owner, requested, now))
        validation.distinct(keys, "reservation_id")
        held = await self._leases.acquire(requests, now)
        return [
            _message(key, lease, request.interval) for key, lease, request in zip(keys, held, requests, strict=True)
        ]


def _named(entry: ReleaseRequest, prefix: str) -> tuple[bytes, str]:
    key = validation.reservation_key(entry.reservation_id, entry.HasField("reservation_id"), prefix)
    return key.digest, validation.required(entry.owner_id, f"{prefix}owner_id")


def _message(key: TagKey, lease: Lease, interval: int) -> catalog.Reservation:
    dataset = key.dataset
    message = catalog.Reservation(owner_id=lease.owner_id)
    message.reservation_id.tag_name = key.tag_name
    message.reservation_id.dataset_id.CopyFrom(
        catalog.DatasetID(project=dataset.project, domain=dataset.domain, name=dataset.name, version=dataset.version)
    )
    message.heartbeat_interval.FromNanoseconds(interval)
    message.expires_at.FromNanoseconds(lease.expires_at)
    return message
