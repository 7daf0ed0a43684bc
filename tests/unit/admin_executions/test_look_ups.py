"""What was there when a node, or an element, was looked up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from elevon_admin.domain.array_nodes import FoundArray
from elevon_admin.domain.executions import StoredNode
from elevon_admin.domain.records import NodeKey, StoredLiterals
from elevon_admin.ports import MemoEntry
from elevon_admin.usecases.look_ups import Elements, LookUp
from elevon_core import literals
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.timestamp_pb2 import Timestamp

EXECUTION = core.WorkflowExecutionIdentifier(project="p", domain="d", name="e")
ARRAY = core.NodeExecutionIdentifier(node_id="n0", execution_id=EXECUTION)


def at(seconds: int) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    return moment


def entry(written: int, node: str, execution: str = "e") -> MemoEntry:
    found = MemoEntry("tag", "id", at(written), core.TaskExecutionIdentifier())
    found.source.node_execution_id.node_id = node
    found.source.node_execution_id.execution_id.CopyFrom(EXECUTION)
    found.source.node_execution_id.execution_id.name = execution
    return found


def element() -> LookUp:
    """The look-up of an element of an array's second attempt, which lasted from 100 to 200."""
    attempt = admin.TaskExecution(id=core.TaskExecutionIdentifier(node_execution_id=ARRAY, retry_attempt=1))
    attempt.closure.created_at.CopyFrom(at(100))
    attempt.closure.updated_at.CopyFrom(at(200))
    attempt.closure.metadata.external_resources.add(index=0, cache_status=core.CACHE_POPULATED)
    task = core.TaskTemplate(id=core.Identifier(name="t"))
    task.metadata.discoverable, task.metadata.discovery_version = True, "1"
    task.interface.outputs.variables["o0"].type.simple = core.INTEGER
    array = core.ArrayNode(node=core.Node(task_node=core.TaskNode()))
    inputs = core.LiteralMap(literals={"a": core.Literal(collection=core.LiteralCollection())})
    inputs.literals["a"].collection.literals.append(literals.integer(1))
    node = StoredNode(1, NodeKey.of(ARRAY), admin.NodeExecution(id=ARRAY), StoredLiterals())
    return Elements(node, attempt, FoundArray(array, task), inputs).look_up(0)


@pytest.mark.parametrize(
    ("found", "precedes"),
    [
        (entry(150, "n0-1-n1"), True),
        (entry(99, "n0-1-n1"), True),  # clocks differ
        (entry(99, "n0-0-n1"), False),
        (entry(99, "n0-1-n1", "other"), False),
        (entry(99, "n1"), False),
        (entry(150, "n1"), True),
    ],
)
def test_what_siblings_keep_was_not_there(found: MemoEntry, precedes: bool) -> None:
    assert element().precedes(found) is precedes


def test_what_an_element_kept_was_written_before_its_array_ended() -> None:
    assert element().may_have_met(entry(199, "n0-1-n0"))
    assert not element().may_have_met(entry(201, "n0-1-n0"))


def test_the_look_up_of_a_node() -> None:
    look_up = LookUp(core.CACHE_MISS, core.CatalogMetadata(), at=at(100))
    assert not look_up.precedes(entry(100, "n0-1-n1"))
    assert look_up.precedes(entry(101, "n0-1-n1"))
    assert not look_up.may_have_met(entry(101, "n0"))
    assert LookUp(core.CACHE_MISS, core.CatalogMetadata()).may_have_met(entry(101, "n0"))
