"""Leases in memory: the fake of LeaseStore, which passes the same contract suite as the real one."""

from __future__ import annotations

from collections.abc import Sequence

from elevon_catalog.domain.leases import Lease, LeaseRequest


class MemoryLeaseStore:
    """Implements LeaseStore for one process."""

    def __init__(self) -> None:
        self._leases: dict[bytes, Lease] = {}

    async def acquire(self, requests: Sequence[LeaseRequest], now: int) -> list[Lease]:
        """See LeaseStore."""
        return [self._acquire(request, now) for request in requests]

    def _acquire(self, request: LeaseRequest, now: int) -> Lease:
        held = self._leases.get(request.subject)
        if held is None or held.yields_to(request.owner_id, now):
            held = Lease(request.owner_id, request.interval, request.expires_at)
            self._leases[request.subject] = held
        return held

    async def release(self, leases: Sequence[tuple[bytes, str]]) -> None:
        """See LeaseStore."""
        for subject, owner_id in leases:
            held = self._leases.get(subject)
            if held is not None and held.owner_id == owner_id:
                del self._leases[subject]

    async def forget(self, expired_before: int) -> int:
        """See LeaseStore."""
        old = [subject for subject, held in self._leases.items() if held.expires_at < expired_before]
        for subject in old:
            del self._leases[subject]
        return len(old)
