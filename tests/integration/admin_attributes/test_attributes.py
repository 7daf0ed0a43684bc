"""Matchable attributes as clients set, read and remove them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flyteidl.admin import (
    cluster_assignment_pb2,
    common_pb2,
    execution_pb2,
    matchable_resource_pb2,
    project_attributes_pb2,
    project_domain_attributes_pb2,
    project_pb2,
    workflow_attributes_pb2,
)
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import tasks_pb2

from tests.integration.admin_executions.harness import DOMAIN, PROJECT, Admin, delivered, serving
from tests.integration.admin_registry.harness import EXISTS, INVALID, MISSING, details_of, refused, task, task_id

R = matchable_resource_pb2


def matching(**target: Any) -> Any:
    """Attributes of one kind."""
    return R.MatchingAttributes(**target)


def limits(limit: str, **defaults: str) -> Any:
    """Limits of CPU, and defaults."""
    resources = R.TaskResourceAttributes(limits=R.TaskResourceSpec(cpu=limit), defaults=R.TaskResourceSpec(**defaults))
    return matching(task_resource_attributes=resources)


def overriding(**plugins: str) -> Any:
    """One plugin for each task type."""
    overrides = [R.PluginOverride(task_type=name, plugin_id=[plugin]) for name, plugin in plugins.items()]
    return matching(plugin_overrides=R.PluginOverrides(overrides=overrides))


def config(**fields: Any) -> Any:
    """How to run executions."""
    return matching(workflow_execution_config=R.WorkflowExecutionConfig(**fields))


def of_project(attributes: Any, project: str = PROJECT) -> Any:
    """An update of a project."""
    given = project_attributes_pb2.ProjectAttributes(project=project, matching_attributes=attributes)
    return project_attributes_pb2.ProjectAttributesUpdateRequest(attributes=given)


def of_domain(attributes: Any, project: str = PROJECT, domain: str = DOMAIN) -> Any:
    """An update of a domain."""
    given = project_domain_attributes_pb2.ProjectDomainAttributes(
        project=project, domain=domain, matching_attributes=attributes
    )
    return project_domain_attributes_pb2.ProjectDomainAttributesUpdateRequest(attributes=given)


def of_workflow(attributes: Any, workflow: str = "w", project: str = PROJECT, domain: str = DOMAIN) -> Any:
    """An update of a workflow."""
    given = workflow_attributes_pb2.WorkflowAttributes(
        project=project, domain=domain, workflow=workflow, matching_attributes=attributes
    )
    return workflow_attributes_pb2.WorkflowAttributesUpdateRequest(attributes=given)


GET_PROJECT = project_attributes_pb2.ProjectAttributesGetRequest
GET_DOMAIN = project_domain_attributes_pb2.ProjectDomainAttributesGetRequest
GET_WORKFLOW = workflow_attributes_pb2.WorkflowAttributesGetRequest
DELETE_PROJECT = project_attributes_pb2.ProjectAttributesDeleteRequest
DELETE_DOMAIN = project_domain_attributes_pb2.ProjectDomainAttributesDeleteRequest
DELETE_WORKFLOW = workflow_attributes_pb2.WorkflowAttributesDeleteRequest
IN_DOMAIN = {"project": PROJECT, "domain": DOMAIN}
IN_WORKFLOW = {**IN_DOMAIN, "workflow": "w"}


async def in_domain(admin: Admin, kind: int) -> Any:
    """What counts in the domain."""
    answer = await admin.stub.GetProjectDomainAttributes(GET_DOMAIN(resource_type=kind, **IN_DOMAIN))
    return answer.attributes


async def for_workflow(admin: Admin, kind: int) -> Any:
    """What counts for the workflow."""
    return (await admin.stub.GetWorkflowAttributes(GET_WORKFLOW(resource_type=kind, **IN_WORKFLOW))).attributes


async def listed(admin: Admin, kind: int) -> list[tuple[str, str, str]]:
    """Where something of a kind is set."""
    answer = await admin.stub.ListMatchableAttributes(R.ListMatchableAttributesRequest(resource_type=kind))
    return [(each.project, each.domain, each.workflow) for each in answer.configurations]


async def test_attributes_of_a_domain_are_set_replaced_and_removed(admin: Admin) -> None:
    for value in ("1", "2"):
        await admin.stub.UpdateProjectDomainAttributes(of_domain(limits(value)))
        assert await in_domain(admin, R.TASK_RESOURCE) == of_domain(limits(value)).attributes
    assert await listed(admin, R.TASK_RESOURCE) == [(PROJECT, DOMAIN, "")]

    for _ in range(2):
        await admin.stub.DeleteProjectDomainAttributes(DELETE_DOMAIN(resource_type=R.TASK_RESOURCE, **IN_DOMAIN))
    text = (
        f"Resource [{{Project:{PROJECT} Domain:{DOMAIN} Workflow: LaunchPlan: ResourceType:TASK_RESOURCE}}] not found"
    )
    await refused(in_domain(admin, R.TASK_RESOURCE), MISSING, text)


async def test_attributes_of_a_workflow_fall_back_to_domain_and_project(admin: Admin) -> None:
    await admin.stub.UpdateProjectAttributes(of_project(limits("1")))
    found = await for_workflow(admin, R.TASK_RESOURCE)
    assert (found.domain, found.workflow, found.matching_attributes) == ("", "", limits("1"))
    assert (await in_domain(admin, R.TASK_RESOURCE)).domain == ""

    await admin.stub.UpdateProjectDomainAttributes(of_domain(limits("2")))
    found = await for_workflow(admin, R.TASK_RESOURCE)
    assert (found.domain, found.workflow, found.matching_attributes) == (DOMAIN, "", limits("2"))

    await admin.stub.UpdateWorkflowAttributes(of_workflow(limits("3")))
    assert await for_workflow(admin, R.TASK_RESOURCE) == of_workflow(limits("3")).attributes
    assert (await in_domain(admin, R.TASK_RESOURCE)).matching_attributes == limits("2")
    scopes = [(PROJECT, DOMAIN, "w"), (PROJECT, DOMAIN, ""), (PROJECT, "", "")]
    assert await listed(admin, R.TASK_RESOURCE) == scopes

    await admin.stub.DeleteWorkflowAttributes(DELETE_WORKFLOW(resource_type=R.TASK_RESOURCE, **IN_WORKFLOW))
    assert (await for_workflow(admin, R.TASK_RESOURCE)).matching_attributes == limits("2")


async def test_removing_touches_no_other_level(admin: Admin) -> None:
    await admin.stub.UpdateProjectAttributes(of_project(limits("1")))
    await admin.stub.UpdateProjectDomainAttributes(of_domain(limits("2")))
    await admin.stub.UpdateWorkflowAttributes(of_workflow(limits("3")))

    await admin.stub.DeleteProjectAttributes(DELETE_PROJECT(project=PROJECT, resource_type=R.TASK_RESOURCE))
    assert await listed(admin, R.TASK_RESOURCE) == [(PROJECT, DOMAIN, "w"), (PROJECT, DOMAIN, "")]
    await admin.stub.DeleteProjectDomainAttributes(DELETE_DOMAIN(resource_type=R.TASK_RESOURCE, **IN_DOMAIN))
    assert await listed(admin, R.TASK_RESOURCE) == [(PROJECT, DOMAIN, "w")]
    missing = GET_PROJECT(project=PROJECT, resource_type=R.TASK_RESOURCE)
    await refused(admin.stub.GetProjectAttributes(missing), MISSING, f"Project:{PROJECT} Domain: Workflow:")


async def test_plugin_overrides_are_merged_within_a_level_only(admin: Admin) -> None:
    await admin.stub.UpdateProjectAttributes(of_project(overriding(a="1", b="1")))
    await admin.stub.UpdateProjectAttributes(of_project(overriding(c="2", a="2")))
    answer = await admin.stub.GetProjectAttributes(GET_PROJECT(project=PROJECT, resource_type=R.PLUGIN_OVERRIDE))
    assert answer.attributes.matching_attributes == overriding(a="2", b="1", c="2")

    await admin.stub.UpdateWorkflowAttributes(of_workflow(overriding(w="3")))
    await admin.stub.UpdateProjectDomainAttributes(of_domain(overriding(d="4")))
    assert (await in_domain(admin, R.PLUGIN_OVERRIDE)).matching_attributes == overriding(d="4")
    assert (await for_workflow(admin, R.PLUGIN_OVERRIDE)).matching_attributes == overriding(w="3")


async def test_execution_settings_of_a_project_are_completed_by_the_defaults(database_url: str, tmp_path: Path) -> None:
    flags: dict[str, Any] = {"executions": {"max_parallelism": 7, "labels": {"team": "x"}, "service_account": "robot"}}
    async with serving(database_url, tmp_path, **flags) as admin:
        asked = GET_PROJECT(project=PROJECT, resource_type=R.WORKFLOW_EXECUTION_CONFIG)
        found = (await admin.stub.GetProjectAttributes(asked)).attributes
        defaults = found.matching_attributes.workflow_execution_config
        assert (found.project, defaults.max_parallelism, dict(defaults.labels.values)) == (PROJECT, 7, {"team": "x"})
        assert defaults.security_context.run_as.k8s_service_account == "robot"
        assert not defaults.HasField("raw_output_data_config")

        given = config(labels=common_pb2.Labels(values={"team": "y"}), overwrite_cache=True)
        await admin.stub.UpdateProjectAttributes(of_project(given))
        found = (await admin.stub.GetProjectAttributes(asked)).attributes
        merged = found.matching_attributes.workflow_execution_config
        assert (merged.max_parallelism, merged.overwrite_cache, dict(merged.labels.values)) == (7, True, {"team": "y"})
        assert (await in_domain(admin, R.WORKFLOW_EXECUTION_CONFIG)).matching_attributes == given


KINDS = {
    R.TASK_RESOURCE: limits("1"),
    R.CLUSTER_RESOURCE: matching(cluster_resource_attributes=R.ClusterResourceAttributes(attributes={"a": "b"})),
    R.EXECUTION_QUEUE: matching(execution_queue_attributes=R.ExecutionQueueAttributes(tags=["x"])),
    R.EXECUTION_CLUSTER_LABEL: matching(execution_cluster_label=R.ExecutionClusterLabel(value="x")),
    R.PLUGIN_OVERRIDE: overriding(a="1"),
    R.WORKFLOW_EXECUTION_CONFIG: config(max_parallelism=3),
    R.CLUSTER_ASSIGNMENT: matching(
        cluster_assignment=cluster_assignment_pb2.ClusterAssignment(cluster_pool_name="pool")
    ),
}


async def test_every_kind_but_quality_of_service_can_be_set(admin: Admin) -> None:
    for value in KINDS.values():
        await admin.stub.UpdateProjectDomainAttributes(of_domain(value))
    for kind, value in KINDS.items():
        assert (await in_domain(admin, kind)).matching_attributes == value
        assert await listed(admin, kind) == [(PROJECT, DOMAIN, "")]

    quality = matching(quality_of_service=core_execution.QualityOfService(tier=core_execution.QualityOfService.HIGH))
    words = f"unrecognized matching attributes type for request {PROJECT}-{DOMAIN}-w"
    await refused(admin.stub.UpdateWorkflowAttributes(of_workflow(quality)), INVALID, words)
    await refused(in_domain(admin, R.QUALITY_OF_SERVICE_SPECIFICATION), MISSING, "QUALITY_OF_SERVICE_SPECIFICATION")


BAD: list[tuple[Callable[[Any], Any], str]] = [
    (
        lambda s: s.UpdateProjectAttributes(project_attributes_pb2.ProjectAttributesUpdateRequest()),
        "missing attributes",
    ),
    (
        lambda s: s.UpdateProjectDomainAttributes(
            project_domain_attributes_pb2.ProjectDomainAttributesUpdateRequest(
                attributes=project_domain_attributes_pb2.ProjectDomainAttributes(project=PROJECT, domain=DOMAIN)
            )
        ),
        "missing matching_attributes",
    ),
    (lambda s: s.UpdateProjectAttributes(of_project(limits("1"), "")), "missing project"),
    (lambda s: s.UpdateProjectAttributes(of_project(limits("1"), "nope")), "project [nope] not found"),
    (lambda s: s.UpdateProjectDomainAttributes(of_domain(limits("1"), "nope")), "project [nope] not found"),
    (lambda s: s.UpdateProjectDomainAttributes(of_domain(limits("1"), domain="")), "missing domain"),
    (lambda s: s.UpdateProjectDomainAttributes(of_domain(limits("1"), domain="x")), "[x] is unrecognized by system"),
    (lambda s: s.UpdateWorkflowAttributes(of_workflow(limits("1"), "")), "missing workflow"),
    (lambda s: s.UpdateWorkflowAttributes(of_workflow(limits("1"), "a\0b")), "control characters"),
    (lambda s: s.UpdateWorkflowAttributes(of_workflow(limits("1"), "a\nb")), "control characters"),
    (lambda s: s.UpdateWorkflowAttributes(of_workflow(limits("1"), "w" * 256)), "at most 255 characters"),
    (lambda s: s.UpdateWorkflowAttributes(of_workflow(matching())), "unrecognized matching attributes type"),
    (lambda s: s.UpdateProjectAttributes(of_project(limits("many"))), "task_resource_attributes.limits.cpu"),
    (lambda s: s.UpdateProjectAttributes(of_project(limits("-1"))), "limits.cpu: '-1': must be neither negative"),
    (lambda s: s.UpdateProjectAttributes(of_project(limits("", memory="1e999"))), "task_resource_attributes.defaults"),
    (lambda s: s.UpdateProjectAttributes(of_project(overriding(**{"": "x"}))), "overrides[0].task_type"),
    (lambda s: s.UpdateProjectAttributes(of_project(config(max_parallelism=-1))), "max_parallelism"),
    (lambda s: s.UpdateProjectAttributes(of_project(limits("1"), "a\0b")), "control characters"),
    (lambda s: s.UpdateProjectDomainAttributes(of_domain(limits("1"), "a\0b")), "control characters"),
    (lambda s: s.GetProjectAttributes(GET_PROJECT(project="a\0b")), "control characters"),
    (lambda s: s.DeleteProjectAttributes(DELETE_PROJECT(project="a\0b")), "control characters"),
    (lambda s: s.GetProjectAttributes(GET_PROJECT(project="nope")), "project [nope] not found"),
    (lambda s: s.GetProjectAttributes(GET_PROJECT(project=PROJECT, resource_type=99)), "resource_type: '99'"),
    (lambda s: s.GetProjectDomainAttributes(GET_DOMAIN(project=PROJECT)), "missing domain"),
    (lambda s: s.GetProjectDomainAttributes(GET_DOMAIN(resource_type=99, **IN_DOMAIN)), "resource_type: '99'"),
    (lambda s: s.GetWorkflowAttributes(GET_WORKFLOW(**IN_DOMAIN)), "missing workflow"),
    (lambda s: s.GetWorkflowAttributes(GET_WORKFLOW(**IN_DOMAIN, workflow="a\0b")), "control characters"),
    (lambda s: s.DeleteProjectAttributes(DELETE_PROJECT(project="nope")), "project [nope] not found"),
    (lambda s: s.DeleteProjectDomainAttributes(DELETE_DOMAIN(domain=DOMAIN)), "missing project"),
    (lambda s: s.DeleteWorkflowAttributes(DELETE_WORKFLOW(**IN_DOMAIN)), "missing workflow"),
    (lambda s: s.DeleteWorkflowAttributes(DELETE_WORKFLOW(**IN_DOMAIN, workflow="a\0b")), "control characters"),
    (lambda s: s.DeleteWorkflowAttributes(DELETE_WORKFLOW(**IN_WORKFLOW, resource_type=99)), "resource_type: '99'"),
    (lambda s: s.ListMatchableAttributes(R.ListMatchableAttributesRequest(resource_type=99)), "resource_type: '99'"),
]


async def test_bad_requests_name_what_is_wrong_and_change_nothing(admin: Admin) -> None:
    for call, words in BAD:
        await refused(call(admin.stub), INVALID, words)
    for kind in KINDS:
        assert await listed(admin, kind) == []


async def test_attributes_of_an_archived_project_are_not_touched(admin: Admin) -> None:
    await admin.stub.UpdateProjectAttributes(of_project(limits("1")))
    await admin.stub.UpdateProject(project_pb2.Project(id=PROJECT, state=project_pb2.Project.ARCHIVED))
    calls = [
        admin.stub.UpdateProjectAttributes(of_project(limits("2"))),
        admin.stub.UpdateProjectDomainAttributes(of_domain(limits("2"))),
        admin.stub.UpdateWorkflowAttributes(of_workflow(limits("2"))),
        admin.stub.DeleteProjectAttributes(DELETE_PROJECT(project=PROJECT)),
        admin.stub.DeleteProjectDomainAttributes(DELETE_DOMAIN(**IN_DOMAIN)),
        admin.stub.DeleteWorkflowAttributes(DELETE_WORKFLOW(**IN_WORKFLOW)),
        in_domain(admin, R.TASK_RESOURCE),
        for_workflow(admin, R.TASK_RESOURCE),
    ]
    for call in calls:
        error = await refused(call, INVALID, f"project [{PROJECT}] is not active")
        assert details_of(error)[0].type_url.endswith("flyteidl.admin.InactiveProject")
    found = await admin.stub.GetProjectAttributes(GET_PROJECT(project=PROJECT, resource_type=R.TASK_RESOURCE))
    assert found.attributes.matching_attributes == limits("1")


def demanding(cpu: str, name: str = "t") -> Any:
    """A task that asks for CPU."""
    request = task(name)
    request.spec.template.container.resources.requests.add(name=tasks_pb2.Resources.CPU, value=cpu)
    return request


async def test_limits_count_at_registration(admin: Admin) -> None:
    await admin.stub.UpdateProjectDomainAttributes(of_domain(limits("2")))
    await refused(admin.stub.CreateTask(demanding("3")), INVALID, "requested cpu [3]", "platform limit [2]")
    await admin.stub.UpdateProjectDomainAttributes(of_domain(limits("4")))
    await admin.stub.CreateTask(demanding("3"))
    await refused(admin.stub.CreateTask(demanding("3")), EXISTS)


async def test_attributes_shape_what_the_engine_is_told(database_url: str, tmp_path: Path) -> None:
    flags: dict[str, Any] = {"executions": {"queues": [{"name": "fast", "tags": ["hurry"]}]}}
    async with serving(database_url, tmp_path, **flags) as admin:
        target = await admin.register()
        await admin.launch(target, "before")
        await admin.stub.UpdateProjectAttributes(
            of_project(config(interruptible={"value": True}, labels=common_pb2.Labels(values={"of": "project"})))
        )
        await admin.stub.UpdateProjectDomainAttributes(of_domain(config(max_parallelism=9)))
        await admin.stub.UpdateWorkflowAttributes(of_workflow(config(max_parallelism=3, overwrite_cache=True)))
        await admin.stub.UpdateWorkflowAttributes(of_workflow(overriding(python="echo")))
        await admin.stub.UpdateWorkflowAttributes(of_workflow(limits("4", cpu="3")))
        queue = matching(execution_queue_attributes=R.ExecutionQueueAttributes(tags=["none", "hurry"]))
        await admin.stub.UpdateProjectDomainAttributes(of_domain(queue))
        await admin.stub.UpdateProjectDomainAttributes(of_domain(KINDS[R.CLUSTER_ASSIGNMENT]))
        after = await admin.launch(target, "after")

        options = (await delivered(admin, "after")).options
        assert (options.max_parallelism, options.interruptible.value, options.overwrite_cache) == (3, True, True)
        assert dict(options.labels) == {"of": "project"}
        assert [(each.task_type, list(each.plugin_id)) for each in options.plugin_overrides] == [("python", ["echo"])]
        stored = (await admin.get(after)).spec
        assert (stored.max_parallelism, stored.cluster_assignment.cluster_pool_name) == (3, "pool")

        container = (await delivered(admin, "after")).closure.tasks[0].template.container
        assert [(each.name, each.value) for each in container.resources.requests] == [(tasks_pb2.Resources.CPU, "3")]
        assert [(each.key, each.value) for each in container.config] == [("child_queue", "fast")]
        before = await delivered(admin, "before")
        assert before.closure_digest != (await delivered(admin, "after")).closure_digest
        assert not before.closure.tasks[0].template.container.resources.requests


async def test_a_pool_other_than_the_assigned_one_is_refused(admin: Admin) -> None:
    target = await admin.register()
    asked = cluster_assignment_pb2.ClusterAssignment(cluster_pool_name="other")
    first = await admin.launch(target, "first", cluster_assignment=asked)
    await admin.stub.UpdateProjectDomainAttributes(of_domain(KINDS[R.CLUSTER_ASSIGNMENT]))
    await refused(admin.launch(target, "second", cluster_assignment=asked), INVALID, "'other'", "'pool'")

    again = execution_pb2.ExecutionRelaunchRequest(id=first, name="third")
    third = (await admin.stub.RelaunchExecution(again)).id
    assert (await admin.get(third)).spec.cluster_assignment.cluster_pool_name == "pool"


async def test_single_tasks_take_attributes_of_their_domain(admin: Admin) -> None:
    await admin.stub.CreateTask(task("t"))
    await admin.stub.UpdateProjectDomainAttributes(of_domain(overriding(python="echo")))
    await admin.launch(task_id("t"), "single")
    options = (await delivered(admin, "single")).options
    assert [each.task_type for each in options.plugin_overrides] == ["python"]
