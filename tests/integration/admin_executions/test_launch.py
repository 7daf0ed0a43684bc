"""Creating executions over gRPC with the official stubs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_idl.admin import v1 as admin_v1
from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2, project_pb2
from flyteidl.core import identifier_pb2, literals_pb2, security_pb2
from google.protobuf.wrappers_pb2 import BoolValue

from tests.integration.admin_executions.harness import (
    NODE,
    WORKFLOW,
    Admin,
    delivered,
    execution_id,
    execution_request,
    listing,
    literals,
    node_id_of,
    serving,
)
from tests.integration.admin_registry.harness import (
    STRING,
    defaults,
    details_of,
    fixed,
    plan_id,
    refused,
    task,
    task_id,
)

EXISTS, INVALID, MISSING = (
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
)


async def test_a_launch_is_stored_and_handed_to_the_engine(admin: Admin) -> None:
    target = await admin.register()
    identifier = await admin.launch(target, "first")
    assert identifier == execution_id("first")
    found = await admin.get(identifier)
    assert found.spec.launch_plan == target
    assert found.spec.metadata.principal == ""
    assert found.spec.metadata.system_metadata.namespace == "flytesnacks-development"
    assert found.spec.HasField("security_context")
    assert found.spec.security_context.HasField("run_as")
    assert found.spec.max_parallelism == 25
    assert found.closure.phase == WORKFLOW.UNDEFINED
    assert found.closure.created_at == found.closure.updated_at
    assert found.closure.state_change_details.state == execution_pb2.EXECUTION_ACTIVE
    assert not found.closure.HasField("started_at")
    assert found.closure.workflow_id.name == "w"
    request = await delivered(admin, "first")
    assert request.inputs.literals["a"].scalar.primitive.integer == 1
    assert request.options.max_parallelism == 25
    assert request.options.launch_plan_id.name == "w"
    assert not request.options.HasField("interruptible")
    assert len(request.closure_digest) == 32
    assert admin.engine.closures[request.closure_digest].primary.template.id.name == "w"
    assert request.accepted_at == admin_v1.Execution.FromString(found.SerializeToString()).closure.created_at


async def test_names_are_generated_without_a_hyphen(admin: Admin) -> None:
    target = await admin.register()
    names = {(await admin.launch(target)).name for _ in range(20)}
    assert len(names) == 20
    assert all(re.fullmatch(r"a[bcdfghjklmnpqrstvwxz2456789]{19}", name) for name in names)


async def test_deprecated_inputs_in_the_spec_are_used(admin: Admin) -> None:
    target = await admin.register()
    request = execution_request(target, "old", literals_pb2.LiteralMap())
    request.spec.inputs.CopyFrom(literals(a=7))
    await admin.stub.CreateExecution(request)
    sent = await delivered(admin, "old")
    assert sent.inputs.literals["a"].scalar.primitive.integer == 7
    found = await admin.get(execution_id("old"))
    assert not found.spec.HasField("inputs")


@pytest.mark.parametrize("name", ["Upper", "1st", "a_b", "a.b", "a" * 64, "-a"])
async def test_names_that_break_the_rule_are_refused(admin: Admin, name: str) -> None:
    target = await admin.register()
    await refused(admin.launch(target, name), INVALID, "name", name[:60])


async def test_each_rule_has_its_error_and_nothing_is_stored(admin: Admin) -> None:
    target = await admin.register()
    call = admin.stub.CreateExecution

    def request(**fields: object) -> execution_pb2.ExecutionCreateRequest:
        made = execution_request(target, "x")
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    await refused(call(request(project="")), INVALID, "missing project")
    await refused(call(request(domain="")), INVALID, "missing domain")
    await refused(call(request(project="nobody")), INVALID, "nobody")
    await refused(call(request(domain="nowhere")), INVALID, "domain [nowhere] is unrecognized by system")
    without = request()
    without.ClearField("spec")
    await refused(call(without), INVALID, "missing spec")
    wrong = identifier_pb2.Identifier(resource_type=identifier_pb2.WORKFLOW, project="p", domain="d", name="n")
    await refused(admin.launch(wrong, "x"), INVALID, "Invalid reference entity resource type [WORKFLOW]")
    await refused(admin.launch(plan_id("w", ""), "x"), INVALID, "missing version")
    await refused(admin.launch(plan_id("absent"), "x"), MISSING, "LAUNCH_PLAN", "absent")
    await refused(admin.launch(task_id("absent"), "x"), MISSING, "TASK", "absent")
    await refused(admin.launch(target, "x", literals(b=1)), INVALID, "invalid input b")
    await refused(admin.launch(target, "x", literals_pb2.LiteralMap()), INVALID, "expected_inputs a missing")
    text = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="t")))
    typed = literals_pb2.LiteralMap(literals={"a": text})
    await refused(admin.launch(target, "x", typed), INVALID, "invalid a input wrong type")
    empty = literals_pb2.LiteralMap(literals={"a": literals_pb2.Literal()})
    await refused(admin.launch(target, "x", empty), INVALID, "inputs[a]")
    bad_label = common_pb2.Labels(values={"a b": "c"})
    await refused(admin.launch(target, "x", labels=bad_label), INVALID, "a b")
    notification = common_pb2.Notification(phases=[WORKFLOW.RUNNING])
    notification.email.recipients_email.append("someone@example.com")
    given = execution_pb2.NotificationList(notifications=[notification])
    await refused(admin.launch(target, "x", notifications=given), INVALID, "phase")
    label = {"execution_cluster_label": {"value": "gpu"}}
    await refused(admin.launch(target, "x", **label), INVALID, "execution_cluster_label", "gpu")
    never = execution_pb2.ExecutionMetadata(scheduled_at={"seconds": 10**17})
    await refused(admin.launch(target, "x", metadata=never), INVALID, "spec.metadata.scheduled_at")
    await refused(admin.launch(target, "x", max_parallelism=-1), INVALID, "max_parallelism", "'-1'")
    for key, value, words in (("", "v", "missing envs[0].key"), ("A=B", "v", "'A=B'"), ("A", "\0", "envs[0].value")):
        envs = common_pb2.Envs(values=[literals_pb2.KeyValuePair(key=key, value=value)])
        await refused(admin.launch(target, "x", envs=envs), INVALID, words)
    await refused(admin.get(execution_id("x")), MISSING, "execution")
    assert (await admin.stub.ListExecutions(listing())).executions == []


async def test_a_name_that_is_taken_leaves_the_execution_and_its_inputs_alone(admin: Admin) -> None:
    target = await admin.register()
    await admin.launch(target, "once", literals(a=1))
    await refused(admin.launch(target, "once", literals(a=2)), EXISTS, "once")
    data = await admin.stub.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=execution_id("once")))
    assert data.full_inputs == literals(a=1)
    assert len((await admin.stub.ListExecutions(listing())).executions) == 1


async def test_of_many_with_one_name_one_wins(admin: Admin) -> None:
    target = await admin.register()
    calls = [admin.launch(target, f"race{number % 3}", literals(a=number)) for number in range(30)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert len(errors) == 27
    assert {error.code() for error in errors} == {EXISTS}
    assert len((await admin.stub.ListExecutions(listing())).executions) == 3


async def test_large_inputs_are_kept_in_a_file_and_never_overwritten(admin: Admin, tmp_path: Path) -> None:
    await admin.stub.CreateTask(task("big", inputs={"a": STRING}))
    target = task_id("big")

    def inputs(letter: str) -> literals_pb2.LiteralMap:
        primitive = literals_pb2.Primitive(string_value=letter * 200_000)
        return literals_pb2.LiteralMap(
            literals={"a": literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive))}
        )

    identifier = await admin.launch(target, "large", inputs("x"))
    sent = await delivered(admin, "large")
    assert sent.inputs.literals["a"].scalar.primitive.string_value == "x" * 200_000
    await refused(admin.launch(target, "large", inputs("y")), EXISTS)
    data = await admin.stub.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=identifier))
    assert data.full_inputs == inputs("x")
    files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert len(files) == 1
    assert "inputs" in str(files[0])


async def test_defaults_and_fixed_inputs_are_merged_and_user_inputs_kept(admin: Admin) -> None:
    await admin.register("d", default_inputs=defaults(a=5))
    await admin.register("f", fixed_inputs=fixed(a=6))
    await admin.launch(plan_id("d"), "with-default", literals_pb2.LiteralMap())
    await admin.launch(plan_id("f"), "with-fixed", literals_pb2.LiteralMap())
    assert (await delivered(admin, "with-default")).inputs.literals["a"].scalar.primitive.integer == 5
    assert (await delivered(admin, "with-fixed")).inputs.literals["a"].scalar.primitive.integer == 6
    await refused(admin.launch(plan_id("f"), "overriding"), INVALID, "invalid input a")
    again = await admin.stub.RelaunchExecution(
        execution_pb2.ExecutionRelaunchRequest(id=execution_id("with-fixed"), name="once-more")
    )
    assert (await delivered(admin, again.id.name)).inputs.literals["a"].scalar.primitive.integer == 6


async def test_a_single_task_is_launched_through_a_generated_workflow(admin: Admin) -> None:
    await admin.register()
    identifier = await admin.launch(task_id("t"), "single")
    found = await admin.get(identifier)
    assert found.spec.launch_plan.resource_type == identifier_pb2.TASK
    assert found.closure.workflow_id.name == ".flytegen.t"
    sent = await delivered(admin, "single")
    assert not sent.options.HasField("launch_plan_id")
    workflow = await admin.stub.GetWorkflow(common_pb2.ObjectGetRequest(id=found.closure.workflow_id))
    assert workflow.id == found.closure.workflow_id


async def test_settings_come_from_request_then_launch_plan_then_service(database_url: str, tmp_path: Path) -> None:
    flags: dict[str, Any] = {
        "executions": {"labels": {"from": "service"}, "environment": {"E": "service"}, "max_parallelism": 3}
    }
    async with serving(database_url, tmp_path, **flags) as admin:
        envs = common_pb2.Envs(values=[literals_pb2.KeyValuePair(key="E", value="plan")])
        target = await admin.register(
            "c", envs=envs, max_parallelism=9, interruptible=BoolValue(value=True), overwrite_cache=True
        )
        await admin.launch(target, "plain")
        plain = (await delivered(admin, "plain")).options
        assert (plain.max_parallelism, dict(plain.environment), dict(plain.labels)) == (
            9,
            {"E": "plan"},
            {"from": "service"},
        )
        assert plain.interruptible.value is True
        assert plain.overwrite_cache is True
        await admin.launch(
            target,
            "explicit",
            max_parallelism=4,
            interruptible=BoolValue(value=False),
            labels=common_pb2.Labels(values={"mine": "1"}),
            annotations=common_pb2.Annotations(values={"note": "x"}),
            raw_output_data_config=common_pb2.RawOutputDataConfig(output_location_prefix="s3://bucket/raw"),
            security_context=security_pb2.SecurityContext(run_as=security_pb2.Identity(k8s_service_account="me")),
        )
        sent = (await delivered(admin, "explicit")).options
        assert sent.max_parallelism == 4
        assert sent.HasField("interruptible")
        assert sent.interruptible.value is False
        assert dict(sent.labels) == {"mine": "1"}
        assert dict(sent.annotations) == {"note": "x"}
        assert sent.raw_output_prefix == "s3://bucket/raw"
        assert sent.security_context.run_as.k8s_service_account == "me"
        stored = await admin.get(execution_id("explicit"))
        assert stored.spec.max_parallelism == 4
        assert dict(stored.spec.labels.values) == {"mine": "1"}


async def test_project_labels_are_added_without_leaking(admin: Admin) -> None:
    target = await admin.register()
    project = project_pb2.Project(id="flytesnacks", labels=common_pb2.Labels(values={"team": "a", "mine": "project"}))
    await admin.stub.UpdateProject(project)
    await admin.launch(target, "labelled", labels=common_pb2.Labels(values={"mine": "user"}))
    assert dict((await delivered(admin, "labelled")).options.labels) == {"team": "a", "mine": "user"}
    assert dict((await admin.get(execution_id("labelled"))).spec.labels.values) == {"mine": "user"}
    await admin.stub.UpdateProject(project_pb2.Project(id="flytesnacks", labels=common_pb2.Labels()))
    await admin.launch(target, "unlabelled")
    assert dict((await delivered(admin, "unlabelled")).options.labels) == {}


async def test_an_archived_project_takes_no_executions(admin: Admin) -> None:
    target = await admin.register()
    await admin.launch(target, "before")
    await admin.stub.UpdateProject(project_pb2.Project(id="flytesnacks", state=project_pb2.Project.ARCHIVED))
    error = await refused(admin.launch(target, "after"), INVALID, "project [flytesnacks] is not active")
    assert details_of(error)[0].type_url == "type.googleapis.com/flyteidl.admin.InactiveProject"
    relaunch = execution_pb2.ExecutionRelaunchRequest(id=execution_id("before"))
    await refused(admin.stub.RelaunchExecution(relaunch), INVALID, "not active")
    assert (await admin.get(execution_id("before"))).id.name == "before"


async def test_a_child_takes_user_and_nesting_from_its_parent(admin: Admin) -> None:
    target = await admin.register()
    parent = await admin.launch(target, "parent")
    await admin.report_node(parent, "n0", NODE.RUNNING)
    metadata = execution_pb2.ExecutionMetadata(
        mode=execution_pb2.ExecutionMetadata.CHILD_WORKFLOW, parent_node_execution=node_id_of(parent, "n0")
    )
    child = await admin.launch(target, "child", metadata=metadata)
    found = await admin.get(child)
    assert found.spec.metadata.nesting == 1
    assert found.spec.metadata.parent_node_execution == node_id_of(parent, "n0")
    metadata.parent_node_execution.node_id = "absent"
    await refused(admin.launch(target, "orphan", metadata=metadata), MISSING, "node execution", "absent")
    rows = await admin.stub.ListExecutions(listing(filters="eq(mode,4)"))
    assert [row.id.name for row in rows.executions] == ["child"]


async def test_relaunch_and_recovery_name_their_source(admin: Admin) -> None:
    target = await admin.register()
    await admin.launch(target, "source", literals(a=3), tags=["nightly"])
    relaunched = await admin.stub.RelaunchExecution(
        execution_pb2.ExecutionRelaunchRequest(id=execution_id("source"), name="again", overwrite_cache=True)
    )
    found = await admin.get(relaunched.id)
    assert found.spec.metadata.mode == execution_pb2.ExecutionMetadata.RELAUNCH
    assert found.spec.metadata.reference_execution == execution_id("source")
    assert found.spec.overwrite_cache is True
    assert list(found.spec.tags) == ["nightly"]
    sent = await delivered(admin, "again")
    assert sent.inputs.literals["a"].scalar.primitive.integer == 3
    assert not sent.options.HasField("recovered_from")
    recovered = await admin.stub.RecoverExecution(
        execution_pb2.ExecutionRecoverRequest(id=execution_id("source"), name="recovered")
    )
    found = await admin.get(recovered.id)
    assert found.spec.metadata.mode == execution_pb2.ExecutionMetadata.RECOVERED
    assert (await delivered(admin, "recovered")).options.recovered_from.name == "source"
    absent = execution_pb2.ExecutionRelaunchRequest(id=execution_id("absent"))
    await refused(admin.stub.RelaunchExecution(absent), MISSING, "absent")


async def test_a_concurrency_policy_skips_what_is_too_much(admin: Admin) -> None:
    policy = launch_plan_pb2.ConcurrencyPolicy(
        max=2, behavior=launch_plan_pb2.ConcurrencyLimitBehavior.CONCURRENCY_LIMIT_BEHAVIOR_SKIP
    )
    target = await admin.register("limited", concurrency_policy=policy)
    calls = [admin.launch(target, f"limited{number}") for number in range(6)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert len(errors) == 4
    assert all(
        error.code() is EXISTS and "concurrency limit (2) reached" in (error.details() or "") for error in errors
    )
    running = next(outcome for outcome in outcomes if not isinstance(outcome, BaseException))
    await admin.report(running, WORKFLOW.FAILED)
    await admin.launch(target, "room-again")


async def test_notifications_of_the_launch_plan_unless_switched_off(admin: Admin) -> None:
    notification = common_pb2.Notification(phases=[WORKFLOW.FAILED])
    notification.email.recipients_email.append("someone@example.com")
    metadata = launch_plan_pb2.LaunchPlanMetadata(notifications=[notification])
    target = await admin.register("n", entity_metadata=metadata)
    told = await admin.get(await admin.launch(target, "told"))
    silent = await admin.get(await admin.launch(target, "silent", disable_all=True))
    assert list(told.closure.notifications) == [notification]
    assert list(silent.closure.notifications) == []


async def test_a_literal_without_inputs_expected_is_named(admin: Admin) -> None:
    await admin.stub.CreateTask(task("none", inputs={}))
    await refused(admin.launch(task_id("none"), "x", literals(a=1)), INVALID, "invalid input a")
    await admin.launch(task_id("none"), "y", literals_pb2.LiteralMap())
    assert dict((await delivered(admin, "y")).inputs.literals) == {}
