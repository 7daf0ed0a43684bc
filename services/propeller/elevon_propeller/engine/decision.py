"""What a step comes to: rows to write, events to tell, things to do, times to wake. Committed as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from elevon_idl.admin import v1 as admin

from elevon_propeller.engine.array_state import ArrayScope
from elevon_propeller.engine.commands import Command
from elevon_propeller.engine.phases import TimerKind
from elevon_propeller.engine.state import NodeState


@dataclass(slots=True)
class Timer:
    """Bring TimerFired at this time; firing late or for nothing is harmless."""

    at: int
    node_id: str
    kind: TimerKind
    number: int


@dataclass(slots=True)
class Decision:
    """The result of one step; `nodes` are those whose rows changed, `execution` says whether its own row did.

    `chunks` are the changed chunks of arrays, by the array's id and the chunk's number; `dropped` are the arrays whose
    chunks are no longer needed.
    """

    execution: bool = False
    nodes: dict[str, NodeState] = field(default_factory=dict)
    chunks: dict[tuple[str, int], ArrayScope] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    events: list[admin.ExecutionEvent] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
