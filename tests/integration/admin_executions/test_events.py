"""What engines report, one event at a time, read back over gRPC."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import httpx
from flyteidl.admin import event_pb2, execution_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import compiler_pb2, identifier_pb2, literals_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.event import event_pb2 as events
from flyteidl.service import dataproxy_pb2
from google.protobuf.struct_pb2 import Struct, Value

from tests.integration.admin_executions.harness import (
    NODE,
    TASK,
    WORKFLOW,
    Admin,
    execution_id,
    literals,
    moment,
    node_id_of,
    task_execution_id,
    workflow_event,
)
from tests.integration.admin_registry.harness import details_of, refused, task_id, workflow_id

EXISTS, INVALID, MISSING, PRECONDITION, EXHAUSTED = (
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


async def launched(admin: Admin, name: str = "x") -> identifier_pb2.WorkflowExecutionIdentifier:
    return await admin.launch(await admin.register(), name)


def reason_of(error: grpc.aio.AioRpcError) -> event_pb2.EventFailureReason:
    (detail,) = details_of(error)
    assert detail.type_url == "type.googleapis.com/flyteidl.admin.EventFailureReason"
    return event_pb2.EventFailureReason.FromString(detail.value)


async def get_node(admin: Admin, identifier: object, node_id: str) -> node_execution_pb2.NodeExecution:
    request = node_execution_pb2.NodeExecutionGetRequest(id=node_id_of(identifier, node_id))
    return await admin.stub.GetNodeExecution(request)


async def get_task(
    admin: Admin, identifier: object, node_id: str, attempt: int = 0
) -> task_execution_pb2.TaskExecution:
    request = task_execution_pb2.TaskExecutionGetRequest(id=task_execution_id(identifier, node_id, attempt))
    return await admin.stub.GetTaskExecution(request)


# Workflow executions


async def test_running_sets_start_and_update(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report(identifier, WORKFLOW.RUNNING, 10)
    closure = (await admin.get(identifier)).closure
    assert closure.phase == WORKFLOW.RUNNING
    assert closure.started_at == closure.updated_at == moment(10)


async def test_success_sets_duration_and_outputs_and_keeps_the_start(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report(identifier, WORKFLOW.RUNNING, 10)
    await admin.report(identifier, WORKFLOW.SUCCEEDED, 25, output_uri="s3://bucket/outputs.pb")
    closure = (await admin.get(identifier)).closure
    assert closure.phase == WORKFLOW.SUCCEEDED
    assert closure.started_at == moment(10)
    assert closure.updated_at == moment(25)
    assert closure.duration.seconds == 15
    assert closure.outputs.uri == "s3://bucket/outputs.pb"


async def test_success_may_come_at_once(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report(identifier, WORKFLOW.SUCCEEDED, 5)
    closure = (await admin.get(identifier)).closure
    assert closure.phase == WORKFLOW.SUCCEEDED
    assert not closure.HasField("duration")


async def test_nothing_follows_a_terminal_phase(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report(identifier, WORKFLOW.SUCCEEDED, 5)
    for phase in (WORKFLOW.RUNNING, WORKFLOW.FAILED):
        error = await refused(admin.report(identifier, phase, 9), PRECONDITION)
        assert reason_of(error).already_in_terminal_state.current_phase == "SUCCEEDED"
    await refused(admin.report(identifier, WORKFLOW.SUCCEEDED, 9), EXISTS, "already recorded")
    closure = (await admin.get(identifier)).closure
    assert closure.phase == WORKFLOW.SUCCEEDED
    assert closure.updated_at == moment(5)


async def test_queued_does_not_follow_running_and_nothing_but_an_end_follows_aborting(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report(identifier, WORKFLOW.RUNNING, 1)
    await refused(admin.report(identifier, WORKFLOW.QUEUED, 2), PRECONDITION)
    await admin.stub.TerminateExecution(execution_pb2.ExecutionTerminateRequest(id=identifier, cause="enough"))
    error = await refused(admin.report(identifier, WORKFLOW.RUNNING, 3), PRECONDITION, "ABORTING")
    assert details_of(error) == []
    await admin.report(identifier, WORKFLOW.ABORTED, 4)
    closure = (await admin.get(identifier)).closure
    assert closure.phase == WORKFLOW.ABORTED
    assert closure.abort_metadata.cause == "enough"


async def test_events_of_another_cluster_are_refused(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report(identifier, WORKFLOW.QUEUED, 1, producer_id="cluster-1")
    assert (await admin.get(identifier)).spec.metadata.system_metadata.execution_cluster == "cluster-1"
    error = await refused(admin.report(identifier, WORKFLOW.RUNNING, 2, producer_id="cluster-2"), PRECONDITION)
    assert reason_of(error).incompatible_cluster.cluster == "cluster-2"
    await refused(admin.report_node(identifier, "n0", NODE.RUNNING, 2, producer_id="cluster-2"), PRECONDITION)
    await admin.report(identifier, WORKFLOW.RUNNING, 2, producer_id="propeller")
    await admin.report_node(identifier, "n0", NODE.RUNNING, 2, producer_id="cluster-1")


async def test_incomplete_events_are_refused(admin: Admin) -> None:
    call = admin.stub.CreateWorkflowEvent
    await refused(call(event_pb2.WorkflowExecutionEventRequest()), INVALID, "missing event")
    unnamed = events.WorkflowExecutionEvent(phase=WORKFLOW.RUNNING)
    await refused(call(event_pb2.WorkflowExecutionEventRequest(event=unnamed)), INVALID, "missing execution_id")
    await refused(admin.report(execution_id("absent"), WORKFLOW.RUNNING), MISSING, "execution", "absent")
    identifier = await launched(admin)
    await refused(admin.report_node(identifier, "", NODE.RUNNING), INVALID, "missing node_id")
    await refused(admin.report_node(identifier, "a\0b", NODE.RUNNING), INVALID, "node_id")
    await refused(admin.report_task(identifier, "n0", TASK.RUNNING), MISSING, "node execution")
    untimed = events.TaskExecutionEvent(
        task_id=task_id(), parent_node_execution_id=node_id_of(identifier, "n0"), phase=TASK.RUNNING
    )
    request = event_pb2.TaskExecutionEventRequest(event=untimed)
    await refused(admin.stub.CreateTaskEvent(request), INVALID, "missing occurred_at")
    running = events.WorkflowExecutionEvent(execution_id=identifier, phase=WORKFLOW.RUNNING)
    await refused(call(event_pb2.WorkflowExecutionEventRequest(event=running)), INVALID, "missing occurred_at")
    queued = events.NodeExecutionEvent(id=node_id_of(identifier, "n0"), phase=NODE.QUEUED)
    request = event_pb2.NodeExecutionEventRequest(event=queued)
    await refused(admin.stub.CreateNodeEvent(request), INVALID, "missing occurred_at")


async def test_what_could_not_be_shown_is_refused(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING)
    never = {"seconds": 10**17}
    error = core_execution.ExecutionError(message="m", timestamp=never)
    await refused(admin.report(identifier, WORKFLOW.FAILED, error=error), INVALID, "error.timestamp")
    await refused(admin.report_node(identifier, "n0", NODE.FAILED, error=error), INVALID, "error.timestamp")
    await refused(admin.report_task(identifier, "n0", TASK.FAILED, error=error), INVALID, "error.timestamp")
    reason = events.EventReason(reason="why", occurred_at=never)
    await refused(admin.report_task(identifier, "n0", TASK.RUNNING, reasons=[reason]), INVALID, "reasons[0]")
    info = Struct(fields={"loss": Value(number_value=float("nan"))})
    await refused(admin.report_task(identifier, "n0", TASK.RUNNING, custom_info=info), INVALID, "custom_info", "loss")


async def test_outputs_given_inline_are_read_back_and_not_in_the_closure(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report(identifier, WORKFLOW.SUCCEEDED, 1, output_data=literals(o0=5))
    closure = (await admin.get(identifier)).closure
    assert closure.WhichOneof("output_result") == "outputs"
    assert closure.outputs.WhichOneof("data") == "uri"
    data = await admin.stub.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=identifier))
    assert data.full_outputs == literals(o0=5)
    assert data.full_inputs == literals(a=1)
    assert data.outputs.url == ""


def large_literals(size: int) -> literals_pb2.LiteralMap:
    primitive = literals_pb2.Primitive(string_value="x" * size)
    return literals_pb2.LiteralMap(
        literals={"o0": literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive))}
    )


async def test_large_outputs_go_to_a_file_and_too_large_ones_are_refused(admin: Admin) -> None:
    identifier = await launched(admin)
    too_large = large_literals(2 * 1024 * 1024)
    await refused(admin.report(identifier, WORKFLOW.SUCCEEDED, 1, output_data=too_large), EXHAUSTED)
    large = large_literals(100_000)
    await admin.report(identifier, WORKFLOW.SUCCEEDED, 1, output_data=large)
    assert "offloaded_outputs" in (await admin.get(identifier)).closure.outputs.uri
    data = await admin.stub.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=identifier))
    assert data.full_outputs == large
    await admin.report_node(identifier, "n0", NODE.SUCCEEDED, 1, input_data=large, output_data=large)
    request = node_execution_pb2.NodeExecutionGetDataRequest(id=node_id_of(identifier, "n0"))
    found = await admin.stub.GetNodeExecutionData(request)
    assert found.full_inputs == found.full_outputs == large


async def read(url: str) -> httpx.Response:
    async with httpx.AsyncClient(follow_redirects=True, timeout=60) as client:
        return await client.get(url)


async def test_what_is_too_large_for_an_answer_is_told_as_an_address(admin: Admin, tmp_path: Path) -> None:
    """As clients read it: what is empty and has bytes is downloaded."""
    huge = large_literals(3 * 1024 * 1024)
    file = tmp_path / "blobs" / "outputs.pb"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(huge.SerializeToString())
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1)
    await admin.report_task(identifier, "n0", TASK.SUCCEEDED, 1, output_uri=f"file://{file}")
    await admin.report_node(identifier, "n0", NODE.SUCCEEDED, 2, output_uri=f"file://{file}")
    await admin.report(identifier, WORKFLOW.SUCCEEDED, 3, output_uri=f"file://{file}")
    whole = await admin.stub.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=identifier))
    request = node_execution_pb2.NodeExecutionGetDataRequest(id=node_id_of(identifier, "n0"))
    of_node = await admin.stub.GetNodeExecutionData(request)
    attempt = task_execution_pb2.TaskExecutionGetDataRequest(id=task_execution_id(identifier, "n0"))
    of_task = await admin.stub.GetTaskExecutionData(attempt)
    for data in (whole, of_node, of_task):
        assert data.full_outputs == literals_pb2.LiteralMap()
        assert data.outputs.bytes == file.stat().st_size
        assert not set("?*[") & set(data.outputs.url), "flytekit takes them for a pattern"
        assert literals_pb2.LiteralMap.FromString((await read(data.outputs.url)).content) == huge
        assert not data.inputs.url
    url = "flyte://v1/flytesnacks/development/x/n0/o/o0"
    await refused(admin.data.GetData(dataproxy_pb2.GetDataRequest(flyte_url=url)), EXHAUSTED, url, "download")
    assert (await read(whole.outputs.url.replace("outputs.pb", "other.pb"))).status_code == 403
    assert (await read(whole.outputs.url.replace("/~1", "/~2"))).status_code == 403
    secret = tmp_path / "secret"
    secret.write_text("nobody's business")
    file.unlink()
    file.symlink_to(secret)
    assert (await read(whole.outputs.url)).status_code == 404


async def test_what_is_too_large_and_lies_elsewhere_is_not_called_absent(admin: Admin, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.pb"
    file.write_bytes(large_literals(3 * 1024 * 1024).SerializeToString())
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.SUCCEEDED, 1, output_uri=f"file://{file}")
    request = node_execution_pb2.NodeExecutionGetDataRequest(id=node_id_of(identifier, "n0"))
    assert not (await admin.stub.GetNodeExecutionData(request)).outputs.ByteSize()
    url = "flyte://v1/flytesnacks/development/x/n0/o/o0"
    told = f"{url} has {file.stat().st_size} bytes, which is too much for an answer: it is the file file://{file}"
    await refused(admin.data.GetData(dataproxy_pb2.GetDataRequest(flyte_url=url)), EXHAUSTED, told)


async def test_unreadable_outputs_are_answered_empty(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report(identifier, WORKFLOW.SUCCEEDED, 1, output_uri="file:///nowhere/outputs.pb")
    data = await admin.stub.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=identifier))
    assert data.full_outputs == literals_pb2.LiteralMap()


async def test_an_error_is_kept_whole_and_can_be_filtered_by(admin: Admin) -> None:
    identifier = await launched(admin)
    error = core_execution.ExecutionError(code="E1", message="m" * 300, kind=core_execution.ExecutionError.USER)
    await admin.report(identifier, WORKFLOW.FAILED, 1, error=error)
    assert (await admin.get(identifier)).closure.error == error


# Node executions


async def test_the_first_event_creates_and_later_ones_change_only_their_node(admin: Admin) -> None:
    identifier = await launched(admin)
    for node_id in ("n0", "n1"):
        await admin.report_node(identifier, node_id, NODE.QUEUED, 1, input_uri=f"s3://b/{node_id}/in")
    await admin.report_node(identifier, "n0", NODE.RUNNING, 5)
    await admin.report_node(identifier, "n0", NODE.SUCCEEDED, 9, output_uri="s3://b/out", deck_uri="s3://b/deck")
    first, second = await get_node(admin, identifier, "n0"), await get_node(admin, identifier, "n1")
    assert first.closure.created_at == moment(1)
    assert first.closure.started_at == moment(5)
    assert first.closure.updated_at == moment(9)
    assert first.closure.duration.seconds == 4
    assert first.closure.output_uri == "s3://b/out"
    assert first.closure.deck_uri == "s3://b/deck"
    assert first.input_uri == "s3://b/n0/in"
    assert first.metadata.spec_node_id == "n0"
    assert second.closure.phase == NODE.QUEUED
    assert second.closure.updated_at == moment(1)


async def test_a_terminal_node_stays_and_the_error_names_its_phase(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.SUCCEEDED, 1)
    await refused(admin.report_node(identifier, "n0", NODE.SUCCEEDED, 2), EXISTS)
    error = await refused(admin.report_node(identifier, "n0", NODE.RUNNING, 2), PRECONDITION)
    assert reason_of(error).already_in_terminal_state.current_phase == "SUCCEEDED"
    found = await get_node(admin, identifier, "n0")
    assert not found.closure.HasField("started_at")
    assert not found.closure.HasField("duration")


async def test_a_terminal_event_without_a_deck_keeps_the_deck(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1, deck_uri="s3://b/deck")
    await admin.report_node(identifier, "n0", NODE.SUCCEEDED, 2)
    assert (await get_node(admin, identifier, "n0")).closure.deck_uri == "s3://b/deck"


async def test_flags_stick_and_times_follow_the_report(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1, is_parent=True, reported_at=moment(3))
    await admin.report_node(identifier, "n0", NODE.DYNAMIC_RUNNING, 2, is_dynamic=True, reported_at=moment(7))
    await admin.report_node(identifier, "n0", NODE.SUCCEEDED, 4, is_array=True)
    found = await get_node(admin, identifier, "n0")
    assert (found.metadata.is_parent_node, found.metadata.is_dynamic, found.metadata.is_array) == (True, True, True)
    assert found.closure.updated_at == moment(4)
    assert found.closure.duration.seconds == 3


async def test_cache_status_and_child_execution_are_kept(admin: Admin) -> None:
    identifier = await launched(admin)
    child = await admin.launch((await admin.get(identifier)).spec.launch_plan, "child")
    metadata = events.TaskNodeMetadata(cache_status=1, checkpoint_uri="s3://b/c")
    metadata.catalog_key.dataset_id.name = "d"
    await admin.report_node(identifier, "n0", NODE.SUCCEEDED, 1, task_node_metadata=metadata)
    kept = (await get_node(admin, identifier, "n0")).closure.task_node_metadata
    assert (kept.cache_status, kept.catalog_key.dataset_id.name, kept.checkpoint_uri) == (1, "d", "s3://b/c")
    await admin.report_node(identifier, "n1", NODE.QUEUED, 1)
    absent = events.WorkflowNodeMetadata(execution_id=execution_id("absent"))
    await refused(
        admin.report_node(identifier, "n1", NODE.RUNNING, 2, workflow_node_metadata=absent), MISSING, "absent"
    )
    present = events.WorkflowNodeMetadata(execution_id=child)
    await admin.report_node(identifier, "n1", NODE.RUNNING, 2, workflow_node_metadata=present)
    kept_child = (await get_node(admin, identifier, "n1")).closure.workflow_node_metadata
    assert kept_child.executionId == child


async def test_parents_must_exist_and_make_older_engines_nodes_parents(admin: Admin) -> None:
    identifier = await launched(admin)
    below = events.ParentNodeExecutionMetadata(node_id="n0")
    await refused(
        admin.report_node(identifier, "n0-0-a", NODE.QUEUED, 1, parent_node_metadata=below), MISSING, "node execution"
    )
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1, event_version=0)
    assert (await get_node(admin, identifier, "n0")).metadata.is_parent_node is False
    await admin.report_node(identifier, "n0-0-a", NODE.QUEUED, 1, parent_node_metadata=below)
    assert (await get_node(admin, identifier, "n0")).metadata.is_parent_node is True


async def test_lists_show_the_top_level_or_what_is_below(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1)
    await admin.report_task(identifier, "n0", TASK.RUNNING, 1)
    below = events.ParentNodeExecutionMetadata(node_id="n0")
    await admin.report_node(identifier, "n0-0-a", NODE.RUNNING, 2, parent_node_metadata=below)
    of_task = events.ParentTaskExecutionMetadata(id=task_execution_id(identifier, "n0"))
    await admin.report_node(identifier, "n0-t", NODE.RUNNING, 3, parent_task_metadata=of_task)

    async def listed(**fields: object) -> list[str]:
        request = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=identifier, limit=10, **fields)
        return [node.id.node_id for node in (await admin.stub.ListNodeExecutions(request)).node_executions]

    assert await listed() == ["n0"]
    assert await listed(unique_parent_id="n0") == ["n0-0-a"]
    await refused(listed(unique_parent_id="absent"), MISSING)
    request = node_execution_pb2.NodeExecutionForTaskListRequest(
        task_execution_id=task_execution_id(identifier, "n0"), limit=10
    )
    found = await admin.stub.ListNodeExecutionsForTask(request)
    assert [node.id.node_id for node in found.node_executions] == ["n0-t"]
    assert (await get_task(admin, identifier, "n0")).is_parent is True
    of_task.id.retry_attempt = 5
    await refused(admin.report_node(identifier, "n9", NODE.RUNNING, 3, parent_task_metadata=of_task), MISSING)


async def test_a_dynamic_workflow_can_be_read_back(admin: Admin) -> None:
    identifier = await launched(admin)
    closure = compiler_pb2.CompiledWorkflowClosure()
    closure.primary.template.id.CopyFrom(workflow_id("dynamic"))
    dynamic = events.DynamicWorkflowNodeMetadata(
        id=workflow_id("dynamic"), compiled_workflow=closure, dynamic_job_spec_uri="s3://b/spec"
    )
    metadata = events.TaskNodeMetadata(dynamic_workflow=dynamic)
    await admin.report_node(identifier, "n 0", NODE.RUNNING, 1)
    read = node_execution_pb2.GetDynamicNodeWorkflowRequest(id=node_id_of(identifier, "n 0"))
    await refused(admin.stub.GetDynamicNodeWorkflow(read), MISSING, "node does not contain dynamic workflow")
    await admin.report_node(identifier, "n 0", NODE.DYNAMIC_RUNNING, 2, task_node_metadata=metadata, is_dynamic=True)
    assert (await admin.stub.GetDynamicNodeWorkflow(read)).compiled_workflow == closure
    data = await admin.stub.GetNodeExecutionData(node_execution_pb2.NodeExecutionGetDataRequest(id=read.id))
    assert data.dynamic_workflow.id == workflow_id("dynamic")
    assert data.dynamic_workflow.compiled_workflow == closure
    assert data.dynamic_workflow.dynamic_job_spec_uri == "s3://b/spec"
    await admin.report_node(identifier, "plain", NODE.RUNNING, 1)
    plain = node_execution_pb2.NodeExecutionGetDataRequest(id=node_id_of(identifier, "plain"))
    assert not (await admin.stub.GetNodeExecutionData(plain)).HasField("dynamic_workflow")


# Task executions


async def test_attempts_are_rows_of_their_own(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1)
    await admin.report_task(identifier, "n0", TASK.RUNNING, 1, task_type="python-task")
    await admin.report_task(identifier, "n0", TASK.FAILED, 4)
    await admin.report_task(identifier, "n0", TASK.RUNNING, 5, retry_attempt=1)
    await admin.report_task(identifier, "n0", TASK.SUCCEEDED, 7, retry_attempt=1, output_data=literals(o0=1))
    request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=node_id_of(identifier, "n0"), limit=10)
    rows = (await admin.stub.ListTaskExecutions(request)).task_executions
    assert [(row.id.retry_attempt, row.closure.phase, row.closure.duration.seconds) for row in rows] == [
        (0, TASK.FAILED, 3),
        (1, TASK.SUCCEEDED, 2),
    ]
    assert rows[0].closure.task_type == "python-task"
    assert rows[1].closure.WhichOneof("output_result") is None
    data = await admin.stub.GetTaskExecutionData(
        task_execution_pb2.TaskExecutionGetDataRequest(id=task_execution_id(identifier, "n0", 1))
    )
    assert data.full_outputs == literals(o0=1)
    assert (data.inputs.url, data.outputs.url) == ("", "")
    assert data.flyte_urls.outputs == "flyte://v1/flytesnacks/development/x/n0/1/o"
    absent = task_execution_pb2.TaskExecutionGetRequest(id=task_execution_id(identifier, "n0", 2))
    await refused(admin.stub.GetTaskExecution(absent), MISSING, "task execution")


async def test_a_higher_version_updates_and_the_same_is_refused(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1)

    def info(**fields: str) -> Struct:
        made = Struct()
        made.update(fields)
        return made

    first = core_execution.TaskLog(uri="a", name="first")
    await admin.report_task(identifier, "n0", TASK.RUNNING, 1, phase_version=0, custom_info=info(a="1"), logs=[first])
    second = core_execution.TaskLog(uri="b", name="second")
    await admin.report_task(
        identifier, "n0", TASK.RUNNING, 2, phase_version=1, custom_info=info(b="2"), logs=[second], reason="waiting"
    )
    await refused(admin.report_task(identifier, "n0", TASK.RUNNING, 3, phase_version=1), EXISTS)
    closure = (await get_task(admin, identifier, "n0")).closure
    assert dict(closure.custom_info) == {"a": "1", "b": "2"}
    assert [log.name for log in closure.logs] == ["second", "first"]
    assert closure.reason == "waiting"
    assert [reason.message for reason in closure.reasons] == ["waiting"]


async def test_a_version_of_zero_counts_after_a_change_of_phase(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1)
    await admin.report_task(identifier, "n0", TASK.RUNNING, 1, phase_version=3)
    await admin.report_task(identifier, "n0", TASK.INITIALIZING, 2, phase_version=0)
    await admin.report_task(identifier, "n0", TASK.INITIALIZING, 3, phase_version=1)
    assert (await get_task(admin, identifier, "n0")).closure.updated_at == moment(3)


async def test_logs_are_shown_when_they_are_of_use(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1)
    early = core_execution.TaskLog(uri="e", name="early", ShowWhilePending=True)
    live = core_execution.TaskLog(uri="l", name="live", HideOnceFinished=True)
    kept = core_execution.TaskLog(uri="k", name="kept")

    async def names() -> list[str]:
        return [log.name for log in (await get_task(admin, identifier, "n0")).closure.logs]

    await admin.report_task(identifier, "n0", TASK.QUEUED, 1, logs=[early, live, kept])
    assert await names() == ["early", "live", "kept"]
    await admin.report_task(identifier, "n0", TASK.INITIALIZING, 2)
    assert await names() == ["early"]
    await admin.report_task(identifier, "n0", TASK.RUNNING, 3, logs=[live, kept])
    assert await names() == ["live", "kept", "early"]
    await admin.report_task(identifier, "n0", TASK.SUCCEEDED, 4)
    assert await names() == ["kept", "early"]


async def test_a_terminal_attempt_stays(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1)
    await admin.report_task(identifier, "n0", TASK.RETRYABLE_FAILED, 1)
    await admin.report_task(identifier, "n0", TASK.FAILED, 2)
    error = await refused(admin.report_task(identifier, "n0", TASK.RUNNING, 3), PRECONDITION)
    assert reason_of(error).already_in_terminal_state.current_phase == "FAILED"


async def test_external_resources_are_merged_by_index_and_attempt(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1)

    def metadata(*resources: tuple[int, int, int]) -> events.TaskExecutionMetadata:
        made = events.TaskExecutionMetadata(generated_name="g")
        for index, attempt, phase in resources:
            made.external_resources.add(index=index, retry_attempt=attempt, phase=phase, external_id=f"id{index}")
        return made

    await admin.report_task(identifier, "n0", TASK.RUNNING, 1, metadata=metadata((2, 0, 2), (0, 0, 2)))
    await admin.report_task(identifier, "n0", TASK.RUNNING, 2, phase_version=1, metadata=metadata((1, 0, 2), (0, 0, 3)))
    found = (await get_task(admin, identifier, "n0")).closure.metadata
    assert [(item.index, item.phase) for item in found.external_resources] == [(0, 3), (1, 2), (2, 2)]


async def test_two_at_once_for_one_entity_lose_nothing(admin: Admin) -> None:
    identifier = await launched(admin)
    await admin.report_node(identifier, "n0", NODE.RUNNING, 1)
    await admin.report_task(identifier, "n0", TASK.RUNNING, 0)

    def resource(index: int) -> events.TaskExecutionMetadata:
        made = events.TaskExecutionMetadata()
        made.external_resources.add(index=index, phase=TASK.RUNNING)
        return made

    async def report(index: int) -> bool:
        try:
            await admin.report_task(
                identifier, "n0", TASK.RUNNING, index, phase_version=index, metadata=resource(index)
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not EXISTS:
                raise
            return False
        return True

    accepted = await asyncio.gather(*(report(index) for index in range(1, 41)))
    assert any(accepted)
    found = (await get_task(admin, identifier, "n0")).closure.metadata
    expected = [index for index, taken in enumerate(accepted, start=1) if taken]
    assert [item.index for item in found.external_resources] == expected


async def test_the_same_terminal_event_from_many_is_accepted_once(admin: Admin) -> None:
    identifier = await launched(admin)
    request = event_pb2.WorkflowExecutionEventRequest(event=workflow_event(identifier, WORKFLOW.SUCCEEDED, 1))
    calls = [admin.stub.CreateWorkflowEvent(request) for _ in range(20)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
