"""RecordEvents: thousands of events in one call, an outcome each."""

from __future__ import annotations

import asyncio

import grpc
from elevon_idl.admin import v1 as admin_v1
from flyteidl.admin import node_execution_pb2, task_execution_pb2
from flyteidl.event import event_pb2 as events

from tests.integration.admin_executions.harness import (
    NODE,
    TASK,
    WORKFLOW,
    Admin,
    AnyEvent,
    execution_id,
    literals,
    moment,
    node_event,
    node_id_of,
    record,
    task_event,
    workflow_event,
)
from tests.integration.admin_registry.harness import refused

RECORDED, ALREADY, REFUSED = (
    admin_v1.EventOutcome.RESULT_RECORDED,
    admin_v1.EventOutcome.RESULT_ALREADY_RECORDED,
    admin_v1.EventOutcome.RESULT_REFUSED,
)


def history(identifier: object) -> list[AnyEvent]:
    """The events of an execution with one task; everything happens in the same second."""
    below = events.ParentNodeExecutionMetadata(node_id="n0")
    return [
        workflow_event(identifier, WORKFLOW.RUNNING, 1),
        node_event(identifier, "start-node", NODE.SUCCEEDED, 1),
        node_event(identifier, "n0", NODE.QUEUED, 1, input_data=literals(a=1)),
        node_event(identifier, "n0", NODE.RUNNING, 1),
        task_event(identifier, "n0", TASK.QUEUED, 1),
        task_event(identifier, "n0", TASK.RUNNING, 1),
        node_event(identifier, "n0-0-a", NODE.RUNNING, 1, parent_node_metadata=below),
        node_event(identifier, "n0-0-a", NODE.SUCCEEDED, 1, parent_node_metadata=below),
        task_event(identifier, "n0", TASK.SUCCEEDED, 1, output_data=literals(o0=2)),
        node_event(identifier, "n0", NODE.SUCCEEDED, 1, output_data=literals(o0=2)),
        node_event(identifier, "end-node", NODE.SUCCEEDED, 1),
        workflow_event(identifier, WORKFLOW.SUCCEEDED, 1, output_data=literals(o0=2)),
    ]


async def test_a_whole_history_in_one_call_and_again(admin: Admin) -> None:
    target = await admin.register()
    identifiers = [await admin.launch(target, f"e{number}") for number in range(20)]
    reported = [one for identifier in identifiers for one in history(identifier)]
    assert set(await record(admin, reported)) == {RECORDED}
    before = [await admin.get(identifier) for identifier in identifiers]
    assert {found.closure.phase for found in before} == {WORKFLOW.SUCCEEDED}
    assert set(await record(admin, reported)) == {ALREADY}
    assert [await admin.get(identifier) for identifier in identifiers] == before
    request = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=identifiers[7], limit=10)
    rows = (await admin.stub.ListNodeExecutions(request)).node_executions
    assert [row.id.node_id for row in rows] == ["start-node", "n0", "end-node"]
    data = await admin.stub.GetNodeExecutionData(
        node_execution_pb2.NodeExecutionGetDataRequest(id=node_id_of(identifiers[7], "n0"))
    )
    assert (data.full_inputs, data.full_outputs) == (literals(a=1), literals(o0=2))


async def test_a_repeated_tail_leaves_later_states_alone(admin: Admin) -> None:
    identifier = await admin.launch(await admin.register(), "x")
    reported = history(identifier)
    assert set(await record(admin, reported[:7])) == {RECORDED}
    assert await record(admin, reported[4:]) == [ALREADY] * 3 + [RECORDED] * 5
    found = await admin.get(identifier)
    assert found.closure.phase == WORKFLOW.SUCCEEDED


async def test_a_refused_event_does_not_stop_those_behind_it(admin: Admin) -> None:
    identifier = await admin.launch(await admin.register(), "x")
    outcomes = await record(
        admin,
        [
            workflow_event(execution_id("absent"), WORKFLOW.RUNNING, 1),
            node_event(identifier, "", NODE.RUNNING, 1),
            task_event(identifier, "n0", TASK.RUNNING, 1),
            workflow_event(identifier, WORKFLOW.SUCCEEDED, 1),
            workflow_event(identifier, WORKFLOW.FAILED, 2),
            node_event(identifier, "n0", NODE.RUNNING, 1),
        ],
    )
    assert outcomes == [REFUSED, REFUSED, REFUSED, RECORDED, REFUSED, RECORDED]
    response = await admin.batches.RecordEvents(admin_v1.RecordEventsRequest(events=[admin_v1.ExecutionEvent()]))
    assert response.outcomes[0].message == "missing event"


async def test_too_many_are_refused_as_a_whole(admin: Admin) -> None:
    request = admin_v1.RecordEventsRequest(events=[admin_v1.ExecutionEvent()] * 10_001)
    await refused(admin.batches.RecordEvents(request), grpc.StatusCode.RESOURCE_EXHAUSTED, "10000")
    assert await record(admin, []) == []


async def test_thousands_of_nodes_of_one_execution(admin: Admin) -> None:
    identifier = await admin.launch(await admin.register(), "wide")
    nodes = [f"n{number}" for number in range(3_000)]
    assert set(await record(admin, [node_event(identifier, name, NODE.RUNNING, 1) for name in nodes])) == {RECORDED}
    assert set(await record(admin, [node_event(identifier, name, NODE.SUCCEEDED, 3) for name in nodes])) == {RECORDED}
    request = node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=identifier, limit=3_000, filters="eq(phase,SUCCEEDED)"
    )
    rows = (await admin.stub.ListNodeExecutions(request)).node_executions
    assert [row.id.node_id for row in rows] == nodes
    assert {row.closure.duration.seconds for row in rows} == {2}


async def test_batches_and_single_events_at_once(admin: Admin) -> None:
    target = await admin.register()
    identifiers = [await admin.launch(target, f"e{number}") for number in range(10)]
    calls = [record(admin, history(identifier)) for identifier in identifiers]
    singles = [admin.report_node(identifier, "extra", NODE.RUNNING, 1) for identifier in identifiers]
    await asyncio.gather(*calls, *singles)
    for identifier in identifiers:
        request = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=identifier, limit=10)
        rows = (await admin.stub.ListNodeExecutions(request)).node_executions
        assert {row.id.node_id for row in rows} == {"start-node", "n0", "end-node", "extra"}
        assert (await admin.get(identifier)).closure.updated_at == moment(1)
    tasks = task_execution_pb2.TaskExecutionListRequest(node_execution_id=node_id_of(identifiers[0], "n0"), limit=5)
    assert len((await admin.stub.ListTaskExecutions(tasks)).task_executions) == 1
