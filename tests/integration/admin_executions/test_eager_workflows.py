"""What eager workflows have started ends with them, whatever has become of their processes."""

from __future__ import annotations

import pytest
from elevon_idl.admin import v1 as admin_messages
from flyteidl.admin import common_pb2, execution_pb2

from tests.integration.admin_executions.harness import (
    WORKFLOW,
    Admin,
    eventually,
    execution_id,
    workflow_event,
)


async def family(admin: Admin) -> None:
    """An eager workflow `parent` with two children, one of them eager with a child; and a stranger."""
    target = await admin.register()
    parents = {
        "parent": "",
        "child": "parent",
        "eager-child": "parent",
        "grandchild": "eager-child",
        "stranger": "other",
    }
    for name, parent in parents.items():
        labels = common_pb2.Labels(values={"eager-exec": parent, "eager-root-exec": "parent"} if parent else {})
        await admin.launch(target, name, labels=labels)
        await admin.report(execution_id(name), WORKFLOW.RUNNING, 1)


async def phase(admin: Admin, name: str) -> int:
    found: int = (await admin.get(execution_id(name))).closure.phase
    return found


@pytest.mark.parametrize("ended", [WORKFLOW.ABORTED, WORKFLOW.FAILED, WORKFLOW.TIMED_OUT])
async def test_children_of_an_eager_workflow_end_with_it(admin: Admin, ended: int) -> None:
    await family(admin)
    await admin.report(execution_id("parent"), ended, 2)
    for name in ("child", "eager-child"):
        found = await admin.get(execution_id(name))
        assert found.closure.phase == WORKFLOW.ABORTING
        assert "[parent]" in found.closure.abort_metadata.cause
    await eventually(lambda: {"child", "eager-child"} <= {key.name for key in admin.engine.aborted}, "both are stopped")
    assert await phase(admin, "grandchild") == WORKFLOW.RUNNING
    await admin.report(execution_id("eager-child"), WORKFLOW.ABORTED, 3)
    assert await phase(admin, "grandchild") == WORKFLOW.ABORTING
    assert await phase(admin, "stranger") == WORKFLOW.RUNNING


async def test_success_leaves_children_alone(admin: Admin) -> None:
    await family(admin)
    await admin.report(execution_id("parent"), WORKFLOW.SUCCEEDED, 2)
    assert await phase(admin, "child") == WORKFLOW.RUNNING


async def test_a_repeated_event_ends_children_too(admin: Admin) -> None:
    """The service may have died between the event and the children."""
    await family(admin)
    reported = workflow_event(execution_id("parent"), WORKFLOW.FAILED, 2).SerializeToString()
    batch = admin_messages.RecordEventsRequest()
    batch.events.add().workflow.ParseFromString(reported)
    await admin.batches.RecordEvents(batch)
    await admin.launch(await admin.register("again"), "late", labels=common_pb2.Labels(values={"eager-exec": "parent"}))
    await admin.batches.RecordEvents(batch)
    assert await phase(admin, "late") == WORKFLOW.ABORTING


async def test_more_children_than_a_page(admin: Admin) -> None:
    target = await admin.register()
    await admin.launch(target, "parent")
    labels = common_pb2.Labels(values={"eager-exec": "parent"})
    names = [f"c{number}" for number in range(230)]
    for name in names:
        await admin.launch(target, name, labels=labels)
    await admin.report(execution_id("parent"), WORKFLOW.FAILED, 2)
    request = execution_pb2.WorkflowExecutionGetRequest
    for name in names:
        found = await admin.stub.GetExecution(request(id=execution_id(name)))
        assert found.closure.phase == WORKFLOW.ABORTING
