"""What is compared with a node that missed, out of a catalog that holds more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from elevon_admin.domain.executions import StoredNode
from elevon_admin.domain.records import NodeKey, StoredLiterals
from elevon_admin.ports import MemoEntry
from elevon_admin.usecases import memoization
from elevon_admin.usecases.literals import LiteralStore
from elevon_admin.usecases.memoization import Memoization
from elevon_core import literals
from elevon_core.errors import FailedPrecondition, NotFound
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.timestamp_pb2 import Timestamp

DATASET = core.Identifier(resource_type=core.DATASET, project="p", domain="d", name="flyte_task-t", version="1")
EXECUTION = core.WorkflowExecutionIdentifier(project="p", domain="d", name="e")


def named(node_id: str) -> core.NodeExecutionIdentifier:
    return core.NodeExecutionIdentifier(node_id=node_id, execution_id=EXECUTION)


class Queries:
    """Nodes `n0`, `n1`, … of one execution whose input `a` is their number; those that begin with `a` are arrays."""

    async def node(self, identifier: core.NodeExecutionIdentifier) -> StoredNode:
        if identifier.node_id == "gone":
            raise NotFound("gone")
        message = admin.NodeExecution(id=identifier)
        message.metadata.is_array = identifier.node_id.startswith("a")
        message.closure.task_node_metadata.cache_status = core.CACHE_MISS
        message.closure.task_node_metadata.catalog_key.dataset_id.CopyFrom(DATASET)
        inputs = core.LiteralMap(literals={"a": literals.integer(int(identifier.node_id[1:]))})
        return StoredNode(1, NodeKey.of(identifier), message, StoredLiterals(data=inputs.SerializeToString()))

    async def attempt(self, node: NodeKey, attempt: int) -> None:
        return None

    async def tasks(self, request: admin.TaskExecutionListRequest) -> admin.TaskExecutionList:
        return admin.TaskExecutionList()

    async def execution(self, identifier: core.WorkflowExecutionIdentifier) -> admin.Execution:
        return admin.Execution(id=identifier)


class Reads:
    """No launch plan is known."""

    async def launch_plans(self, keys: object) -> dict[object, object]:
        return {}


class Catalog:
    """Entries that nodes of the execution have left, the newest first, and a dataset of another version."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._entries = [
            MemoEntry(f"tag of {each}", f"id of {each}", Timestamp(), core.TaskExecutionIdentifier())
            for each in sources
        ]
        for entry, source in zip(self._entries, sources, strict=True):
            entry.source.node_execution_id.CopyFrom(named(source))

    async def entries(self, dataset: core.Identifier, limit: int) -> Sequence[MemoEntry]:
        return self._entries[:limit]

    async def datasets(self, like: core.Identifier) -> Sequence[core.Identifier]:
        other = core.Identifier()
        other.CopyFrom(like)
        other.version = "2"
        return [like, other]


def over(catalog: Catalog) -> Memoization:
    store = LiteralStore(cast("Any", None), "")
    return Memoization(cast("Any", Queries()), cast("Any", Reads()), store, cast("Any", catalog))


def told(answer: admin.ExplainNodeResponse) -> list[str]:
    return [
        each.entry.source_task_execution.node_execution_id.node_id or f"version {each.entry.dataset_id.version}"
        for each in answer.nearby
    ]


async def test_own_entries_come_before_other_versions() -> None:
    answer = await over(Catalog(["gone", "n5", "n3"])).explain(named("n3"))
    assert told(answer) == ["n3", "n5", "gone", "version 2"]
    assert answer.compared_newest == 0
    kinds = [[difference.kind for difference in each.differences] for each in answer.nearby]
    difference = admin.CacheDifference
    assert kinds == [[], [difference.KIND_INPUT_VALUE], [difference.KIND_SOURCE_GONE], [difference.KIND_CACHE_VERSION]]


async def test_it_is_said_when_not_all_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memoization, "COMPARED", 3)
    catalog = Catalog(["n9", "n8", "n7", "n0"])
    answer = await over(catalog).explain(named("n0"))
    assert told(answer) == ["n9", "n8", "n7", "version 2"]
    assert answer.compared_newest == 3
    monkeypatch.setattr(memoization, "COMPARED", 4)
    answer = await over(catalog).explain(named("n0"))
    assert told(answer)[0] == "n0"
    assert answer.compared_newest == 0


async def test_of_an_array_that_has_not_begun_it_is_said_that_it_has_not() -> None:
    with pytest.raises(FailedPrecondition, match="a3 has not begun"):
        await over(Catalog([])).explain(named("a3"), element=0)
