"""Leases: at most one owner at a time, who loses the lease when it is not extended in time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """Who wants which lease for how long. `subject` identifies the lease, `label` names it for people."""

    subject: bytes
    label: str
    owner_id: str
    interval: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a lease; interval and expiry are those that this holder was granted, in nanoseconds."""

    owner_id: str
    interval: int
    expires_at: int

    def yields_to(self, owner_id: str, now: int) -> bool:
        """Whether an owner may take or extend the lease: it has run out, or it is the owner's own."""
        return self.expires_at <= now or self.owner_id == owner_id


@dataclass(frozen=True, slots=True)
class LeasePolicy:
    """How long leases are: the cap of the heartbeat interval in nanoseconds, and how many heartbeats a lease lasts."""

    longest_heartbeat: int
    grace_multiplier: int

    def interval(self, requested: int | None) -> int:
        """The heartbeat interval that is granted; the cap when none is asked for."""
        return self.longest_heartbeat if requested is None else min(requested, self.longest_heartbeat)

    def request(self, subject: bytes, label: str, owner_id: str, requested: int | None, now: int) -> LeaseRequest:
        """A lease as it will be if the owner gets it now."""
        interval = self.interval(requested)
        return LeaseRequest(subject, label, owner_id, interval, now + interval * self.grace_multiplier)
