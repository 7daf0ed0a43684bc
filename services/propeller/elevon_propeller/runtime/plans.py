"""Plans by digest: built once, shared by all executions of a workflow."""

from __future__ import annotations

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


class Plans:
    """Keeps the plans used last; the others are built again from the stored closures."""

    def __init__(self, store: Store, blobs: BlobStore, limit: int = 256) -> None:
        self._store = store
        self._blobs = blobs
        self._limit = limit
        self._plans: OrderedDict[bytes, Plan] = OrderedDict()

    async def get(self, digest: bytes) -> Plan | None:
        """The plan of a closure, None when the closure is not held."""
        plan = self._plans.get(digest)
        if plan is not None:
            self._plans.move_to_end(digest)
            return plan
        data = await self._store.load_workflow(digest)
        if data is None:
            return None
        return self._keep(digest, build_plan(core.CompiledWorkflowClosure.FromString(data), SUPPORTED))

    async def add(self, digest: bytes, closure: core.CompiledWorkflowClosure) -> Plan:
        """Plan a closure and keep it durably; raises InvalidArgument for one that cannot be run."""
        known = await self.get(digest)
        if known is not None:
            return known
        plan = build_plan(closure, SUPPORTED)
        await self._store.save_workflow(digest, closure.SerializeToString(deterministic=True))
        return self._keep(digest, plan)

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
            graphs[uri] = build_plan(core.CompiledWorkflowClosure.FromString(data), SUPPORTED).primary
        return graphs

    def _keep(self, digest: bytes, plan: Plan) -> Plan:
        self._plans[digest] = plan
        while len(self._plans) > self._limit:
            self._plans.popitem(last=False)
        return plan
