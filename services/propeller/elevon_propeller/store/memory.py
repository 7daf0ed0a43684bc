"""The store in memory: the fake of `Store`, which passes the same contract suite as the real one."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Collection, Iterable

from elevon_propeller.engine.records import ChunkRow, NodeRow
from elevon_propeller.ports import (
    SHARDS,
    Commit,
    EventChunk,
    ExecutionExists,
    ExecutionRow,
    LeaseLost,
    Leases,
    Request,
    end_word,
)
from elevon_propeller.store.leasing import Lease, choose, fair_share


class MemoryStore:
    """Durable for as long as the object lives; several engines may share one."""

    def __init__(self) -> None:
        self._workflows: dict[bytes, bytes] = {}
        self._executions: dict[int, ExecutionRow] = {}
        self._names: dict[tuple[str, str, str], int] = {}
        self._nodes: dict[int, dict[str, NodeRow]] = {}
        self._chunks: dict[int, dict[tuple[str, int], ChunkRow]] = {}
        self._events: dict[tuple[int, int], EventChunk] = {}
        self._requests: dict[int, Request] = {}
        self._next_request = 1
        self._leases = [Lease(shard, "", 0, 0) for shard in range(SHARDS)]
        self._replicas: dict[str, int] = {}
        self._listeners: list[Callable[[str], None]] = []

    @property
    def undelivered(self) -> int:
        """How many chunks of events are not acknowledged."""
        return len(self._events)

    @property
    def arrays(self) -> list[tuple[int, str]]:
        """The arrays, by execution and node, of which rows of elements are kept."""
        return sorted({(key, node_id) for key, chunks in self._chunks.items() for node_id, _ in chunks})

    async def save_workflow(self, digest: bytes, closure: bytes) -> None:
        """Keep a closure under its digest."""
        self._workflows.setdefault(digest, closure)

    async def load_workflow(self, digest: bytes) -> bytes | None:
        """The closure of a digest."""
        return self._workflows.get(digest)

    async def commit(self, commit: Commit) -> None:
        """Write everything or nothing."""
        lost = [shard for shard, epoch in commit.leases.items() if self._leases[shard].epoch != epoch]
        if lost:
            raise LeaseLost(lost)
        for row in commit.created:
            if (row.project, row.domain, row.name) in self._names or row.key in self._executions:
                raise ExecutionExists(f"execution {row.name} exists")
        for row in commit.created:
            self._add(row)
        for row in commit.changed:
            self._executions[row.key] = copy.copy(row)
        for key, node in commit.nodes:
            self._nodes.setdefault(key, {})[node["node_id"]] = copy.copy(node)
        self._write_chunks(commit)
        for chunk in commit.events:
            self._events[chunk.shard, chunk.number] = chunk
        for place in commit.acknowledged:
            self._events.pop(place, None)
        for request_id in commit.answered:
            self._requests.pop(request_id, None)
        self._say(commit.words)

    def _write_chunks(self, commit: Commit) -> None:
        for key, node_id in commit.dropped:
            of_array = [place for place in self._chunks.get(key, {}) if place[0] == node_id]
            for place in of_array:
                del self._chunks[key][place]
        for key, chunk in commit.chunks:
            self._chunks.setdefault(key, {})[chunk["node_id"], chunk["number"]] = copy.copy(chunk)

    def _add(self, row: ExecutionRow) -> None:
        self._names[row.project, row.domain, row.name] = row.key
        self._executions[row.key] = copy.copy(row)

    async def create_execution(self, row: ExecutionRow) -> bool:
        """Write a new execution for whoever owns its shard."""
        if (row.project, row.domain, row.name) in self._names:
            return False
        self._add(row)
        self._say([f"look {row.shard}"])
        return True

    async def find_execution(self, project: str, domain: str, name: str) -> ExecutionRow | None:
        """An execution by its name."""
        key = self._names.get((project, domain, name))
        return None if key is None else copy.copy(self._executions[key])

    async def live_executions(self, shards: Collection[int], *, only_new: bool = False) -> list[ExecutionRow]:
        """The executions of some shards that have not ended."""
        rows = [row for row in self._executions.values() if row.ended_at == 0 and row.shard in shards]
        return sorted((copy.copy(row) for row in rows if not only_new or row.phase == 0), key=lambda row: row.key)

    async def nodes(self, keys: Collection[int]) -> dict[int, list[NodeRow]]:
        """The node rows of some executions."""
        return {key: [copy.copy(node) for node in self._nodes.get(key, {}).values()] for key in keys}

    async def chunks(self, keys: Collection[int]) -> dict[int, list[ChunkRow]]:
        """The elements of arrays of some executions."""
        return {key: [copy.copy(chunk) for chunk in self._chunks.get(key, {}).values()] for key in keys}

    async def events(self, shard: int, after: int, limit: int) -> list[EventChunk]:
        """The undelivered events of a shard."""
        numbers = sorted(number for owner, number in self._events if owner == shard and number > after)
        return [self._events[shard, number] for number in numbers[:limit]]

    async def last_event(self, shard: int) -> int:
        """The highest number of a chunk that is still there."""
        return max((number for owner, number in self._events if owner == shard), default=0)

    async def add_request(self, key: int, shard: int, kind: str, payload: bytes) -> None:
        """Leave a request for the owner of the shard."""
        self._requests[self._next_request] = Request(self._next_request, key, shard, kind, payload)
        self._next_request += 1
        self._say([f"look {shard}"])

    async def requests(self, shards: Collection[int]) -> list[Request]:
        """The requests for some shards."""
        return [request for request in self._requests.values() if request.shard in shards]

    async def take_leases(self, owner: str, now: int, expires_at: int) -> Leases:
        """Renew leases and take free ones."""
        self._replicas = {name: until for name, until in self._replicas.items() if until >= now}
        self._replicas[owner] = expires_at
        wanted, surplus = choose(self._leases, owner, now, fair_share(len(self._replicas)))
        for lease in self._leases:
            if lease.shard in wanted:
                lease.owner, lease.epoch = owner, lease.epoch + 1
            if lease.owner == owner:
                lease.expires_at = expires_at
        epochs = {lease.shard: lease.epoch for lease in self._leases if lease.owner == owner}
        return Leases(epochs, surplus, len(self._replicas))

    async def release_leases(self, owner: str, shards: Collection[int]) -> None:
        """Give shards away."""
        for lease in self._leases:
            if lease.owner == owner and lease.shard in shards:
                lease.owner, lease.expires_at = "", 0
        if len(shards) >= SHARDS:
            self._replicas.pop(owner, None)
        self._say(["leases"])

    async def tell_end(self, name: tuple[str, str, str]) -> None:
        """Say that an execution has ended."""
        self._say([end_word(name)])

    async def listen(self, heard: Callable[[str], None]) -> None:
        """Hand over every word."""
        self._listeners.append(heard)
        heard("")
        try:
            await asyncio.Event().wait()
        finally:
            self._listeners.remove(heard)

    def _say(self, words: Iterable[str]) -> None:
        for word in words:
            for heard in self._listeners:
                heard(word)

    async def forget_ended(self, before: int, limit: int) -> int:
        """Delete executions that ended before a time."""
        old = [row for row in self._executions.values() if 0 < row.ended_at < before]
        for row in sorted(old, key=lambda row: row.ended_at)[:limit]:
            await self.forget(row.key)
        return min(len(old), limit)

    async def forget(self, key: int) -> None:
        """Delete one execution."""
        row = self._executions.pop(key, None)
        if row is not None:
            del self._names[row.project, row.domain, row.name]
        self._nodes.pop(key, None)
        self._chunks.pop(key, None)
