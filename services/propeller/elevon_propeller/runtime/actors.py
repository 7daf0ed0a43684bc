"""An actor: one running execution, its mailbox, and those who watch it. It costs no task while nothing happens."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Iterable, Mapping

from elevon_idl.core import v1 as core
from elevon_idl.propeller import v1 as propeller

from elevon_propeller.engine.observations import Observation
from elevon_propeller.engine.phases import ExecutionPhase
from elevon_propeller.engine.plan import Graph, Plan
from elevon_propeller.engine.policy import EnginePolicy
from elevon_propeller.engine.records import ChunkRow, NodeRow, restore
from elevon_propeller.engine.state import ExecutionState
from elevon_propeller.plugins.contract import Plugin
from elevon_propeller.ports import SHARDS, ExecutionRow

Name = tuple[str, str, str]
"""Project, domain and name of an execution."""


class Actor:
    """One execution in memory. `closed` once this replica has let go of it; nothing may be done for it then.

    `placed` holds the plugins that were given the live attempts, by node.
    """

    __slots__ = (
        "__weakref__",
        "closed",
        "digest",
        "key",
        "mailbox",
        "name",
        "placed",
        "plan",
        "scheduled",
        "shard",
        "state",
        "waiters",
        "watchers",
    )

    def __init__(self, key: int, digest: bytes, plan: Plan, state: ExecutionState) -> None:
        self.key = key
        self.digest = digest
        self.plan = plan
        self.state = state
        self.name: Name = (state.identifier.project, state.identifier.domain, state.identifier.name)
        self.shard = shard_of(self.name)
        self.mailbox: deque[Observation] = deque()
        self.placed: dict[str, Plugin] = {}
        self.scheduled = False
        self.closed = False
        self.waiters: list[asyncio.Future[bool]] = []
        self.watchers: set[asyncio.Queue[set[str] | None]] = set()

    def row(self) -> ExecutionRow:
        """What is to be stored of the execution itself."""
        state = self.state
        return ExecutionRow(
            key=self.key,
            shard=self.shard,
            project=self.name[0],
            domain=self.name[1],
            name=self.name[2],
            digest=self.digest,
            inputs=state.inputs.SerializeToString(),
            options=state.options.SerializeToString(),
            phase=int(state.phase),
            error=state.error.SerializeToString() if state.error is not None else None,
            abort_cause=state.abort_cause,
            signals=core.LiteralMap(literals=state.signals).SerializeToString() if state.signals else None,
            accepted_at=state.accepted_at,
            started_at=state.started_at,
            ended_at=state.ended_at,
        )


def shard_of(name: Name) -> int:
    """The shard an execution belongs to, for good."""
    return zlib.crc32("/".join(name).encode()) % SHARDS


def restored(
    row: ExecutionRow,
    nodes: list[NodeRow],
    plan: Plan,
    policy: EnginePolicy,
    graphs: Mapping[str, Graph],
    chunks: Iterable[ChunkRow] = (),
) -> Actor:
    """An actor for an execution found in the store; raises KeyError when plan, rows and dynamic graphs do not fit."""
    options = propeller.ExecutionOptions.FromString(row.options)
    state = ExecutionState(
        plan,
        core.WorkflowExecutionIdentifier(project=row.project, domain=row.domain, name=row.name),
        core.LiteralMap.FromString(row.inputs),
        options,
        row.accepted_at,
        policy.metadata_root,
        policy.raw_output_prefix,
    )
    state.phase = ExecutionPhase(row.phase)
    state.error = core.ExecutionError.FromString(row.error) if row.error is not None else None
    state.abort_cause = row.abort_cause
    if row.signals is not None:
        state.signals = dict(core.LiteralMap.FromString(row.signals).literals)
    state.started_at = row.started_at
    state.ended_at = row.ended_at
    restore(plan, state, nodes, graphs, chunks)
    return Actor(row.key, row.digest, plan, state)
