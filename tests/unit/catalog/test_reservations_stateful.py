"""Reservations under virtual time: whatever callers do, at most one holds a lease, and it is who the rules say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from elevon_catalog.domain.leases import LeasePolicy
from elevon_catalog.store.leases_memory import MemoryLeaseStore
from elevon_catalog.usecases.reservations import Reservations
from elevon_idl.catalog import v1 as catalog
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

SECOND = 10**9
OWNERS = st.sampled_from(["a", "b", "c"])
TAGS = st.sampled_from(["t1", "t2"])
HEARTBEATS = st.sampled_from([0, 1, 5, 10, 60])
DATASET = catalog.DatasetID(project="p", domain="d", name="n", version="v")
POLICY = LeasePolicy(longest_heartbeat=10 * SECOND, grace_multiplier=3)


@dataclass
class Expected:
    """Who must hold a lease, and until when."""

    owner: str
    expires_at: int


class Leases(RuleBasedStateMachine):
    """Callers that take, extend, give up and forget leases while time goes by."""

    @initialize()
    def begin(self) -> None:
        self.now = 1_700_000_000 * SECOND
        self.expected: dict[str, Expected] = {}
        self.reservations = Reservations(MemoryLeaseStore(), lambda: self.now, POLICY)

    @rule(seconds=st.sampled_from([0, 1, 3, 14, 15, 29, 30, 31, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule(owner=OWNERS, tag=TAGS, heartbeat=HEARTBEATS)
    def extend(self, owner: str, tag: str, heartbeat: int) -> None:
        answer = self.ask(owner, tag, heartbeat)
        interval = min(heartbeat, 10) if heartbeat else 10
        held = self.expected.get(tag)
        if held is None or held.expires_at <= self.now or held.owner == owner:
            self.expected[tag] = Expected(owner, self.now + 3 * interval * SECOND)
        assert answer.owner_id == self.expected[tag].owner
        assert answer.expires_at.ToNanoseconds() == self.expected[tag].expires_at
        assert answer.heartbeat_interval.ToNanoseconds() == interval * SECOND

    @rule(owner=OWNERS, tag=TAGS)
    def release(self, owner: str, tag: str) -> None:
        request = catalog.ReleaseReservationRequest(reservation_id=self.key(tag), owner_id=owner)
        asyncio.run(self.reservations.give_up(request))
        if tag in self.expected and self.expected[tag].owner == owner:
            del self.expected[tag]

    @rule(owner=OWNERS)
    def take_both(self, owner: str) -> None:
        entries = [catalog.ReserveEntry(reservation_id=self.key(tag), owner_id=owner) for tag in ("t1", "t2")]
        answers = asyncio.run(self.reservations.reserve(catalog.ReserveRequest(entries=entries)))
        for tag, answer in zip(("t1", "t2"), answers, strict=True):
            held = self.expected.get(tag)
            if held is None or held.expires_at <= self.now or held.owner == owner:
                self.expected[tag] = Expected(owner, self.now + 30 * SECOND)
            assert (answer.owner_id, answer.reservation_id.tag_name) == (self.expected[tag].owner, tag)

    @invariant()
    def a_live_lease_is_refused_to_strangers(self) -> None:
        for tag, held in getattr(self, "expected", {}).items():
            if held.expires_at > self.now:
                assert self.ask("stranger", tag, 0).owner_id == held.owner

    def ask(self, owner: str, tag: str, heartbeat: int) -> catalog.Reservation:
        request = catalog.GetOrExtendReservationRequest(reservation_id=self.key(tag), owner_id=owner)
        if heartbeat:
            request.heartbeat_interval.FromSeconds(heartbeat)
        return asyncio.run(self.reservations.extend(request))

    @staticmethod
    def key(tag: str) -> catalog.ReservationID:
        return catalog.ReservationID(dataset_id=DATASET, tag_name=tag)


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
