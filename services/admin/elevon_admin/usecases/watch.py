"""Following executions: what has changed is read when something says that it has, and told once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeVar

from elevon_core.errors import InvalidArgument
from elevon_core.identifiers import validate_execution_identifier
from elevon_core.portions import portions
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.event_batches import missing_execution
from elevon_admin.domain.executions import StoredExecution, StoredNode
from elevon_admin.domain.phases import TERMINAL_WORKFLOW_PHASES
from elevon_admin.domain.records import ExecutionKey
from elevon_admin.execution_ports import Changed, ChangeRepository
from elevon_admin.ports import Clock
from elevon_admin.usecases.execution_queries import execution_message
from elevon_admin.usecases.watch_hub import Watcher, WatchHub

MOST_ROWS = 500
"""Rows of one message, and of one read."""

GATHER_SECONDS = 0.02
"""How long changes gather before they are read together."""

SKEW = 5_000_000_000
"""How far, in nanoseconds, clocks of replicas and transactions under way may make a change look older than it is."""

MOST_REMEMBERED = 20_000
"""Above so many rows told, old ones are forgotten; such a one may be told again."""

_LONGEST_TOKEN = 19
_RULE = "must be the token of a message of this stream, or empty"

Key = TypeVar("Key")
Row = TypeVar("Row", StoredExecution, StoredNode)


class Told(dict[Key, int]):
    """What a stream has told, and how new it was; `newest` is the newest of all, from where a next read goes on."""

    def __init__(self, newest: int) -> None:
        super().__init__()
        self.newest = newest

    def fresh(self, changed: Mapping[Key, Changed[Row]]) -> list[Row]:
        """The rows that were not told as they are now; they count as told."""
        found = []
        for key, (updated_at, row) in changed.items():
            self.newest = max(self.newest, updated_at)
            # Not whether it is newer: clocks of the replicas that write may differ.
            if self.get(key) != updated_at:
                self[key] = updated_at
                found.append(row)
        if len(self) > MOST_REMEMBERED:
            self._forget_old()
        return found

    def _forget_old(self) -> None:
        for key in [key for key, updated_at in self.items() if updated_at < self.newest - 2 * SKEW]:
            del self[key]


class Watch:
    """Answers streams; changes that other replicas record are looked for every `poll_seconds`."""

    def __init__(self, changes: ChangeRepository, hub: WatchHub, clock: Clock, poll_seconds: float) -> None:
        self._changes = changes
        self._hub = hub
        self._clock = clock
        self._poll_seconds = poll_seconds

    async def execution(self, request: admin.WatchExecutionRequest) -> AsyncIterator[admin.WatchExecutionResponse]:
        """See WatchService. Raises NotFound, InvalidArgument, ResourceExhausted, and Unavailable when admin stops."""
        validate_execution_identifier(request.id)
        key, told = ExecutionKey.of(request.id), Told[str](parse_token(request.token, self._clock()))
        with self._hub.watching(key) as watcher:
            everything, node_ids = True, set[str]()
            while True:
                execution = (await self._changes.executions([key])).get(key)
                if execution is None:
                    raise missing_execution(key)
                ended = execution.row.closure.phase in TERMINAL_WORKFLOW_PHASES
                # The last nodes were recorded before the end: after it, one look at all that is new finds them.
                whole = everything or ended
                changed = self._nodes_since(key, told.newest) if whole else self._nodes_named(key, sorted(node_ids))
                async for rows in changed:
                    if nodes := [row.message for row in told.fresh(rows)]:
                        yield admin.WatchExecutionResponse(token=str(told.newest), node_executions=nodes)
                for row in told.fresh({"": execution}):
                    yield admin.WatchExecutionResponse(token=str(told.newest), execution=execution_message(row))
                if ended:
                    return
                everything, (node_ids, _) = await self._next(watcher)

    async def executions(self, request: admin.WatchExecutionsRequest) -> AsyncIterator[admin.WatchExecutionsResponse]:
        """See WatchService. Raises InvalidArgument, ResourceExhausted, and Unavailable when admin stops."""
        if not request.project:
            raise InvalidArgument.missing("project")
        if not request.domain:
            raise InvalidArgument.missing("domain")
        scope = (request.project, request.domain)
        now, everything = self._clock(), bool(request.token)
        told: Told[ExecutionKey] = Told(parse_token(request.token, now) if everything else now)
        with self._hub.watching(scope) as watcher:
            yield admin.WatchExecutionsResponse(token=str(told.newest))
            keys = set[ExecutionKey]()
            while True:
                changed = (
                    self._executions_since(scope, told.newest) if everything else self._executions_named(sorted(keys))
                )
                async for rows in changed:
                    messages = [execution_message(row) for row in told.fresh(rows)]
                    if messages:
                        yield admin.WatchExecutionsResponse(token=str(told.newest), executions=messages)
                everything, (_, keys) = await self._next(watcher)

    async def _next(self, watcher: Watcher) -> tuple[bool, tuple[set[str], set[ExecutionKey]]]:
        """What to read next: True for all that is new, because nothing was heard for a while, or what is named."""
        if not await watcher.wait(self._poll_seconds):
            return True, watcher.take()
        await asyncio.sleep(GATHER_SECONDS)
        return False, watcher.take()

    async def _nodes_since(self, key: ExecutionKey, since: int) -> AsyncIterator[Mapping[str, Changed[StoredNode]]]:
        position = (max(0, since - SKEW), 0)
        while True:
            rows = await self._changes.nodes_since(key, position, MOST_ROWS)
            yield {changed.row.key.node_id: changed for changed in rows}
            if len(rows) < MOST_ROWS:
                return
            position = (rows[-1].updated_at, rows[-1].row.row_id)

    async def _nodes_named(
        self, key: ExecutionKey, node_ids: Sequence[str]
    ) -> AsyncIterator[Mapping[str, Changed[StoredNode]]]:
        for some in portions(node_ids, MOST_ROWS):
            rows = await self._changes.nodes(key, some)
            yield {changed.row.key.node_id: changed for changed in rows}

    async def _executions_since(
        self, scope: tuple[str, str], since: int
    ) -> AsyncIterator[Mapping[ExecutionKey, Changed[StoredExecution]]]:
        position = (max(0, since - SKEW), 0)
        while True:
            rows = await self._changes.executions_since(*scope, position, MOST_ROWS)
            yield {changed.row.key: changed for changed in rows}
            if len(rows) < MOST_ROWS:
                return
            position = (rows[-1].updated_at, rows[-1].row.row_id)

    async def _executions_named(
        self, keys: Sequence[ExecutionKey]
    ) -> AsyncIterator[Mapping[ExecutionKey, Changed[StoredExecution]]]:
        for some in portions(keys, MOST_ROWS):
            yield await self._changes.executions(some)


def parse_token(token: str, now: int) -> int:
    """The moment in a token, in nanoseconds; 0 for an empty one. Raises InvalidArgument, also for a future one."""
    if not token:
        return 0
    if len(token) > _LONGEST_TOKEN or not (token.isascii() and token.isdecimal()):
        raise InvalidArgument.invalid("token", token, _RULE)
    if int(token) > now + SKEW:
        raise InvalidArgument.invalid("token", token, f"{_RULE}: it lies in the future")
    return int(token)
