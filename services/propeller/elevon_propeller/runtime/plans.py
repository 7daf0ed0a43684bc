"""Plans by digest: built once, shared by all executions of a workflow."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial

from elevon_core.errors import Internal
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobStore
from elevon_kit.retry import ATOMIC

from elevon_propeller.engine.kinds import SUPPORTED
from elevon_propeller.engine.plan import Graph, Plan, build_plan
from elevon_propeller.engine.records import NodeRow, dynamic_uris
from elevon_propeller.ports import Store

MEBIBYTE = 1024 * 1024
LIMIT = 16 * MEBIBYTE
LARGE = MEBIBYTE
"""Closures of so many bytes are planned in a thread, so that nothing else waits for them; 10,000 nodes have 2 MiB."""


class Plans:
    """Keeps the plans used last; the others are built again from the stored closures.

    `limit` bounds the bytes of their closures together; a plan takes about twenty times as many.
    """

    def __init__(self, store: Store, blobs: BlobStore, limit: int = LIMIT) -> None:
        self._store = store
        self._blobs = blobs
        self._limit = limit
        self._plans: OrderedDict[bytes, tuple[Plan, int]] = OrderedDict()
        self._size = 0

    async def get(self, digest: bytes) -> Plan | None:
        """The plan of a closure, None when the closure is not held."""
        kept = self._plans.get(digest)
        if kept is not None:
            self._plans.move_to_end(digest)
            return kept[0]
        data = await self._store.load_workflow(digest)
        if data is None:
            return None
        return self._keep(digest, await _planned(core.CompiledWorkflowClosure.FromString(data), len(data)), len(data))

    async def add(self, digest: bytes, closure: core.CompiledWorkflowClosure) -> Plan:
        """Plan a closure and keep it durably; raises InvalidArgument for one that cannot be run."""
        known = await self.get(digest)
        if known is not None:
            return known
        data = closure.SerializeToString(deterministic=True)
        plan = await _planned(closure, len(data))
        await self._store.save_workflow(digest, data)
        return self._keep(digest, plan, len(data))

    async def stored(self, digest: bytes) -> Plan:
        """The plan of an execution that exists; raises Internal when its closure is gone."""
        plan = await self.get(digest)
        if plan is None:
            raise Internal(f"the closure {digest.hex()} of a stored execution is missing")
        return plan

    async def dynamic(self, rows: Iterable[NodeRow]) -> dict[str, Graph]:
        """The graphs that live dynamic tasks among these rows have yielded, by address; raises what blobs raise."""
        graphs = {}
        for uri in sorted(dynamic_uris(rows)):
            data = await ATOMIC.run(partial(self._blobs.read, uri), what=f"read {uri}")
            graphs[uri] = (await _planned(core.CompiledWorkflowClosure.FromString(data), len(data))).primary
        return graphs

    def _keep(self, digest: bytes, plan: Plan, size: int) -> Plan:
        self._size += size - self._plans.pop(digest, (plan, 0))[1]
        self._plans[digest] = (plan, size)
        while self._size > self._limit and len(self._plans) > 1:
            self._size -= self._plans.popitem(last=False)[1][1]
        return plan


async def _planned(closure: core.CompiledWorkflowClosure, size: int) -> Plan:
    if size < LARGE:
        return build_plan(closure, SUPPORTED)
    return await asyncio.to_thread(build_plan, closure, SUPPORTED)
