"""A running admin service, the official stubs, and short ways to write down tasks, workflows and launch plans."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from elevon_admin.app import build
from elevon_admin.settings import AdminSettings
from flyteidl.admin import common_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2
from flyteidl.core import workflow_pb2 as core_workflow
from flyteidl.service import admin_pb2_grpc
from google.rpc import status_pb2  # type: ignore[import-untyped]  # googleapis ships no type information

PROJECT, DOMAIN = "flytesnacks", "development"
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
DATETIME = types_pb2.LiteralType(simple=types_pb2.DATETIME)
STRING = types_pb2.LiteralType(simple=types_pb2.STRING)

EXISTS, INVALID, MISSING = (
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
)


@dataclass
class Admin:
    """A running service and a stub for it."""

    stub: Any
    app: Any
    address: str

    async def register(self, *requests: Any) -> None:
        """Register tasks, workflows and launch plans in the order given."""
        for request in requests:
            await self.create(request)

    def create(self, request: Any) -> Awaitable[Any]:
        """The create call that fits the request."""
        calls = {
            "TaskCreateRequest": self.stub.CreateTask,
            "WorkflowCreateRequest": self.stub.CreateWorkflow,
            "LaunchPlanCreateRequest": self.stub.CreateLaunchPlan,
        }
        answer: Awaitable[Any] = calls[request.DESCRIPTOR.name](request)
        return answer


@contextlib.asynccontextmanager
async def serving(database_url: str, **flags: Any) -> AsyncIterator[Admin]:
    """Run the service on a database, migrated on the way."""
    database = {"url": database_url, "migrate": True}
    app = await build(AdminSettings.load([], database=database, http={"enabled": False}, **flags))
    await app.start()
    try:
        async with grpc.aio.insecure_channel(app.grpc_address) as channel:
            yield Admin(admin_pb2_grpc.AdminServiceStub(channel), app, app.grpc_address)
    finally:
        await app.stop()


async def refused(call: Awaitable[Any], code: grpc.StatusCode, *words: str) -> grpc.aio.AioRpcError:
    """Assert that a call fails with a code and a message that holds the words; answer the error."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    assert error.code() is code, error.details()
    for word in words:
        assert word in (error.details() or ""), error.details()
    return error


def details_of(error: grpc.aio.AioRpcError) -> list[Any]:
    """The packed details of an error."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return list(status_pb2.Status.FromString(value).details)
    return []


def identifier(kind: int, name: str, version: str = "v1", **parts: str) -> identifier_pb2.Identifier:
    """An identifier in the project and domain of the tests."""
    place = {"project": PROJECT, "domain": DOMAIN, **parts}
    return identifier_pb2.Identifier(resource_type=kind, name=name, version=version, **place)


def task_id(name: str = "t", version: str = "v1", **parts: str) -> identifier_pb2.Identifier:
    """The identifier of a task."""
    return identifier(identifier_pb2.TASK, name, version, **parts)


def workflow_id(name: str = "w", version: str = "v1", **parts: str) -> identifier_pb2.Identifier:
    """The identifier of a workflow."""
    return identifier(identifier_pb2.WORKFLOW, name, version, **parts)


def plan_id(name: str = "w", version: str = "v1", **parts: str) -> identifier_pb2.Identifier:
    """The identifier of a launch plan."""
    return identifier(identifier_pb2.LAUNCH_PLAN, name, version, **parts)


def variables(**types: types_pb2.LiteralType) -> interface_pb2.VariableMap:
    """Variables by name."""
    return interface_pb2.VariableMap(
        variables={name: interface_pb2.Variable(type=kind) for name, kind in types.items()}
    )


def task(
    name: str = "t",
    version: str = "v1",
    *,
    inputs: Mapping[str, types_pb2.LiteralType] | None = None,
    outputs: Mapping[str, types_pb2.LiteralType] | None = None,
    description: str = "",
    image: str = "image:1",
    **parts: str,
) -> task_pb2.TaskCreateRequest:
    """A Python task."""
    template = tasks_pb2.TaskTemplate(
        type="python-task",
        metadata=tasks_pb2.TaskMetadata(runtime=tasks_pb2.RuntimeMetadata(version="1.16", flavor="python")),
        interface=interface_pb2.TypedInterface(
            inputs=variables(**({"a": INTEGER} if inputs is None else inputs)),
            outputs=variables(**({"o0": INTEGER} if outputs is None else outputs)),
        ),
        container=tasks_pb2.Container(image=image, args=["pyflyte-execute", "--inputs", "{{.input}}"]),
    )
    request = task_pb2.TaskCreateRequest(id=task_id(name, version, **parts), spec=task_pb2.TaskSpec(template=template))
    if description:
        request.spec.description.short_description = description
        request.spec.description.long_description.value = f"{description}, at length"
    return request


def promise(variable: str, node_id: str = "", source: str | None = None) -> literals_pb2.Binding:
    """A binding of a variable to what a node puts out, or to a workflow's input."""
    reference = types_pb2.OutputReference(node_id=node_id, var=variable if source is None else source)
    return literals_pb2.Binding(var=variable, binding=literals_pb2.BindingData(promise=reference))


def workflow(
    name: str = "w",
    version: str = "v1",
    *,
    calls: identifier_pb2.Identifier | None = None,
    inputs: Mapping[str, types_pb2.LiteralType] | None = None,
    nodes: int = 1,
    description: str = "",
) -> workflow_pb2.WorkflowCreateRequest:
    """A chain of nodes that call one task from integer `a` to integer `o0`."""
    chain = [_node(number, calls or task_id()) for number in range(nodes)]
    template = core_workflow.WorkflowTemplate(
        id=workflow_id(name, version),
        metadata=core_workflow.WorkflowMetadata(),
        metadata_defaults=core_workflow.WorkflowMetadataDefaults(),
        interface=interface_pb2.TypedInterface(
            inputs=variables(**({"a": INTEGER} if inputs is None else inputs)), outputs=variables(o0=INTEGER)
        ),
        nodes=chain,
        outputs=[promise("o0", f"n{nodes - 1}")],
    )
    request = workflow_pb2.WorkflowCreateRequest(
        id=workflow_id(name, version), spec=workflow_pb2.WorkflowSpec(template=template)
    )
    if description:
        request.spec.description.short_description = description
    return request


def _node(number: int, calls: identifier_pb2.Identifier) -> core_workflow.Node:
    source = promise("a", f"n{number - 1}", "o0") if number else promise("a")
    return core_workflow.Node(
        id=f"n{number}",
        metadata=core_workflow.NodeMetadata(name="t"),
        inputs=[source],
        task_node=core_workflow.TaskNode(reference_id=calls),
    )


def plan(
    name: str = "w", version: str = "v1", *, of: identifier_pb2.Identifier | None = None, **spec: Any
) -> launch_plan_pb2.LaunchPlanCreateRequest:
    """A launch plan of the workflow of the same name and version."""
    return launch_plan_pb2.LaunchPlanCreateRequest(
        id=plan_id(name, version),
        spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=of or workflow_id(name, version), **spec),
    )


def literal(value: int | str) -> literals_pb2.Literal:
    """An integer or a string."""
    primitive = (
        literals_pb2.Primitive(integer=value) if isinstance(value, int) else literals_pb2.Primitive(string_value=value)
    )
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive))


def defaults(**values: int | str) -> interface_pb2.ParameterMap:
    """Parameters that have default values."""
    return interface_pb2.ParameterMap(
        parameters={
            name: interface_pb2.Parameter(
                var=interface_pb2.Variable(type=INTEGER if isinstance(value, int) else STRING), default=literal(value)
            )
            for name, value in values.items()
        }
    )


def fixed(**values: int | str) -> literals_pb2.LiteralMap:
    """Values that executions cannot change."""
    return literals_pb2.LiteralMap(literals={name: literal(value) for name, value in values.items()})


def listing(name: str = "", **fields: Any) -> common_pb2.ResourceListRequest:
    """A list request for the project and domain of the tests; 100 rows unless told otherwise."""
    scope = common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN, name=name)
    return common_pb2.ResourceListRequest(**{"id": scope, "limit": 100, **fields})


def by(key: str, *, ascending: bool = True) -> common_pb2.Sort:
    """An order."""
    return common_pb2.Sort(key=key, direction=common_pb2.Sort.ASCENDING if ascending else common_pb2.Sort.DESCENDING)


def keys(rows: Any) -> list[str]:
    """Names and versions, in order."""
    return [f"{row.id.name}:{row.id.version}" for row in rows]
