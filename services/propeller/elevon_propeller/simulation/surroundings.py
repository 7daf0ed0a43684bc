"""Store, files and catalog as one replica reaches them: the memory adapters, at the end of a line that may fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from elevon_core.errors import AlreadyExists
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobStore, Method

from elevon_propeller.engine.commands import CacheEntry
from elevon_propeller.engine.records import ChunkRow, NodeRow
from elevon_propeller.plugins.contract import Plugin
from elevon_propeller.ports import CacheHit, Commit, EventChunk, ExecutionRow, Leases, Request
from elevon_propeller.simulation.line import Line
from elevon_propeller.simulation.register import Register
from elevon_propeller.store.memory import MemoryStore

T = TypeVar("T")

LEASE = 30.0
"""Seconds a reservation lasts unless it is extended."""


class LineStore:
    """The shared store; the register sees every commit and every lease."""

    def __init__(self, store: MemoryStore, register: Register, line: Line) -> None:
        self._store = store
        self._register = register
        self._line = line

    def _call(self, what: str, effect: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        return self._line.call("store", what, effect)

    async def save_workflow(self, digest: bytes, closure: bytes) -> None:
        """Keep a closure."""
        await self._call("save workflow", lambda: self._store.save_workflow(digest, closure))

    async def load_workflow(self, digest: bytes) -> bytes | None:
        """The closure of a digest."""
        return await self._call("load workflow", lambda: self._store.load_workflow(digest))

    async def commit(self, commit: Commit) -> None:
        """Write everything or nothing."""

        async def write() -> None:
            await self._store.commit(commit)
            self._register.committed(self._line.who, commit)

        await self._call(f"commit {_described(commit)}", write)

    async def create_execution(self, row: ExecutionRow) -> bool:
        """Write a new execution for whoever owns its shard."""

        async def create() -> bool:
            created = await self._store.create_execution(row)
            if created:
                self._register.created(row)
            return created

        return await self._call(f"create {row.name}", create)

    async def find_execution(self, project: str, domain: str, name: str) -> ExecutionRow | None:
        """An execution by its name."""
        return await self._call(f"find {name}", lambda: self._store.find_execution(project, domain, name))

    async def live_executions(self, shards: Collection[int], *, only_new: bool = False) -> list[ExecutionRow]:
        """The executions of some shards that have not ended."""
        return await self._call("look around", lambda: self._store.live_executions(shards, only_new=only_new))

    async def nodes(self, keys: Collection[int]) -> dict[int, list[NodeRow]]:
        """The node rows of some executions."""
        return await self._call("read nodes", lambda: self._store.nodes(keys))

    async def chunks(self, keys: Collection[int]) -> dict[int, list[ChunkRow]]:
        """The elements of arrays of some executions."""
        return await self._call("read elements", lambda: self._store.chunks(keys))

    async def events(self, shard: int, after: int, limit: int) -> list[EventChunk]:
        """The undelivered events of a shard."""
        return await self._call(f"read events of {shard}", lambda: self._store.events(shard, after, limit))

    async def last_event(self, shard: int) -> int:
        """The highest number of a chunk that is still there; not worth a call of its own for each shard."""
        return await self._store.last_event(shard)

    async def add_request(self, key: int, shard: int, kind: str, payload: bytes) -> None:
        """Leave a request for the owner of the shard."""
        await self._call(f"leave {kind}", lambda: self._store.add_request(key, shard, kind, payload))

    async def requests(self, shards: Collection[int]) -> list[Request]:
        """The requests for some shards."""
        return await self._store.requests(shards)

    async def take_leases(self, owner: str, now: int, expires_at: int) -> Leases:
        """Renew leases and take free ones."""

        async def take() -> Leases:
            leases = await self._store.take_leases(owner, now, expires_at)
            self._register.leased(self._line.who, leases)
            return leases

        return await self._call("renew", take)

    async def release_leases(self, owner: str, shards: Collection[int]) -> None:
        """Give shards away."""
        await self._call("release", lambda: self._store.release_leases(owner, shards))

    async def tell_end(self, name: tuple[str, str, str]) -> None:
        """Say that an execution has ended."""
        await self._call(f"tell the end of {name[2]}", lambda: self._store.tell_end(name))

    async def listen(self, heard: Callable[[str], None]) -> None:
        """Hand over what replicas say; what a dead one hears has no effect."""

        def hear(word: str) -> None:
            if self._line.alive and not self._line.is_cut:
                heard(word)

        await self._store.listen(hear)

    async def forget(self, key: int) -> None:
        """Delete an execution."""
        await self._call(f"forget {key}", lambda: self._store.forget(key))

    async def forget_ended(self, before: int, limit: int) -> int:
        """Delete executions that ended before a time."""
        return await self._call("forget", lambda: self._store.forget_ended(before, limit))


class LineBlobs:
    """The shared files."""

    def __init__(self, blobs: BlobStore, line: Line) -> None:
        self._blobs = blobs
        self._line = line

    async def read(self, uri: str, limit: int | None = None) -> bytes:
        """Read a file."""
        return await self._line.call("files", f"read {uri}", lambda: self._blobs.read(uri, limit))

    async def write(self, uri: str, data: bytes) -> None:
        """Write a file."""
        await self._line.call("files", f"write {uri}", lambda: self._blobs.write(uri, data))

    async def size(self, uri: str) -> int | None:
        """A file's size."""
        return await self._line.call("files", f"size of {uri}", lambda: self._blobs.size(uri))

    async def has_md5(self, uri: str, digest: bytes) -> bool:
        """Compare a file's MD5."""
        return await self._line.call("files", f"digest of {uri}", lambda: self._blobs.has_md5(uri, digest))

    async def delete(self, uri: str) -> None:
        """Delete a file."""
        await self._line.call("files", f"delete {uri}", lambda: self._blobs.delete(uri))

    async def delete_prefix(self, uri: str) -> None:
        """Delete a folder."""
        await self._line.call("files", f"delete {uri}", lambda: self._blobs.delete_prefix(uri))

    async def list(self, prefix: str) -> list[str]:
        """What is below a folder."""
        return await self._line.call("files", f"list {prefix}", lambda: self._blobs.list(prefix))

    async def sign(
        self, method: Method, uri: str, expires: timedelta, headers: Mapping[str, str] | None = None
    ) -> str | None:
        """Memory cannot be reached by URL."""
        return None

    async def close(self) -> None:
        """Nothing to let go of."""


@dataclass(slots=True)
class _Reservation:
    owner: str
    until: float


class SharedCatalog:
    """Entries and reservations of all replicas; reservations run out."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.entries: dict[tuple[str, str], CacheHit] = {}
        self.reservations: dict[tuple[str, str], _Reservation] = {}

    def store(self, entry: CacheEntry, outputs: core.LiteralMap, *, overwrite: bool) -> core.CatalogMetadata:
        """Keep outputs."""
        known = self.entries.get(_key(entry))
        if known is not None and not overwrite:
            return known.catalog
        catalog = core.CatalogMetadata(
            dataset_id=entry.dataset,
            artifact_tag=core.CatalogArtifactTag(artifact_id=f"artifact-{len(self.entries)}", name=entry.tag),
            source_task_execution=entry.source,
        )
        self.entries[_key(entry)] = CacheHit(outputs, catalog)
        return catalog

    def reserve(self, entry: CacheEntry) -> str:
        """Take or extend a reservation; who has it now."""
        held = self.reservations.get(_key(entry))
        if held is not None and held.owner != entry.owner and held.until > self.now():
            return held.owner
        self.reservations[_key(entry)] = _Reservation(entry.owner, self.now() + LEASE)
        return entry.owner

    def release(self, entry: CacheEntry) -> None:
        """Give a reservation up."""
        held = self.reservations.get(_key(entry))
        if held is not None and held.owner == entry.owner:
            del self.reservations[_key(entry)]


class LineCatalog:
    """The catalog as one replica reaches it."""

    def __init__(self, shared: SharedCatalog, line: Line) -> None:
        self._shared = shared
        self._line = line

    async def look_up(self, entry: CacheEntry) -> CacheHit | None:
        """The outputs of an entry."""

        async def look_up() -> CacheHit | None:
            return self._shared.entries.get(_key(entry))

        return await self._line.call("catalog", f"look up {entry.dataset.name}", look_up)

    async def store(self, entry: CacheEntry, outputs: core.LiteralMap, *, overwrite: bool) -> core.CatalogMetadata:
        """Keep outputs."""

        async def store() -> core.CatalogMetadata:
            return self._shared.store(entry, outputs, overwrite=overwrite)

        return await self._line.call("catalog", f"store {entry.dataset.name}", store)

    async def reserve(self, entry: CacheEntry, heartbeat_seconds: float) -> str:
        """Take or extend a reservation."""

        async def reserve() -> str:
            return self._shared.reserve(entry)

        return await self._line.call("catalog", f"reserve {entry.dataset.name} for {entry.owner}", reserve)

    async def release(self, entry: CacheEntry) -> None:
        """Give a reservation up."""

        async def release() -> None:
            self._shared.release(entry)

        await self._line.call("catalog", f"release {entry.dataset.name}", release)


class OnePlugin:
    """All plugins, where there is but one."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def resolve(
        self, task_type: str, overrides: Sequence[admin.PluginOverride], template: core.TaskTemplate | None = None
    ) -> Plugin:
        """The plugin that runs every task type."""
        if task_type not in self._plugin.task_types:
            raise AlreadyExists(f"no plugin runs {task_type}")
        return self._plugin


def _key(entry: CacheEntry) -> tuple[str, str]:
    return (f"{entry.dataset.name}:{entry.dataset.version}", entry.tag)


def _described(commit: Commit) -> str:
    """What a commit writes, in few words."""
    rows = [f"{row['node_id']}={row['phase']}/{row['attempt']}" for _, row in commit.nodes]
    phases = [f"{row.name}={row.phase}" for row in (*commit.created, *commit.changed)]
    events = [f"{chunk.count} events" for chunk in commit.events]
    chunks = [f"{chunk['node_id']}[{chunk['number']}]" for _, chunk in commit.chunks]
    dropped = [f"-{node_id}" for _, node_id in commit.dropped]
    return " ".join([*phases, *rows, *dropped, *chunks, *events]) or "acknowledgements"
