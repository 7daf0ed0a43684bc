"""Watches the store from outside: who owns what, what every commit changes, and whether it may."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from elevon_idl.admin import v1 as admin

from elevon_propeller.engine.phases import ExecutionPhase, NodePhase
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.records import NodeRow
from elevon_propeller.ports import Commit, EventChunk, ExecutionRow, Leases
from elevon_propeller.runtime.actors import shard_of
from elevon_propeller.simulation.closures import DOMAIN, PROJECT
from elevon_propeller.simulation.ledger import Ledger, Rule, Violation
from elevon_propeller.simulation.view import EventKey, execution_of, key_of


@dataclass(slots=True)
class Owner:
    """Who leases a shard, and since which epoch."""

    who: str
    epoch: int


class Register:
    """Keeps a ledger for each execution, and the rows as they were committed last."""

    def __init__(self, policy: EnginePolicy, max_parallelism: int, now: Callable[[], float]) -> None:
        self.ledgers: dict[str, Ledger] = {}
        self.told: dict[str, list[EventKey]] = {}
        self.owners: dict[int, Owner] = {}
        self.rows: dict[tuple[str, str], NodeRow] = {}
        self._phases: dict[str, ExecutionPhase] = {}
        self._names: dict[int, str] = {}
        self._chunks: dict[tuple[int, int], bytes] = {}
        self._policy = policy
        self._max_parallelism = max_parallelism

    def ledger(self, name: str) -> Ledger:
        """What has happened to an execution."""
        found = self.ledgers.get(name)
        if found is None:
            found = self.ledgers[name] = Ledger(self._max_parallelism, self._policy)
        return found

    def owns(self, who: str, name: str) -> bool:
        """Whether a replica owns an execution's shard now."""
        owner = self.owners.get(shard_of((PROJECT, DOMAIN, name)))
        return owner is not None and owner.who == who

    def leased(self, who: str, leases: Leases) -> None:
        """A replica was told what it owns; an epoch belongs to one replica for good."""
        for shard, epoch in leases.epochs.items():
            owner = self.owners.get(shard)
            if owner is None or epoch > owner.epoch:
                self.owners[shard] = Owner(who, epoch)
            elif owner.who != who:
                raise Violation(Rule.FENCED, f"{who} and {owner.who} both have epoch {epoch} of shard {shard}")

    def created(self, row: ExecutionRow) -> None:
        """An execution is there, left for its owner."""
        self._names[row.key] = row.name
        self._phases[row.name] = ExecutionPhase(row.phase)

    def committed(self, who: str, commit: Commit) -> None:
        """Check what was written."""
        self._check_owner(who, commit)
        for row in commit.created:
            if row.name in self._phases:
                raise Violation(Rule.FORWARD, f"{row.name} was created twice")
            self.created(row)
        for row in commit.changed:
            self._check_execution(row)
        for key, node in commit.nodes:
            place = (self._names[key], node["node_id"])
            self.ledger(place[0]).check_row(self.rows.get(place), node)
            self.rows[place] = node
        for chunk in commit.events:
            if not self._is_new(chunk):
                continue
            for told in admin.RecordEventsRequest.FromString(chunk.payload).events:
                self._tell(told)

    def _is_new(self, chunk: EventChunk) -> bool:
        """False for a commit that is repeated because its answer was lost; a chunk must never be another's place."""
        place = (chunk.shard, chunk.number)
        known = self._chunks.get(place)
        if known is not None and known != chunk.payload:
            raise Violation(Rule.TOLD_IN_ORDER, f"events {chunk.number} of shard {chunk.shard} were overwritten")
        self._chunks[place] = chunk.payload
        return known is None

    def _check_owner(self, who: str, commit: Commit) -> None:
        """The shards of everything that is written were leased, and still are."""
        for shard in commit.leases:
            owner = self.owners.get(shard)
            if owner is None or owner.who != who:
                raise Violation(Rule.FENCED, f"{who} wrote to shard {shard}, which is {owner and owner.who}'s")
        written = {row.shard for row in (*commit.created, *commit.changed)} | {chunk.shard for chunk in commit.events}
        names = {self._names.get(key) for key, _ in (*commit.nodes, *commit.chunks, *commit.dropped)}
        written |= {shard_of((PROJECT, DOMAIN, name)) for name in names if name is not None}
        if not written <= commit.leases.keys():
            raise Violation(Rule.FENCED, f"{who} wrote to shards {written} with leases {dict(commit.leases)}")

    def _check_execution(self, row: ExecutionRow) -> None:
        before, after = self._phases[row.name], ExecutionPhase(row.phase)
        if before.is_terminal and after != before:
            raise Violation(Rule.FINAL, f"{row.name} left {before.name} for {after.name}")
        if after < before:
            raise Violation(Rule.FORWARD, f"{row.name} went from {before.name} back to {after.name}")
        self._phases[row.name] = after

    def _tell(self, told: admin.ExecutionEvent) -> None:
        name = execution_of(told)
        self.ledger(name).tell([told])
        self.told.setdefault(name, []).append(key_of(told))

    def check_arrays(self, kept: Iterable[tuple[int, str]]) -> None:
        """Raise when the elements of an array are kept that has succeeded: only a recovery needs them."""
        for key, node_id in kept:
            row = self.rows.get((self._names[key], node_id))
            if row is None or row["phase"] == NodePhase.SUCCEEDED:
                raise Violation(Rule.NOTHING_LEFT, f"the elements of {node_id} are kept, whose row is {row}")

    def check_started(self, name: str, node_id: str, number: int) -> None:
        """Raise unless it is durable that the attempt has begun."""
        row = self.rows.get((name, node_id))
        if row is None or row["attempt"] < number or row["phase"] < NodePhase.RUNNING:
            raise Violation(Rule.DURABLE_FIRST, f"attempt {number} of {node_id} started, stored is {row}")
