"""Lists of executions, nodes and task executions: filters, orders, pages (appendix A 20, 21, 24, 26, 27, 29)."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from flyteidl.admin import common_pb2, execution_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import execution_pb2 as core_execution

from tests.integration.admin_executions.harness import (
    NODE,
    TASK,
    WORKFLOW,
    Admin,
    execution_id,
    listing,
    node_id_of,
    task_execution_id,
)
from tests.integration.admin_registry.harness import by, refused, task_id

INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def names(admin: Admin, filters: str = "", **fields: Any) -> list[str]:
    found = await admin.stub.ListExecutions(listing(filters=filters, **fields))
    return [row.id.name for row in found.executions]


@pytest.fixture
async def filled(admin: Admin) -> Admin:
    first, second = await admin.register("w1"), await admin.register("w2")
    await admin.launch(first, "a", tags=["nightly"], labels=common_pb2.Labels(values={"team": "x", "tier": "gold"}))
    await admin.launch(first, "b", labels=common_pb2.Labels(values={"team": "y"}))
    await admin.launch(second, "c")
    await admin.launch(task_id(), "d")
    for name in ("a", "b"):
        await admin.report(execution_id(name), WORKFLOW.RUNNING, 1)
    await admin.report(execution_id("b"), WORKFLOW.SUCCEEDED, 61)
    error = core_execution.ExecutionError(code="Boom", message="é" * 200, kind=core_execution.ExecutionError.USER)
    await admin.report(execution_id("c"), WORKFLOW.FAILED, 1, error=error)
    return admin


async def test_executions_by_filter(filled: Admin) -> None:
    admin = filled
    expected = {
        "": ["a", "b", "c", "d"],
        "eq(phase,RUNNING)": ["a"],
        "value_in(phase, UNDEFINED;QUEUED;RUNNING)": ["a", "d"],
        "ne(phase,FAILED)+ne(phase,RUNNING)": ["b", "d"],
        "eq(name,b)": ["b"],
        "eq(execution.name,b)": ["b"],
        "eq(execution_name,b)": ["b"],
        "contains(name,c)": ["c"],
        "eq(workflow.name,w1)": ["a", "b"],
        "ne(launch_plan.project, project2)+eq(workflow.domain, development)+contains(workflow.name, 1)": ["a", "b"],
        "eq(launch_plan.name,w2)": ["c"],
        "eq(task.name,t)": ["d"],
        "eq(launch_entity,task)": ["d"],
        "gte(duration,1m)": ["b"],
        "eq(duration,60)": ["b"],
        "gt(started_at,2023-11-14T22:13:20Z)": ["a", "b"],
        "eq(error_kind,USER)+eq(error_code,Boom)": ["c"],
        "eq(mode,0)": ["a", "b", "c", "d"],
        "value_in(execution_tag.key,team;tier)": ["a", "b"],
        "eq(execution_tag.key,team)+eq(execution_tag.value,x)": ["a"],
        "eq(execution_tag.key,tier)+eq(execution_tag.value,x)": [],
        "eq(admin_tag.name,nightly)": ["a"],
        "eq(state,1)": [],
        "eq(user,nobody)": [],
    }
    for filters, wanted in expected.items():
        assert await names(admin, filters, sort_by=by("name")) == wanted, filters


async def test_executions_in_order_and_by_pages(filled: Admin) -> None:
    admin = filled
    assert await names(admin, sort_by=by("created_at", ascending=False)) == ["d", "c", "b", "a"]
    assert await names(admin, sort_by=by("created_at")) == ["a", "b", "c", "d"]
    first = await admin.stub.ListExecutions(listing(limit=3, sort_by=by("name")))
    assert ([row.id.name for row in first.executions], first.token) == (["a", "b", "c"], "3")
    second = await admin.stub.ListExecutions(listing(limit=3, token=first.token, sort_by=by("name")))
    assert ([row.id.name for row in second.executions], second.token) == (["d"], "")
    named = listing()
    named.id.name = "b"
    assert [row.id.name for row in (await admin.stub.ListExecutions(named)).executions] == ["b"]
    other = listing()
    other.id.domain = "production"
    assert list((await admin.stub.ListExecutions(other)).executions) == []


async def test_an_execution_with_two_matching_tags_is_listed_once(filled: Admin) -> None:
    found = await filled.stub.ListExecutions(listing(limit=3, filters="value_in(execution_tag.key,team;tier)"))
    assert (sorted(row.id.name for row in found.executions), found.token) == (["a", "b"], "")


async def test_lists_cut_error_messages_at_a_whole_character(filled: Admin) -> None:
    (row,) = (await filled.stub.ListExecutions(listing(filters="eq(name,c)"))).executions
    assert row.closure.error.message == "é" * 50
    assert (await filled.get(execution_id("c"))).closure.error.message == "é" * 200


async def test_archived_executions_are_hidden_unless_asked_for(filled: Admin) -> None:
    admin = filled
    state = execution_pb2.EXECUTION_ARCHIVED
    await admin.stub.UpdateExecution(execution_pb2.ExecutionUpdateRequest(id=execution_id("a"), state=state))
    assert await names(admin, sort_by=by("name")) == ["b", "c", "d"]
    assert await names(admin, "eq(state,1)") == ["a"]
    assert await names(admin, "value_in(state,0;1)", sort_by=by("name")) == ["a", "b", "c", "d"]
    found = await admin.get(execution_id("a"))
    assert found.closure.state_change_details.state == state
    assert found.closure.phase == WORKFLOW.RUNNING
    back = execution_pb2.ExecutionUpdateRequest(id=execution_id("a"), state=execution_pb2.EXECUTION_ACTIVE)
    await admin.stub.UpdateExecution(back)
    assert await names(admin, sort_by=by("name")) == ["a", "b", "c", "d"]
    absent = execution_pb2.ExecutionUpdateRequest(id=execution_id("absent"))
    await refused(admin.stub.UpdateExecution(absent), grpc.StatusCode.NOT_FOUND)


async def test_bad_lists_are_refused(filled: Admin) -> None:
    call = filled.stub.ListExecutions
    await refused(call(listing(limit=0)), INVALID, "invalid value for limit")
    await refused(call(listing(token="x")), INVALID, "invalid pagination token x")
    await refused(call(listing(filters="eq(nothing,1)")), INVALID, "'e.nothing' is invalid filter")
    await refused(call(listing(filters="eq(node_execution.phase,RUNNING)")), INVALID, "'ne' entity is not allowed")
    await refused(call(listing(sort_by=by("nothing"))), INVALID, "invalid sort key 'nothing'")
    await refused(call(listing(filters="gt(started_at,yesterday)")), INVALID, "started_at")


async def test_node_executions_by_filter_and_page(filled: Admin) -> None:
    admin, identifier = filled, execution_id("a")
    for number, phase in enumerate((NODE.RUNNING, NODE.SUCCEEDED, NODE.RUNNING)):
        await admin.report_node(identifier, f"n{number}", phase, number)

    async def listed(filters: str = "", **fields: object) -> list[str]:
        request = node_execution_pb2.NodeExecutionListRequest(
            **{"workflow_execution_id": identifier, "limit": 10, "filters": filters, **fields}
        )
        return [row.id.node_id for row in (await admin.stub.ListNodeExecutions(request)).node_executions]

    assert await listed(sort_by=by("created_at")) == ["n0", "n1", "n2"]
    assert await listed("eq(phase, RUNNING)") == ["n0", "n2"]
    assert await listed("eq(node_id, n1)") == ["n1"]
    assert await listed("eq(execution.phase,RUNNING)+eq(execution_name,a)") == ["n0", "n1", "n2"]
    assert await listed("eq(execution.phase,FAILED)") == []
    assert await listed("eq(project,flytesnacks)", limit=2, sort_by=by("node_id")) == ["n0", "n1"]
    assert await listed(token="2", limit=2, sort_by=by("node_id")) == ["n2"]
    assert await listed(workflow_execution_id=execution_id("unknown")) == []
    await refused(listed(workflow_execution_id=None), INVALID, "missing execution_id")
    await refused(listed("eq(task.name,t)"), INVALID, "'t' entity is not allowed")


async def test_task_executions_by_filter(filled: Admin) -> None:
    admin, identifier = filled, execution_id("a")
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1)
    for attempt, phase in enumerate((TASK.FAILED, TASK.RUNNING, TASK.QUEUED)):
        await admin.report_task(identifier, "n0", phase, attempt, retry_attempt=attempt)

    async def attempts(filters: str) -> list[int]:
        request = task_execution_pb2.TaskExecutionListRequest(
            node_execution_id=node_id_of(identifier, "n0"), limit=10, filters=filters, sort_by=by("retry_attempt")
        )
        found = await admin.stub.ListTaskExecutions(request)
        return [row.id.retry_attempt for row in found.task_executions]

    assert await attempts("eq(task.name,t)+value_in(phase, FAILED;RUNNING)") == [0, 1]
    assert await attempts("eq(task.project,flytesnacks)+eq(task_execution.phase,QUEUED)") == [2]
    assert await attempts("eq(task.type,python-task)") == [0, 1, 2]
    assert await attempts("eq(task.name,other)") == []
    assert await attempts("eq(retry_attempt,1)") == [1]
    assert await attempts("eq(execution.name,a)+eq(node_execution.phase,RUNNING)") == [0, 1, 2]
    assert await attempts("eq(name,a)") == [0, 1, 2]
    data = task_execution_pb2.TaskExecutionGetDataRequest(id=task_execution_id(identifier, "n0"))
    assert (await admin.stub.GetTaskExecutionData(data)).inputs.url == ""
