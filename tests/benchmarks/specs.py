"""Tasks, workflows and launch plans for the benchmarks, built without an SDK."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

PROJECT, DOMAIN = "flytesnacks", "development"

INTEGER = core.LiteralType(simple=core.INTEGER)
DURATION = core.LiteralType(simple=core.DURATION)


def identifier(kind: core.ResourceType.ValueType, name: str, version: str = "v1") -> core.Identifier:
    """An identifier in the benchmarks' project."""
    return core.Identifier(resource_type=kind, project=PROJECT, domain=DOMAIN, name=name, version=version)


def variables(**types: core.LiteralType) -> core.VariableMap:
    """A variable map."""
    return core.VariableMap(variables={name: core.Variable(type=kind) for name, kind in types.items()})


def integer(value: int) -> core.Literal:
    """An integer literal."""
    return core.Literal(scalar=core.Scalar(primitive=core.Primitive(integer=value)))


def echo_task(name: str, *, cached: bool = False, version: str = "v1") -> admin.TaskCreateRequest:
    """A task that copies `a` to `o0` and runs nowhere."""
    template = core.TaskTemplate(
        type="echo",
        metadata=core.TaskMetadata(
            discoverable=cached,
            discovery_version="1" if cached else "",
            runtime=core.RuntimeMetadata(type=core.RuntimeMetadata.FLYTE_SDK, version="1.16.8", flavor="python"),
        ),
        interface=core.TypedInterface(inputs=variables(a=INTEGER), outputs=variables(o0=INTEGER)),
    )
    return admin.TaskCreateRequest(id=identifier(core.TASK, name, version), spec=admin.TaskSpec(template=template))


def sleep_task(name: str) -> admin.TaskCreateRequest:
    """A task that sleeps for `duration` and runs nowhere."""
    template = core.TaskTemplate(
        type="core-sleep",
        metadata=core.TaskMetadata(
            runtime=core.RuntimeMetadata(type=core.RuntimeMetadata.FLYTE_SDK, version="1.16.8", flavor="python")
        ),
        interface=core.TypedInterface(inputs=variables(duration=DURATION), outputs=core.VariableMap()),
    )
    return admin.TaskCreateRequest(id=identifier(core.TASK, name), spec=admin.TaskSpec(template=template))


def promise(node: str, variable: str) -> core.BindingData:
    """What a node's output is bound by; an empty node means the workflow's input."""
    return core.BindingData(promise=core.OutputReference(node_id=node, var=variable))


def task_node(node: str, task: core.Identifier, **inputs: core.BindingData) -> core.Node:
    """A node that runs a task."""
    return core.Node(
        id=node,
        metadata=core.NodeMetadata(name=node),
        inputs=[core.Binding(var=name, binding=data) for name, data in inputs.items()],
        task_node=core.TaskNode(reference_id=task),
    )


def workflow(
    name: str,
    inputs: core.VariableMap,
    outputs: core.VariableMap,
    nodes: Iterable[core.Node],
    bindings: Iterable[core.Binding],
) -> admin.WorkflowCreateRequest:
    """A workflow of the given nodes."""
    template = core.WorkflowTemplate(
        id=identifier(core.WORKFLOW, name),
        interface=core.TypedInterface(inputs=inputs, outputs=outputs),
        nodes=nodes,
        outputs=bindings,
    )
    return admin.WorkflowCreateRequest(id=template.id, spec=admin.WorkflowSpec(template=template))


def chain(name: str, task: core.Identifier, length: int) -> admin.WorkflowCreateRequest:
    """A workflow in which each node waits for the one before."""
    nodes = [task_node("n0", task, a=promise("", "a"))]
    nodes += [task_node(f"n{number}", task, a=promise(f"n{number - 1}", "o0")) for number in range(1, length)]
    output = core.Binding(var="o0", binding=promise(f"n{length - 1}", "o0"))
    return workflow(name, variables(a=INTEGER), variables(o0=INTEGER), nodes, [output])


def fan_out(name: str, task: core.Identifier, width: int) -> admin.WorkflowCreateRequest:
    """A workflow of nodes that wait for nothing; each has an input of its own."""
    nodes = [
        task_node(f"n{number}", task, a=core.BindingData(scalar=integer(number).scalar)) for number in range(width)
    ]
    return workflow(name, core.VariableMap(), core.VariableMap(), nodes, [])


def sleepers(name: str, task: core.Identifier, width: int, seconds: float) -> admin.WorkflowCreateRequest:
    """A workflow of nodes that all sleep at the same time."""
    return workflow(name, core.VariableMap(), core.VariableMap(), sleeping_nodes(task, width, seconds), [])


def sleeping_nodes(task: core.Identifier, width: int, seconds: float) -> list[core.Node]:
    """Nodes that sleep and wait for nothing."""
    sleep = duration(seconds)
    return [task_node(f"n{number}", task, duration=sleep) for number in range(width)]


def duration(seconds: float) -> core.BindingData:
    """A fixed duration."""
    found = core.BindingData()
    found.scalar.primitive.duration.FromMilliseconds(round(seconds * 1000))
    return found


def nested(name: str, task: core.Identifier, depth: int) -> admin.WorkflowCreateRequest:
    """A workflow that holds a workflow, and so on, down to a task; `a` goes in and comes out as `o0`."""
    ids = [identifier(core.WORKFLOW, f"{name}{level}" if level else name) for level in range(depth)]
    innermost = task_node("n0", task, a=promise("", "a"))
    nodes = [
        core.Node(
            id="n0",
            metadata=core.NodeMetadata(name="n0"),
            inputs=innermost.inputs,
            workflow_node=core.WorkflowNode(sub_workflow_ref=below),
        )
        for below in ids[1:]
    ]
    output = core.Binding(var="o0", binding=promise("n0", "o0"))
    levels = [
        workflow(each.name, variables(a=INTEGER), variables(o0=INTEGER), [node], [output])
        for each, node in zip(ids, [*nodes, innermost], strict=True)
    ]
    levels[0].spec.sub_workflows.extend(level.spec.template for level in levels[1:])
    return levels[0]


def single(name: str, task: core.Identifier) -> admin.WorkflowCreateRequest:
    """A workflow of one node that runs a task without inputs and outputs."""
    return workflow(name, core.VariableMap(), core.VariableMap(), [task_node("n0", task)], [])


def dynamic_task(name: str, job: Path) -> admin.TaskCreateRequest:
    """A task that yields what a file describes, in a process that does nothing else: it copies the file."""
    copy = 'mkdir -p "${1#file://}" && cp "$0" "${1#file://}/futures.pb"'
    template = core.TaskTemplate(
        type="raw-container",
        metadata=core.TaskMetadata(
            runtime=core.RuntimeMetadata(type=core.RuntimeMetadata.FLYTE_SDK, version="1.16.8", flavor="python")
        ),
        interface=core.TypedInterface(inputs=core.VariableMap(), outputs=core.VariableMap()),
        container=core.Container(
            image="unused",
            command=["sh", "-c", copy, str(job), "{{.outputPrefix}}"],
        ),
    )
    return admin.TaskCreateRequest(id=identifier(core.TASK, name), spec=admin.TaskSpec(template=template))


def dynamic_job(leaf: admin.TaskCreateRequest, width: int, seconds: float) -> core.DynamicJobSpec:
    """What such a task yields: leaves that sleep and wait for nothing."""
    template = core.TaskTemplate()
    template.CopyFrom(leaf.spec.template)
    template.id.CopyFrom(leaf.id)
    return core.DynamicJobSpec(nodes=sleeping_nodes(leaf.id, width, seconds), tasks=[template], min_successes=width)


def integers(values: Iterable[int]) -> core.BindingData:
    """A fixed list of integers."""
    items = [core.BindingData(scalar=integer(value).scalar) for value in values]
    return core.BindingData(collection=core.BindingDataCollection(bindings=items))


def durations(values: Iterable[float]) -> core.BindingData:
    """A fixed list of durations."""
    return core.BindingData(collection=core.BindingDataCollection(bindings=[duration(value) for value in values]))


def of_lists(task: admin.TaskCreateRequest) -> admin.TaskCreateRequest:
    """The task as it is registered to be mapped: its interface has lists, an element gets one item of each."""
    interface = task.spec.template.interface
    for variable in (*interface.inputs.variables.values(), *interface.outputs.variables.values()):
        item = core.LiteralType()
        item.CopyFrom(variable.type)
        variable.type.CopyFrom(core.LiteralType(collection_type=item))
    return task


def mapped(name: str, task: core.Identifier, variable: str, values: core.BindingData) -> admin.WorkflowCreateRequest:
    """A workflow of one array node, which runs a task for every item of a list."""
    bound = [core.Binding(var=variable, binding=values)]
    element = task_node("element", task)
    element.inputs.extend(bound)
    node = core.Node(
        id="n0", metadata=core.NodeMetadata(name="n0"), inputs=bound, array_node=core.ArrayNode(node=element)
    )
    return workflow(name, core.VariableMap(), core.VariableMap(), [node], [])


def launch_plan(workflow_id: core.Identifier, *inputs: str) -> admin.LaunchPlanCreateRequest:
    """The launch plan of a workflow, all of whose inputs are integers and required."""
    parameters = {name: core.Parameter(var=core.Variable(type=INTEGER), required=True) for name in inputs}
    return admin.LaunchPlanCreateRequest(
        id=identifier(core.LAUNCH_PLAN, workflow_id.name, workflow_id.version),
        spec=admin.LaunchPlanSpec(
            workflow_id=workflow_id,
            entity_metadata=admin.LaunchPlanMetadata(),
            default_inputs=core.ParameterMap(parameters=parameters),
        ),
    )


def execution(plan: core.Identifier, *, parallelism: int = 0, **inputs: int) -> admin.ExecutionCreateRequest:
    """A request to run a launch plan; a parallelism of 0 is the installation's default."""
    return admin.ExecutionCreateRequest(
        project=PROJECT,
        domain=DOMAIN,
        inputs=core.LiteralMap(literals={name: integer(value) for name, value in inputs.items()}),
        spec=admin.ExecutionSpec(launch_plan=plan, metadata=admin.ExecutionMetadata(), max_parallelism=parallelism),
    )
