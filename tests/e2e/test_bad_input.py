"""Bad input over gRPC, with the official stubs: a clear answer, and nothing stored."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from flyteidl.admin import (
    common_pb2,
    execution_pb2,
    launch_plan_pb2,
    task_pb2,
    workflow_pb2,
)
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2
from flyteidl.core import workflow_pb2 as core_workflow_pb2

from tests.e2e.harness import DOMAIN, PROJECT, Plane, inputs

pytestmark = pytest.mark.e2e

INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
STRING = types_pb2.LiteralType(simple=types_pb2.STRING)
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def identifier(kind: int, name: str = "bad", **parts: str) -> Any:
    whole = {"project": PROJECT, "domain": DOMAIN, "name": name, "version": "v1", **parts}
    return identifier_pb2.Identifier(resource_type=kind, **whole)


def task(name: str = "bad", *, retries: int = 0, output: Any = INTEGER, **parts: str) -> Any:
    template = tasks_pb2.TaskTemplate(
        type="echo",
        metadata=tasks_pb2.TaskMetadata(
            runtime=tasks_pb2.RuntimeMetadata(version="1.16.8"), retries=literals_pb2.RetryStrategy(retries=retries)
        ),
        interface=interface_pb2.TypedInterface(
            inputs=interface_pb2.VariableMap(variables={"a": interface_pb2.Variable(type=INTEGER)}),
            outputs=interface_pb2.VariableMap(variables={"o0": interface_pb2.Variable(type=output)}),
        ),
    )
    return task_pb2.TaskCreateRequest(
        id=identifier(identifier_pb2.TASK, name, **parts), spec=task_pb2.TaskSpec(template=template)
    )


def node(name: str, task_name: str, **bound: str) -> Any:
    bindings = [
        literals_pb2.Binding(
            var=variable,
            binding=literals_pb2.BindingData(
                promise=types_pb2.OutputReference(node_id=source, var="o0" if source else "a")
            ),
        )
        for variable, source in bound.items()
    ]
    reference = identifier(identifier_pb2.TASK, task_name)
    return core_workflow_pb2.Node(
        id=name, inputs=bindings, task_node=core_workflow_pb2.TaskNode(reference_id=reference)
    )


def workflow(*nodes: Any, name: str = "bad", **parts: str) -> Any:
    key = identifier(identifier_pb2.WORKFLOW, name, **parts)
    template = core_workflow_pb2.WorkflowTemplate(
        id=key,
        nodes=nodes,
        interface=interface_pb2.TypedInterface(
            inputs=interface_pb2.VariableMap(variables={"a": interface_pb2.Variable(type=INTEGER)})
        ),
    )
    return workflow_pb2.WorkflowCreateRequest(id=key, spec=workflow_pb2.WorkflowSpec(template=template))


@pytest.fixture(scope="module", autouse=True)
def good_tasks(plane: Plane) -> None:
    plane.admin.CreateTask(task("good"))
    plane.admin.CreateTask(task("texts", output=STRING))
    plane.admin.CreateWorkflow(workflow(node("n0", "good", a=""), name="good"))
    parameter = interface_pb2.Parameter(var=interface_pb2.Variable(type=INTEGER), required=True)
    plane.admin.CreateLaunchPlan(
        launch_plan_pb2.LaunchPlanCreateRequest(
            id=identifier(identifier_pb2.LAUNCH_PLAN, "good"),
            spec=launch_plan_pb2.LaunchPlanSpec(
                workflow_id=identifier(identifier_pb2.WORKFLOW, "good"),
                entity_metadata=launch_plan_pb2.LaunchPlanMetadata(),
                default_inputs=interface_pb2.ParameterMap(parameters={"a": parameter}),
            ),
        )
    )


def stored(plane: Plane) -> list[int]:
    everything = common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN), limit=10_000
    )
    admin = plane.admin
    return [
        len(admin.ListTasks(everything).tasks),
        len(admin.ListWorkflows(everything).workflows),
        len(admin.ListLaunchPlans(everything).launch_plans),
        len(admin.ListExecutions(everything).executions),
    ]


def launch(values: Any, plan_name: str = "good", **request: Any) -> Any:
    plan = identifier(identifier_pb2.LAUNCH_PLAN, plan_name)
    spec = execution_pb2.ExecutionSpec(launch_plan=plan, metadata=execution_pb2.ExecutionMetadata())
    return execution_pb2.ExecutionCreateRequest(
        **{"project": PROJECT, "domain": DOMAIN, "spec": spec, "inputs": values, **request}
    )


CASES: list[tuple[str, str, Any, grpc.StatusCode, list[str]]] = [
    ("task without an identifier", "CreateTask", task_pb2.TaskCreateRequest(), INVALID, ["missing id"]),
    ("task without a name", "CreateTask", task(name=""), INVALID, ["missing name"]),
    ("task without a version", "CreateTask", task(version=""), INVALID, ["missing version"]),
    (
        "task with a workflow's identifier",
        "CreateTask",
        task_pb2.TaskCreateRequest(id=identifier(2), spec=task().spec),
        INVALID,
        ["workflow", "task"],
    ),
    ("task with a name of 300 characters", "CreateTask", task(name="x" * 300), INVALID, ["name", "255"]),
    ("task with a control character", "CreateTask", task(name="a\x07b"), INVALID, ["name", "control"]),
    ("task in an unknown project", "CreateTask", task(project="nowhere"), INVALID, ["nowhere"]),
    ("task in an unknown domain", "CreateTask", task(domain="nowhere"), INVALID, ["nowhere"]),
    ("task with 11 retries", "CreateTask", task(retries=11), INVALID, ["retries", "11", "10"]),
    (
        "workflow with a type mismatch",
        "CreateWorkflow",
        workflow(node("n0", "texts", a=""), node("n1", "good", a="n0")),
        INVALID,
        ["MismatchingTypes", "n1"],
    ),
    (
        "workflow with an unbound input",
        "CreateWorkflow",
        workflow(node("n0", "good")),
        INVALID,
        ["ParameterNotBound", "n0", "a"],
    ),
    (
        "workflow with a cycle",
        "CreateWorkflow",
        workflow(node("n0", "good", a="n1"), node("n1", "good", a="n0")),
        INVALID,
        ["CycleDetected", "n0", "n1"],
    ),
    ("workflow of an unknown task", "CreateWorkflow", workflow(node("n0", "absent", a="")), INVALID, ["absent"]),
    ("workflow without nodes", "CreateWorkflow", workflow(), INVALID, ["NoNodesFound"]),
    (
        "workflow in an unknown project",
        "CreateWorkflow",
        workflow(node("n0", "good", a=""), project="nowhere"),
        INVALID,
        ["nowhere"],
    ),
    (
        "launch plan of an unknown workflow",
        "CreateLaunchPlan",
        launch_plan_pb2.LaunchPlanCreateRequest(
            id=identifier(3), spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=identifier(2, "absent"))
        ),
        grpc.StatusCode.NOT_FOUND,
        ["WORKFLOW", "absent"],
    ),
    ("wrong literal type at launch", "CreateExecution", launch(inputs(a="five")), INVALID, ["a", "wrong type"]),
    ("missing input at launch", "CreateExecution", launch(inputs()), INVALID, ["expected_inputs", "a", "missing"]),
    ("surplus input at launch", "CreateExecution", launch(inputs(a=1, b=2)), INVALID, ["invalid input", "b"]),
    (
        "execution with a bad name",
        "CreateExecution",
        launch(inputs(a=1), name="Not_A_Name"),
        INVALID,
        ["name", "not_a_name"],
    ),
    (
        "execution without a spec",
        "CreateExecution",
        execution_pb2.ExecutionCreateRequest(project=PROJECT, domain=DOMAIN),
        INVALID,
        ["missing spec"],
    ),
    (
        "execution of an unknown launch plan",
        "CreateExecution",
        launch(inputs(a=1), "absent"),
        grpc.StatusCode.NOT_FOUND,
        ["absent"],
    ),
    (
        "execution in an unknown project",
        "CreateExecution",
        launch(inputs(a=1), project="nowhere"),
        INVALID,
        ["nowhere"],
    ),
    (
        "get with a malformed identifier",
        "GetTask",
        common_pb2.ObjectGetRequest(id=identifier(1, name="")),
        INVALID,
        ["missing name"],
    ),
    (
        "get of what does not exist",
        "GetTask",
        common_pb2.ObjectGetRequest(id=identifier(1, name="absent")),
        grpc.StatusCode.NOT_FOUND,
        ["TASK", "absent"],
    ),
    (
        "list without a limit",
        "ListTasks",
        common_pb2.ResourceListRequest(id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN)),
        INVALID,
        ["limit"],
    ),
    (
        "list with a bad filter",
        "ListTasks",
        common_pb2.ResourceListRequest(
            id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN), limit=1, filters="eq(nonsense,1)"
        ),
        INVALID,
        ["nonsense"],
    ),
]


@pytest.mark.parametrize(
    ("method", "request_", "code", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_bad_input_is_told_and_stores_nothing(
    plane: Plane, method: str, request_: Any, code: grpc.StatusCode, words: list[str]
) -> None:
    before = stored(plane)
    with pytest.raises(grpc.RpcError) as refused:
        getattr(plane.admin, method)(request_)
    assert refused.value.code() is code, refused.value.details()
    assert [word for word in words if word.lower() not in str(refused.value.details()).lower()] == [], (
        refused.value.details()
    )
    assert stored(plane) == before


def raw(plane: Plane, method: str) -> Any:
    return plane.channel.unary_unary(f"/flyteidl.service.AdminService/{method}")


@pytest.mark.parametrize("method", ["CreateTask", "CreateExecution", "GetExecution", "CreateNodeEvent"])
def test_garbage_bytes_are_the_callers_error(plane: Plane, method: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        raw(plane, method)(b"\xff\xfe\x00garbage")
    assert refused.value.code() is INVALID


def test_a_message_over_the_limit_is_refused(plane: Plane) -> None:
    before = stored(plane)
    with pytest.raises(grpc.RpcError) as refused:
        raw(plane, "CreateTask")(b"\0" * (40 * 1024 * 1024))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stored(plane) == before


def test_the_connection_survives_it_all(plane: Plane) -> None:
    assert plane.admin.GetTask(common_pb2.ObjectGetRequest(id=identifier(1, "good"))).id.name == "good"
