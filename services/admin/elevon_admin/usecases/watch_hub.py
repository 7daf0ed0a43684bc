"""Who watches what: marks of what has changed, which cost whoever changes it next to nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

from elevon_core.errors import ResourceExhausted, Unavailable
from elevon_idl.event import v1 as event

from elevon_admin.domain.dispatches import Dispatch
from elevon_admin.domain.event_batches import AnyEvent
from elevon_admin.domain.records import ExecutionKey, NodeKey
from elevon_admin.execution_ports import Outbox

Watched = ExecutionKey | tuple[str, str]
"""An execution, or the executions of a project and domain."""


class Watcher:
    """One open stream: what has changed since it was read last.

    `nodes` are the ids of nodes of the execution watched; `executions` are executions of the scope watched, or that
    execution itself.
    """

    def __init__(self) -> None:
        self.nodes: set[str] = set()
        self.executions: set[ExecutionKey] = set()
        self._changed = asyncio.Event()
        self._closed = False

    def mark(self, execution: ExecutionKey | None, node_id: str = "") -> None:
        """Remember a change."""
        if execution is not None:
            self.executions.add(execution)
        if node_id:
            self.nodes.add(node_id)
        self._changed.set()

    def close(self) -> None:
        """Have the stream end."""
        self._closed = True
        self._changed.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a change, at most for so long; False when there was none. Raises Unavailable after `close`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        if self._closed:
            raise Unavailable("the service stops: begin again with the last token")
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    def take(self) -> tuple[set[str], set[ExecutionKey]]:
        """The node ids and the executions that have changed; they count as read."""
        taken = self.nodes, self.executions
        self.nodes, self.executions = set(), set()
        return taken


class WatchHub:
    """All watchers of this process; at most `most` at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._watchers: defaultdict[Watched, set[Watcher]] = defaultdict(set)
        self._closed = False

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    @contextlib.contextmanager
    def watching(self, what: Watched) -> Iterator[Watcher]:
        """Be told of changes. Raises ResourceExhausted when there are too many, Unavailable after `close`."""
        if self._closed:
            raise Unavailable("the service stops")
        if len(self) >= self._most:
            raise ResourceExhausted(f"{self._most} streams watch already, which is the most this server allows")
        watcher = Watcher()
        self._watchers[what].add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[what].discard(watcher)
            if not self._watchers[what]:
                del self._watchers[what]

    def changed(self, key: ExecutionKey, node_id: str = "") -> None:
        """Mark an execution, or one of its nodes."""
        for watcher in self._watchers.get(key, ()):
            watcher.mark(None if node_id else key, node_id)
        if not node_id:
            for watcher in self._watchers.get((key.project, key.domain), ()):
                watcher.mark(key)

    async def recorded(self, events: Sequence[AnyEvent]) -> None:
        """Mark what recorded events have changed; a node counts as changed with its attempts."""
        if not self._watchers:
            return
        for reported in events:
            if isinstance(reported, event.WorkflowExecutionEvent):
                self.changed(ExecutionKey.of(reported.execution_id))
            elif isinstance(reported, event.NodeExecutionEvent):
                self.changed(*NodeKey.of(reported.id))
            else:
                self.changed(*NodeKey.of(reported.parent_node_execution_id))

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.close()


class WatchedOutbox:
    """An Outbox that passes everything on to another one; what is put there has just changed."""

    def __init__(self, outbox: Outbox, hub: WatchHub) -> None:
        self._outbox = outbox
        self._hub = hub

    def put(self, dispatches: Sequence[Dispatch]) -> None:
        """See Outbox."""
        self._outbox.put(dispatches)
        for dispatch in dispatches:
            self._hub.changed(dispatch.key)
