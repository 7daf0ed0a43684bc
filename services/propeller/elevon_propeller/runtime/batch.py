"""What one tick gathers: rows to commit, and what to do once they are durable."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from elevon_idl.admin import v1 as admin

from elevon_propeller.engine.array_state import ArrayScope
from elevon_propeller.engine.commands import Command
from elevon_propeller.engine.decision import Decision, Timer
from elevon_propeller.engine.records import ChunkRow, NodeRow, chunk_rows, node_row
from elevon_propeller.engine.state import NodeState
from elevon_propeller.runtime.actors import Actor


@dataclass(slots=True)
class ActorBatch:
    """One actor's share of a tick."""

    actor: Actor
    created: bool = False
    changed: bool = False
    nodes: dict[str, NodeState] = field(default_factory=dict)
    rows: list[NodeRow] = field(default_factory=list)
    scopes: dict[tuple[str, int], ArrayScope] = field(default_factory=dict)
    chunks: list[ChunkRow] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    events: list[admin.ExecutionEvent] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    waiters: list[asyncio.Future[bool]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    observations: int = 0

    def add(self, decision: Decision) -> None:
        """Join another decision of the same actor, which one observation led to."""
        self.observations += 1
        self.changed = self.changed or decision.execution
        self.nodes.update(decision.nodes)
        for node_id in decision.dropped:
            self.scopes = {place: scope for place, scope in self.scopes.items() if place[0] != node_id}
        self.scopes.update(decision.chunks)
        self.dropped.extend(decision.dropped)
        self.events.extend(decision.events)
        self.commands.extend(decision.commands)
        self.timers.extend(decision.timers)

    def freeze(self) -> None:
        """Take down the rows as they are now; the state may move on while they are written."""
        self.rows = [node_row(node) for node in self.nodes.values()]
        self.chunks = chunk_rows(self.scopes)

    @property
    def writes(self) -> bool:
        """True when there is something to commit."""
        return bool(
            self.created or self.changed or self.rows or self.chunks or self.dropped or self.events or self.answered
        )
