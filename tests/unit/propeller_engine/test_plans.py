"""Plans are kept while their closures are not too large together, and built again when they are needed."""

from __future__ import annotations

import hashlib

from elevon_idl.core import v1 as core
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_propeller.runtime.plans import LARGE, Plans
from elevon_propeller.simulation import closures
from elevon_propeller.store.memory import MemoryStore


class CountingStore(MemoryStore):
    """Notes which closures are read back."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[bytes] = []

    async def load_workflow(self, digest: bytes) -> bytes | None:
        """The closure of a digest."""
        data = await super().load_workflow(digest)
        if data is not None:
            self.loaded.append(digest)
        return data


def digest_of(closure: core.CompiledWorkflowClosure) -> bytes:
    return hashlib.sha256(closure.SerializeToString(deterministic=True)).digest()


async def test_the_plans_used_last_are_kept_up_to_a_size() -> None:
    store = CountingStore()
    made = [closures.chain(length) for length in (10, 11, 12)]
    size = max(closure.ByteSize() for closure in made)
    plans = Plans(store, MemoryBlobStore(), limit=2 * size)
    digests = [digest_of(closure) for closure in made]
    for digest, closure in zip(digests[:2], made, strict=False):
        await plans.add(digest, closure)
    await plans.stored(digests[0])
    await plans.add(digests[2], made[2])
    assert store.loaded == []
    await plans.stored(digests[0])
    await plans.stored(digests[2])
    assert store.loaded == []
    await plans.stored(digests[1])
    assert store.loaded == [digests[1]]


async def test_a_plan_that_is_larger_than_the_limit_is_kept_while_it_is_the_last() -> None:
    store = CountingStore()
    closure = closures.chain(5_000)
    assert closure.ByteSize() > LARGE
    plans = Plans(store, MemoryBlobStore(), limit=1)
    plan = await plans.add(digest_of(closure), closure)
    assert await plans.get(digest_of(closure)) is plan
    assert store.loaded == []
