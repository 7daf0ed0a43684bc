"""Workflows through the official stub."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
from flyteidl.admin import common_pb2, launch_plan_pb2, project_pb2, task_pb2, workflow_pb2
from flyteidl.core import workflow_pb2 as core_workflow

from tests.integration.admin_registry.harness import (
    DOMAIN,
    EXISTS,
    INTEGER,
    INVALID,
    MISSING,
    PROJECT,
    STRING,
    Admin,
    by,
    details_of,
    keys,
    listing,
    plan,
    plan_id,
    refused,
    serving,
    task,
    task_id,
    workflow,
    workflow_id,
)

FLYTEKIT_SPECS = Path(__file__).parents[2] / "unit" / "core" / "compiler" / "fixtures"


async def stored(admin: Admin) -> list[str]:
    return keys((await admin.stub.ListWorkflows(listing(sort_by=by("name")))).workflows)


async def test_a_workflow_comes_back_compiled(admin: Admin) -> None:
    await admin.register(task(), workflow(nodes=2, description="chains"))

    found = await admin.stub.GetWorkflow(common_pb2.ObjectGetRequest(id=workflow_id()))

    assert found.id == workflow_id()
    assert found.short_description == "chains"
    assert found.closure.created_at.seconds > 0
    compiled = found.closure.compiled_workflow
    assert [node.id for node in compiled.primary.template.nodes] == ["start-node", "end-node", "n0", "n1"]
    assert list(compiled.primary.connections.downstream["start-node"].ids) == ["n0"]
    assert list(compiled.primary.connections.downstream["n0"].ids) == ["n1"]
    assert compiled.primary.template.nodes[2].inputs[0].binding.promise.node_id == "start-node"
    assert [each.template.id for each in compiled.tasks] == [task_id()]


async def test_lists_show_interfaces_and_no_nodes(admin: Admin) -> None:
    await admin.register(task(), workflow(description="chains"))

    [found] = (await admin.stub.ListWorkflows(listing())).workflows

    template = found.closure.compiled_workflow.primary.template
    assert "a" in template.interface.inputs.variables
    assert list(template.nodes) == []
    assert list(found.closure.compiled_workflow.tasks) == []
    assert found.closure.created_at.seconds > 0
    assert found.short_description == "chains"


async def test_registering_the_same_again_is_already_exists_with_a_detail(admin: Admin) -> None:
    await admin.register(task(), workflow())

    error = await refused(admin.create(workflow()), EXISTS, "workflow with identical structure already exists")

    reason = workflow_pb2.CreateWorkflowFailureReason()
    [packed] = details_of(error)
    assert packed.Unpack(reason)
    assert reason.exists_identical_structure.id == workflow_id()


async def test_a_different_structure_is_refused_with_a_detail_and_the_nodes_that_differ(admin: Admin) -> None:
    await admin.register(task(), workflow())

    error = await refused(
        admin.create(workflow(nodes=2)),
        INVALID,
        "w workflow with different structure already exists. (Please register a new version of the workflow):",
        "primary.template.nodes[3]: - nothing + ",
    )

    reason = workflow_pb2.CreateWorkflowFailureReason()
    [packed] = details_of(error)
    assert packed.Unpack(reason)
    assert reason.exists_different_structure.id == workflow_id()
    found = await admin.stub.GetWorkflow(common_pb2.ObjectGetRequest(id=workflow_id()))
    assert len(found.closure.compiled_workflow.primary.template.nodes) == 3


async def test_the_same_in_another_spelling_is_identical(admin: Admin) -> None:
    """The end node is always compiled in, so a request that says less can mean the same."""
    await admin.register(task(), workflow())
    other = workflow()
    other.spec.template.nodes[0].task_node.ClearField("overrides")
    other.spec.template.nodes[0].inputs[0].binding.promise.node_id = "start-node"

    await refused(admin.create(other), EXISTS, "identical")


async def test_two_clients_that_register_the_same_at_once_get_one_workflow(admin: Admin) -> None:
    await admin.register(task())

    outcomes = await asyncio.gather(*(admin.create(workflow()) for _ in range(10)), return_exceptions=True)

    refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(refusals) == 9
    assert {error.code() for error in refusals} == {EXISTS}  # type: ignore[attr-defined]  # AioRpcErrors
    assert await stored(admin) == ["w:v1"]


async def test_what_a_workflow_refers_to_must_be_registered_and_all_that_is_missing_is_listed(admin: Admin) -> None:
    request = workflow(calls=task_id("absent"))
    other = core_workflow.Node(id="n9", workflow_node=core_workflow.WorkflowNode(launchplan_ref=plan_id("gone")))
    request.spec.template.nodes.append(other)

    error = await refused(
        admin.create(request),
        INVALID,
        f"failed to compile workflow for [{PROJECT}:{DOMAIN}:w:v1] with err: Collected Errors: 2",
        f"missing entity of type TASK with identifier {PROJECT}:{DOMAIN}:absent:v1",
        f"missing entity of type LAUNCH_PLAN with identifier {PROJECT}:{DOMAIN}:gone:v1",
    )

    assert details_of(error) == []
    assert await stored(admin) == []


async def test_compiler_findings_are_all_listed_and_nothing_is_stored(admin: Admin) -> None:
    await admin.register(task())
    request = workflow(inputs={"a": STRING})
    request.spec.template.outputs[0].binding.promise.var = "colour"

    await refused(
        admin.create(request),
        INVALID,
        "failed to compile workflow for",
        "Collected Errors: 3",
        "MismatchingTypes",
        "ParameterNotBound",
        "VariableNameNotFound",
    )

    assert await stored(admin) == []
    names = await admin.stub.ListWorkflowIds(
        common_pb2.NamedEntityIdentifierListRequest(project=PROJECT, domain=DOMAIN, limit=10)
    )
    assert list(names.entities) == []


async def test_bad_requests_are_refused_by_name(admin: Admin) -> None:
    await admin.register(task())
    no_id, no_spec, wrong_kind, no_template = workflow(), workflow(), workflow(), workflow()
    no_id.ClearField("id")
    no_spec.ClearField("spec")
    wrong_kind.id.resource_type = task_id().resource_type
    no_template.spec.ClearField("template")
    nul = workflow(description="a\0b")
    elsewhere = workflow()
    elsewhere.id.project = "nowhere"
    for request, words in (
        (no_id, "missing id"),
        (no_spec, "missing spec"),
        (no_template, "missing spec"),
        (wrong_kind, "expected workflow"),
        (nul, "short_description"),
        (elsewhere, "project [nowhere] not found"),
    ):
        await refused(admin.create(request), INVALID, words)
    assert await stored(admin) == []


async def test_a_workflow_that_is_too_large_is_refused(database_url: str) -> None:
    async with serving(database_url, registration={"max_workflow_nodes": 3}) as admin:
        await admin.register(task(), workflow("small", nodes=3))
        await refused(admin.create(workflow("large", nodes=4)), INVALID, "has 4 nodes, the limit is 3")
    async with serving(database_url, registration={"max_closure_bytes": 100}) as admin:
        await refused(admin.create(workflow("larger")), INVALID, "the limit is 100")
        assert await stored(admin) == ["small:v1"]


async def test_a_workflow_of_a_thousand_nodes_is_compiled_and_read_back_after_a_restart(database_url: str) -> None:
    async with serving(database_url) as admin:
        await admin.register(task(), workflow(nodes=1000))
    async with serving(database_url) as admin:
        found = await admin.stub.GetWorkflow(common_pb2.ObjectGetRequest(id=workflow_id()))
        assert len(found.closure.compiled_workflow.primary.template.nodes) == 1002
        await refused(admin.create(workflow(nodes=1000)), EXISTS)


async def test_what_is_not_there_is_not_found(admin: Admin) -> None:
    text = f"missing entity of type WORKFLOW with identifier {PROJECT}:{DOMAIN}:w:v1"
    await refused(admin.stub.GetWorkflow(common_pb2.ObjectGetRequest(id=workflow_id())), MISSING, text)
    await refused(admin.stub.GetWorkflow(common_pb2.ObjectGetRequest(id=plan_id())), INVALID, "expected workflow")


async def test_lists_are_filtered_sorted_and_paged(admin: Admin) -> None:
    await admin.register(task(), workflow("x y"), workflow("o'z", "v1"), workflow("o'z", "v2", nodes=2))

    assert await stored(admin) == ["o'z:v1", "o'z:v2", "x y:v1"]
    found = await admin.stub.ListWorkflows(listing("o'z", sort_by=by("version", ascending=False), limit=1))
    assert (keys(found.workflows), found.token) == (["o'z:v2"], "1")
    found = await admin.stub.ListWorkflows(listing(filters="contains(workflow.name, y)"))
    assert keys(found.workflows) == ["x y:v1"]
    await refused(admin.stub.ListWorkflows(listing(filters="eq(task.name,a)")), INVALID, "'t' entity is not allowed")
    names = await admin.stub.ListWorkflowIds(
        common_pb2.NamedEntityIdentifierListRequest(project=PROJECT, domain=DOMAIN, limit=10)
    )
    assert [entity.name for entity in names.entities] == ["o'z", "x y"]


async def test_everything_that_flytekit_writes_is_registered_twice(admin: Admin) -> None:
    """Tasks first, one that flytekit only refers to among them; then workflows and plans as they become complete."""
    await admin.stub.RegisterProject(
        project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id="elsewhere", name="Elsewhere"))
    )
    await admin.register(task("there.twice", "v9", project="elsewhere", inputs={"n": INTEGER}))
    tasks = [_task(path) for path in sorted(FLYTEKIT_SPECS.glob("*.task.pb"))]
    workflows = [_workflow(path) for path in sorted(FLYTEKIT_SPECS.glob("*.workflow.pb"))]
    plans = [_plan(path) for path in sorted(FLYTEKIT_SPECS.glob("*.launch_plan.pb"))]
    assert tasks
    assert workflows
    assert plans
    await admin.register(*tasks)

    names = await _register_in_any_order(admin, [*workflows, *plans])

    assert len(names) == len(workflows) + len(plans)
    for request in [*tasks, *workflows, *plans]:
        await refused(admin.create(request), EXISTS, "identical structure already exists")
    assert len(await stored(admin)) == len(workflows)


async def _register_in_any_order(
    admin: Admin, requests: list[workflow_pb2.WorkflowCreateRequest | launch_plan_pb2.LaunchPlanCreateRequest]
) -> list[str]:
    done: list[str] = []
    remaining, problem = requests, ""
    while remaining:
        left = []
        for request in remaining:
            try:
                await admin.create(request)
            except grpc.aio.AioRpcError as error:
                problem = error.details() or ""
                assert "missing entity" in problem, problem
                left.append(request)
            else:
                done.append(request.id.name)
                if request.DESCRIPTOR.name == "WorkflowCreateRequest":
                    await admin.create(plan(request.id.name, of=request.id))
        assert len(left) < len(remaining), problem
        remaining = left
    return done


def _task(path: Path) -> task_pb2.TaskCreateRequest:
    spec = task_pb2.TaskSpec.FromString(path.read_bytes())
    return task_pb2.TaskCreateRequest(id=spec.template.id, spec=spec)


def _workflow(path: Path) -> workflow_pb2.WorkflowCreateRequest:
    spec = workflow_pb2.WorkflowSpec.FromString(path.read_bytes())
    return workflow_pb2.WorkflowCreateRequest(id=spec.template.id, spec=spec)


def _plan(path: Path) -> launch_plan_pb2.LaunchPlanCreateRequest:
    found = launch_plan_pb2.LaunchPlan.FromString(path.read_bytes())
    return launch_plan_pb2.LaunchPlanCreateRequest(id=found.id, spec=found.spec)
