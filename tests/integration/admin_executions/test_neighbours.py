"""Calls that are done together do each other no harm: what the database cannot take is refused, the rest is done."""

from __future__ import annotations

import asyncio
import random
import string
from collections import Counter
from typing import Any

import grpc
import pytest
from elevon_idl.admin import v1 as admin_v1
from flyteidl.admin import event_pb2
from flyteidl.event import event_pb2 as events

from tests.integration.admin_executions.harness import (
    NODE,
    TASK,
    WORKFLOW,
    Admin,
    execution_request,
    node_event,
    record,
    task_event,
    workflow_event,
)
from tests.integration.admin_registry.harness import refused

INVALID = grpc.StatusCode.INVALID_ARGUMENT
RESULT = admin_v1.EventOutcome
WIDE = [chr(number) for number in range(0x1F400, 0x1F500)]
"""Characters of four bytes."""


def noise(length: int) -> str:
    """Text that no compression makes shorter."""
    return "".join(random.choices(string.ascii_letters + string.digits, k=length))


async def codes_of(*calls: Any) -> list[str]:
    """How calls that are made at once end."""

    async def code_of(call: Any) -> str:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    return list(await asyncio.gather(*map(code_of, calls)))


async def test_a_tag_that_is_too_long_is_refused_and_nobody_else_is(admin: Admin) -> None:
    target = await admin.register()
    requests = [execution_request(target, f"e{number}", tags=[noise(5000)] * (number % 5 == 0)) for number in range(40)]
    codes = await codes_of(*map(admin.stub.CreateExecution, requests))
    assert codes == ["INVALID_ARGUMENT" if number % 5 == 0 else "OK" for number in range(40)]
    bad = execution_request(target, "bad", tags=["fine", noise(256)])
    await refused(admin.stub.CreateExecution(bad), INVALID, "tags[1]", "at most 255 characters")


@pytest.mark.parametrize(
    "fields",
    [
        {"parent_node_metadata": events.ParentNodeExecutionMetadata(node_id="a\0b")},
        {"parent_node_metadata": events.ParentNodeExecutionMetadata(node_id=noise(300))},
    ],
    ids=["NUL", "too long"],
)
async def test_a_parent_that_is_none_is_refused_and_other_events_are_recorded(
    admin: Admin, fields: dict[str, Any]
) -> None:
    key = await admin.launch(await admin.register(), "x")
    told = [node_event(key, f"n{number}", NODE.RUNNING, **(fields if number == 7 else {})) for number in range(40)]
    requests = [event_pb2.NodeExecutionEventRequest(event=each) for each in told]
    codes = Counter(await codes_of(*map(admin.stub.CreateNodeEvent, requests)))
    assert codes == {"OK": 39, "INVALID_ARGUMENT": 1}


async def test_a_child_that_is_none_is_refused(admin: Admin) -> None:
    key = await admin.launch(await admin.register(), "x")
    await admin.report_node(key, "n0", NODE.QUEUED)
    child = events.WorkflowNodeMetadata()
    child.execution_id.project, child.execution_id.domain, child.execution_id.name = "p", "d", "a\0b"
    told = node_event(key, "n0", NODE.RUNNING, workflow_node_metadata=child)
    request = event_pb2.NodeExecutionEventRequest(event=told)
    await refused(admin.stub.CreateNodeEvent(request), INVALID, "control characters")


async def test_what_an_index_does_not_take_is_refused_and_its_batch_is_recorded(
    admin: Admin, database_url: str
) -> None:
    """Each part of the key is as long as it may be; together they are more than an index row of PostgreSQL holds."""
    key = await admin.launch(await admin.register(), "x")
    await admin.report_node(key, "n0", NODE.RUNNING)
    wide = task_event(key, "n0", TASK.RUNNING)
    for part in ("project", "domain", "name", "version"):
        setattr(wide.task_id, part, "".join(random.choices(WIDE, k=255)))
    results = await record(admin, [workflow_event(key, WORKFLOW.RUNNING), wide, node_event(key, "n1", NODE.RUNNING)])
    taken = RESULT.RESULT_RECORDED if database_url.startswith("sqlite") else RESULT.RESULT_REFUSED
    assert results == [RESULT.RESULT_RECORDED, taken, RESULT.RESULT_RECORDED]
    assert (await admin.get(key)).closure.phase == WORKFLOW.RUNNING
