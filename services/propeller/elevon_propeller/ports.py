"""What the engine's surroundings must offer: a store, an admin to tell, a catalog, plugins to choose from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from elevon_core.compiler import LaunchPlanInterface
from elevon_core.errors import AlreadyExists, FailedPrecondition
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

from elevon_propeller.engine.commands import CacheEntry
from elevon_propeller.engine.originals import Original
from elevon_propeller.engine.records import ChunkRow, NodeRow
from elevon_propeller.plugins.contract import Plugin

SHARDS = 16
"""Into so many shards executions are divided for good: the number is part of what is stored."""


class LeaseLost(FailedPrecondition):
    """Another replica owns some of the shards that were to be written; `shards` says which."""

    def __init__(self, shards: Collection[int]) -> None:
        super().__init__(f"shards {sorted(shards)} are leased by another replica now")
        self.shards = frozenset(shards)


class ExecutionExists(AlreadyExists):
    """One of the executions to be created exists; nothing was written."""


@dataclass(slots=True)
class ExecutionRow:
    """An execution as stored; messages as bytes, times in microseconds since 1970, 0 when they have not come."""

    key: int
    shard: int
    project: str
    domain: str
    name: str
    digest: bytes
    inputs: bytes
    options: bytes
    phase: int
    error: bytes | None = None
    abort_cause: str = ""
    signals: bytes | None = None
    accepted_at: int = 0
    started_at: int = 0
    ended_at: int = 0


@dataclass(slots=True)
class EventChunk:
    """Some events of one shard, in order: the serialized `events` of a RecordEventsRequest, and how many they are."""

    shard: int
    number: int
    payload: bytes
    count: int


@dataclass(slots=True)
class Commit:
    """Everything one tick writes, in one transaction; fenced by the epochs of the leases it relies on.

    `dropped` names arrays, by execution and node, all of whose chunks are deleted before `chunks` are written. `words`
    are said to the other replicas once the rest is durable, see `Store.listen`; alone they are nothing to write.
    """

    leases: Mapping[int, int]
    created: list[ExecutionRow] = field(default_factory=list)
    changed: list[ExecutionRow] = field(default_factory=list)
    nodes: list[tuple[int, NodeRow]] = field(default_factory=list)
    dropped: list[tuple[int, str]] = field(default_factory=list)
    chunks: list[tuple[int, ChunkRow]] = field(default_factory=list)
    events: list[EventChunk] = field(default_factory=list)
    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to write."""
        return not (
            self.created
            or self.changed
            or self.nodes
            or self.dropped
            or self.chunks
            or self.events
            or self.acknowledged
            or self.answered
        )


@dataclass(slots=True)
class Request:
    """A call that reached a replica which does not own the execution; kept until the owner has acted on it."""

    id: int
    key: int
    shard: int
    kind: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Leases:
    """The shards a replica owns with their epochs, what it should give away, and how many replicas there are."""

    epochs: Mapping[int, int]
    surplus: Sequence[int]
    replicas: int


def end_word(name: tuple[str, str, str]) -> str:
    """What replicas are told of an execution that has ended: its parent may be theirs."""
    return " ".join(("ended", *name))


class Store(Protocol):
    """Durable state. Every method raises Unavailable when the database is out of reach."""

    async def save_workflow(self, digest: bytes, closure: bytes) -> None:
        """Keep a closure under its digest; once is enough."""

    async def load_workflow(self, digest: bytes) -> bytes | None:
        """The closure of a digest, None when it is not held."""

    async def commit(self, commit: Commit) -> None:
        """Write everything or nothing; raises LeaseLost, or ExecutionExists when a created execution is known."""

    async def create_execution(self, row: ExecutionRow) -> bool:
        """Write a new execution for whoever owns its shard; False when it exists."""

    async def find_execution(self, project: str, domain: str, name: str) -> ExecutionRow | None:
        """An execution by its name, None when it is not known."""

    async def live_executions(self, shards: Collection[int], *, only_new: bool = False) -> list[ExecutionRow]:
        """The executions of some shards that have not ended, or that nobody has looked at yet; oldest first."""

    async def nodes(self, keys: Collection[int]) -> dict[int, list[NodeRow]]:
        """The node rows of some executions."""

    async def chunks(self, keys: Collection[int]) -> dict[int, list[ChunkRow]]:
        """The elements of arrays of some executions; those of arrays that have succeeded are gone."""

    async def events(self, shard: int, after: int, limit: int) -> list[EventChunk]:
        """The undelivered events of a shard beyond a number, in order, at most `limit` chunks."""

    async def last_event(self, shard: int) -> int:
        """The highest number given to a chunk of the shard that is still there, 0 when there is none."""

    async def add_request(self, key: int, shard: int, kind: str, payload: bytes) -> None:
        """Leave a request for the owner of the shard."""

    async def requests(self, shards: Collection[int]) -> list[Request]:
        """The requests for some shards, oldest first."""

    async def take_leases(self, owner: str, now: int, expires_at: int) -> Leases:
        """Renew the replica's leases and take free or expired ones, up to its fair share."""

    async def release_leases(self, owner: str, shards: Collection[int]) -> None:
        """Give shards away; those of another owner are left alone."""

    async def tell_end(self, name: tuple[str, str, str]) -> None:
        """Say to all replicas, as commits do, that an execution has ended."""

    async def listen(self, heard: Callable[[str], None]) -> None:
        """Hand over every word that a replica says, as soon as it is said, until cancelled.

        Words save waiting and may be lost: whatever they tell of is also found by looking. There are `look SHARD` (a
        request or a new execution waits for the shard's owner), `leases` (some were given up), and what commits say. An
        empty word means that others may have been missed so far.
        """

    async def forget_ended(self, before: int, limit: int) -> int:
        """Delete executions that ended before a time, with their nodes; returns how many."""

    async def forget(self, key: int) -> None:
        """Delete one execution, with its nodes; one that is gone is no error."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that admin will never take."""

    index: int
    message: str


class AdminEvents(Protocol):
    """Admin, as the engine tells it what happened."""

    async def record(self, payload: bytes) -> Sequence[Refusal]:
        """Deliver serialized events, in order; returns those that were refused for good.

        Raises Unavailable or DeadlineExceeded when the same call may succeed later, ResourceExhausted when it is too
        large, another ElevonError when it never will.
        """


TERMINAL_PHASES = frozenset(
    {
        core.WorkflowExecution.SUCCEEDED,
        core.WorkflowExecution.FAILED,
        core.WorkflowExecution.ABORTED,
        core.WorkflowExecution.TIMED_OUT,
    }
)
"""The phases in which an execution stays."""


@dataclass(frozen=True, slots=True)
class ChildOutcome:
    """How a launched execution has ended; on success `outputs` are set, or `outputs_uri` says where they are."""

    phase: core.WorkflowExecution.Phase.ValueType
    outputs: core.LiteralMap | None = None
    outputs_uri: str = ""
    error: core.ExecutionError | None = None


class AdminService(Protocol):
    """Admin, as the engine calls it; everything may be repeated. Raises Unavailable when it is out of reach."""

    async def launch(self, request: admin.ExecutionCreateRequest) -> None:
        """Create an execution; raises AlreadyExists for a name that is taken, NotFound for what is to be launched."""

    async def recover(self, request: admin.ExecutionRecoverRequest) -> None:
        """Create an execution that goes on with another; raises AlreadyExists as `launch` does, NotFound without it."""

    async def original(self, execution: core.WorkflowExecutionIdentifier) -> Original:
        """What is known of an execution that is recovered; raises NotFound."""

    async def terminate(self, child: core.WorkflowExecutionIdentifier, cause: str) -> None:
        """Begin to abort an execution; raises NotFound, FailedPrecondition when it has ended."""

    async def outcome(self, child: core.WorkflowExecutionIdentifier) -> ChildOutcome | None:
        """How an execution has ended, None while it runs; raises NotFound."""

    async def register_signal(
        self, execution: core.WorkflowExecutionIdentifier, signal_id: str, signal_type: core.LiteralType
    ) -> core.Literal | None:
        """Make a signal known; its value when it has one. Raises AlreadyExists for one of another type, NotFound."""

    async def task(self, identifier: core.Identifier) -> core.CompiledTask:
        """A registered task; raises NotFound."""

    async def launch_plan(self, identifier: core.Identifier) -> LaunchPlanInterface:
        """What a registered launch plan expects and yields; raises NotFound."""


@dataclass(frozen=True, slots=True)
class CacheHit:
    """What the catalog holds for an entry."""

    outputs: core.LiteralMap
    catalog: core.CatalogMetadata


class Catalog(Protocol):
    """Memoization. Raises Unavailable when it is out of reach, another ElevonError when an entry is unusable."""

    async def look_up(self, entry: CacheEntry) -> CacheHit | None:
        """The outputs of an entry, None when there are none."""

    async def store(self, entry: CacheEntry, outputs: core.LiteralMap, *, overwrite: bool) -> core.CatalogMetadata:
        """Keep outputs."""

    async def reserve(self, entry: CacheEntry, heartbeat_seconds: float) -> str:
        """Take or extend a reservation; the owner who has it now, which may be another."""

    async def release(self, entry: CacheEntry) -> None:
        """Give a reservation up."""


class Plugins(Protocol):
    """All plugins of this process."""

    def resolve(
        self, task_type: str, overrides: Sequence[admin.PluginOverride], template: core.TaskTemplate | None = None
    ) -> Plugin:
        """The plugin that runs a task of a type; without its template, one that can end its attempts."""
