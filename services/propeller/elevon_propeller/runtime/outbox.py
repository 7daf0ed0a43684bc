"""Events on their way to admin: in order, in batches, until acknowledged, across restarts and outages of any length."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from elevon_core.errors import ElevonError
from elevon_kit.logging import get_logger
from elevon_kit.retry import is_transient

from elevon_propeller.ports import AdminEvents, EventChunk, Store
from elevon_propeller.runtime import framing
from elevon_propeller.runtime.tenure import Tenure

log = get_logger("outbox")

MEMORY_LIMIT = 64 * 1024 * 1024
CHUNKS_PER_READ = 64
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
CALL_SECONDS, MANY_BYTES = 0.01, 64 * 1024
"""Calls begin so far apart while little waits. The first event after a silence is delivered at once."""

FIRST_EVENTS = 500
"""The first call after a silence takes so many events at most, each that follows twice as many as the one before.

What happens first is soon to be seen; what then piles up is taken in calls that are worth their cost."""

Acknowledge = Callable[[list[tuple[int, int]]], None]


class Outbox:
    """Delivers the chunks of the shards this replica owns.

    Chunks come straight from the commit that wrote them; what does not fit into memory is read back later from the
    store. One call is under way at a time, which keeps the order.
    """

    def __init__(
        self, store: Store, admin: AdminEvents, acknowledge: Acknowledge, tenure: Tenure | None = None
    ) -> None:
        self._store = store
        self._admin = admin
        self._acknowledge = acknowledge
        self._tenure = tenure or Tenure()
        self._queue: deque[EventChunk] = deque()
        self._queued_bytes = 0
        self._most_events = FIRST_EVENTS
        self._behind: set[int] = set()
        self._last_taken: dict[int, int] = {}
        self._last_committed: dict[int, int] = {}
        self._last_delivered: dict[int, int] = {}
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def queued_bytes(self) -> int:
        """How much waits in memory, in bytes."""
        return self._queued_bytes

    @property
    def shards_behind(self) -> int:
        """How many shards have events that did not fit into memory, or were left by an earlier owner."""
        return len(self._behind)

    async def adopt(self, shard: int) -> int:
        """Begin with a shard: what was left undelivered comes first; returns the last number in use."""
        last = await self._store.last_event(shard)
        self._last_taken[shard] = 0
        self._last_delivered[shard] = 0
        self._last_committed[shard] = last
        if last:
            self._behind.add(shard)
            self._awake()
        return last

    def drop(self, shard: int) -> None:
        """Leave a shard to its next owner."""
        self._behind.discard(shard)
        self._last_taken.pop(shard, None)
        self._last_committed.pop(shard, None)
        self._queue = deque(chunk for chunk in self._queue if chunk.shard != shard)
        self._queued_bytes = sum(len(chunk.payload) for chunk in self._queue)
        self._last_delivered.pop(shard, None)
        self._tell()

    async def delivered(self, shard: int) -> None:
        """Wait until admin has everything that is durable of a shard now, or the shard is another replica's."""
        number = self._last_committed.get(shard, 0)
        if number <= self._last_delivered.get(shard, number):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((shard, number, waiter))
        await waiter

    def committed(self, chunks: list[EventChunk]) -> None:
        """Take chunks that have just become durable."""
        for chunk in chunks:
            if chunk.shard not in self._last_committed:
                continue
            self._last_committed[chunk.shard] = chunk.number
            if chunk.shard in self._behind or self._queued_bytes > MEMORY_LIMIT:
                self._behind.add(chunk.shard)
            else:
                self._take(chunk)
        if chunks:
            self._awake()

    async def flushed(self, seconds: float) -> bool:
        """Wait until everything is delivered; False when that takes too long."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Deliver; endless."""
        while True:
            await self._refill()
            batch = self._next_batch()
            if batch:
                began = asyncio.get_running_loop().time()
                await self._deliver(partial(self._still_owned, batch))
                self._acknowledge([(chunk.shard, chunk.number) for chunk in batch])
                self._note_delivered(batch)
                await self._gather(began)
                self._most_events = min(self._most_events * 2, framing.EVENTS_PER_CALL)
            elif not self._behind:
                self._idle.set()
                await self._wake.wait()
                self._most_events = FIRST_EVENTS
            self._wake.clear()

    async def _gather(self, began: float) -> None:
        """Wait a moment for more, unless there is much or somebody waits: a call costs as much as thirty events."""
        if self._waiters or self._behind or self._queued_bytes >= MANY_BYTES:
            return
        await asyncio.sleep(began + CALL_SECONDS - asyncio.get_running_loop().time())

    def _note_delivered(self, batch: list[EventChunk]) -> None:
        for chunk in batch:
            if chunk.shard in self._last_delivered:
                self._last_delivered[chunk.shard] = chunk.number
        self._tell()

    def _tell(self) -> None:
        """Let those go on whose wait is over."""
        waiting = []
        for shard, number, waiter in self._waiters:
            if number > self._last_delivered.get(shard, number) and not waiter.done():
                waiting.append((shard, number, waiter))
            elif not waiter.done():
                waiter.set_result(None)
        self._waiters = waiting

    def _awake(self) -> None:
        self._idle.clear()
        self._wake.set()

    def _take(self, chunk: EventChunk) -> None:
        self._queue.append(chunk)
        self._queued_bytes += len(chunk.payload)
        self._last_taken[chunk.shard] = chunk.number

    async def _refill(self) -> None:
        if not self._behind or self._queued_bytes > MEMORY_LIMIT // 2:
            return
        for shard in sorted(self._behind):
            try:
                found = await self._store.events(shard, self._last_taken.get(shard, 0), CHUNKS_PER_READ)
            except ElevonError as error:
                log.warning("events cannot be read back", shard=shard, error=error.message)
                await asyncio.sleep(FIRST_PAUSE)
                continue
            if shard not in self._last_taken:
                continue
            for chunk in found:
                self._take(chunk)
            if self._last_taken[shard] >= self._last_committed[shard] or not found:
                self._behind.discard(shard)

    def _next_batch(self) -> list[EventChunk]:
        batch: list[EventChunk] = []
        events = size = 0
        while self._queue:
            chunk = self._queue[0]
            events, size = events + chunk.count, size + len(chunk.payload)
            if batch and (events > self._most_events or size > framing.BYTES_PER_CALL):
                break
            batch.append(self._queue.popleft())
            self._queued_bytes -= len(chunk.payload)
        return batch

    def _still_owned(self, batch: list[EventChunk]) -> bytes:
        return b"".join(chunk.payload for chunk in batch if chunk.shard in self._last_taken)

    async def _deliver(self, find: Callable[[], bytes]) -> None:
        """Send until admin has it; events that admin can never take are logged and left out.

        What to send is asked before every try: the next owner of a shard tells of it again, and must not be overtaken.
        """
        pause = FIRST_PAUSE
        while True:
            await self._tenure.sure()
            payload = find()
            if not payload:
                return
            try:
                for refusal in await self._admin.record(payload):
                    log.warning("event refused", reason=refusal.message)
                return
            except ElevonError as error:
                if not is_transient(error):
                    await self._deliver_parts(payload, error)
                    return
                log.info("admin does not take events now", error=error.message, pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _deliver_parts(self, payload: bytes, error: ElevonError) -> None:
        if framing.count(payload) < 2:
            log.error("event given up", error=error.message, size=len(payload))
            return
        for half in framing.split(payload):
            await self._deliver(partial(_given, half))


def _given(payload: bytes) -> bytes:
    return payload
