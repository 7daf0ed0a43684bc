"""Compiled workflows made by hand, for tests and measurements that need no compiler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from elevon_idl.core import v1 as core
from google.protobuf.duration_pb2 import Duration

PROJECT, DOMAIN, VERSION = "flytesnacks", "development", "v1"
INTEGER = core.LiteralType(simple=core.SimpleType.INTEGER)
INTEGERS = core.LiteralType(collection_type=INTEGER)


@dataclass(slots=True)
class TaskNodeSpec:
    """A task node to make: takes variable `x` from the node `source` and others that it merely comes after."""

    id: str
    source: str = "start-node"
    after: Sequence[str] = ()
    retries: int = 0
    timeout_seconds: float = 0.0
    cached: bool = False
    serializable: bool = False
    task_type: str = "echo"
    metadata: Mapping[str, str] = field(default_factory=dict)


def task_template(spec: TaskNodeSpec) -> core.TaskTemplate:
    """A task of one integer input and one integer output, both named `x`."""
    interface = core.TypedInterface(
        inputs=core.VariableMap(variables={"x": core.Variable(type=INTEGER)}),
        outputs=core.VariableMap(variables={"x": core.Variable(type=INTEGER)}),
    )
    return core.TaskTemplate(
        id=identifier(core.ResourceType.TASK, f"task-{spec.id}"),
        type=spec.task_type,
        interface=interface,
        metadata=core.TaskMetadata(
            discoverable=spec.cached,
            discovery_version="1" if spec.cached else "",
            cache_serializable=spec.serializable,
            retries=core.RetryStrategy(retries=spec.retries),
        ),
    )


def identifier(resource_type: core.ResourceType.ValueType, name: str) -> core.Identifier:
    """An identifier in the project of all examples."""
    return core.Identifier(resource_type=resource_type, project=PROJECT, domain=DOMAIN, name=name, version=VERSION)


def bind(variable: str, node_id: str, output: str = "x") -> core.Binding:
    """A binding to an output of a node."""
    promise = core.OutputReference(node_id=node_id, var=output)
    return core.Binding(var=variable, binding=core.BindingData(promise=promise))


def closure(
    specs: Iterable[TaskNodeSpec],
    *,
    outputs: Mapping[str, str] | None = None,
    policy: core.WorkflowMetadata.OnFailurePolicy.ValueType = core.WorkflowMetadata.FAIL_IMMEDIATELY,
    failure_node: TaskNodeSpec | None = None,
    name: str = "example",
) -> core.CompiledWorkflowClosure:
    """A closure of task nodes; `outputs` names, for each output of the workflow, the node whose `x` it is."""
    specs = list(specs)
    template = core.WorkflowTemplate(
        id=identifier(core.ResourceType.WORKFLOW, name),
        metadata=core.WorkflowMetadata(on_failure=policy),
        nodes=[core.Node(id="start-node"), *(_node(spec) for spec in specs), core.Node(id="end-node")],
        outputs=[bind(variable, node_id) for variable, node_id in (outputs or {}).items()],
    )
    tasks = [core.CompiledTask(template=task_template(spec)) for spec in specs]
    if failure_node is not None:
        template.failure_node.CopyFrom(_node(failure_node))
        tasks.append(core.CompiledTask(template=task_template(failure_node)))
    primary = core.CompiledWorkflow(template=template, connections=_connections(specs, outputs or {}))
    return core.CompiledWorkflowClosure(primary=primary, tasks=tasks)


def chain(length: int, task_type: str = "echo") -> core.CompiledWorkflowClosure:
    """Task nodes n0, n1, … each fed by the one before; the last one's output is the workflow's output `x`."""
    specs = [
        TaskNodeSpec(f"n{number}", source=f"n{number - 1}" if number else "start-node", task_type=task_type)
        for number in range(length)
    ]
    return closure(specs, outputs={"x": f"n{length - 1}"}, name=f"chain-{length}")


def fan_out(width: int, task_type: str = "echo") -> core.CompiledWorkflowClosure:
    """Task nodes n0, n1, … all fed by the workflow's input; the first one's output is the workflow's output `x`."""
    specs = [TaskNodeSpec(f"n{number}", task_type=task_type) for number in range(width)]
    return closure(specs, outputs={"x": "n0"}, name=f"fan-out-{width}")


@dataclass(slots=True)
class ArraySpec:
    """An array of tasks to make; `bound` inputs are handed whole to every element, `required` is a ratio or a number.

    The task's lists are `x` and, if it is not bound, `y`; elements answer `x` and `y` again.
    """

    retries: int = 0
    timeout_seconds: float = 0.0
    cached: bool = False
    serializable: bool = False
    parallelism: int | None = None
    required: float | int | None = None
    bound: Sequence[str] = ()
    own_files: bool = False
    runs_all: bool = False
    task_type: str = "echo"
    id: str = "n0"


def array(spec: ArraySpec) -> core.CompiledWorkflowClosure:
    """One array node fed by the workflow's inputs `x` and `y`; its outputs are the workflow's."""
    lists = core.VariableMap(variables={name: core.Variable(type=INTEGERS) for name in ("x", "y")})
    task = core.TaskTemplate(
        id=identifier(core.ResourceType.TASK, "map-task"),
        type=spec.task_type,
        interface=core.TypedInterface(inputs=lists, outputs=lists),
        metadata=core.TaskMetadata(
            discoverable=spec.cached, discovery_version="1" if spec.cached else "", cache_serializable=spec.serializable
        ),
    )
    inputs = [bind(name, "start-node", name) for name in ("x", "y")]
    array_node = core.Node(
        id=spec.id,
        metadata=core.NodeMetadata(name=spec.id),
        inputs=inputs,
        array_node=_array_node(spec, task.id, inputs),
    )
    template = core.WorkflowTemplate(
        id=identifier(core.ResourceType.WORKFLOW, "array"),
        metadata=core.WorkflowMetadata(),
        nodes=[core.Node(id="start-node"), array_node, core.Node(id="end-node")],
        outputs=[bind(name, spec.id, name) for name in ("x", "y")],
    )
    connections = core.ConnectionSet()
    for source, target in (("start-node", spec.id), (spec.id, "end-node")):
        connections.downstream[source].ids.append(target)
        connections.upstream[target].ids.append(source)
    primary = core.CompiledWorkflow(template=template, connections=connections)
    return core.CompiledWorkflowClosure(primary=primary, tasks=[core.CompiledTask(template=task)])


def lists(**values: Iterable[int | None]) -> core.LiteralMap:
    """A literal map of lists of integers; None stands for none."""
    result = core.LiteralMap()
    for name, items in values.items():
        result.literals[name].collection.SetInParent()
        for item in items:
            added = result.literals[name].collection.literals.add()
            if item is None:
                added.scalar.none_type.SetInParent()
            else:
                added.scalar.primitive.integer = item
    return result


def integers(**values: int) -> core.LiteralMap:
    """A literal map of integers."""
    literals = {
        name: core.Literal(scalar=core.Scalar(primitive=core.Primitive(integer=value)))
        for name, value in values.items()
    }
    return core.LiteralMap(literals=literals)


def _node(spec: TaskNodeSpec) -> core.Node:
    reference = identifier(core.ResourceType.TASK, f"task-{spec.id}")
    return core.Node(
        id=spec.id,
        metadata=core.NodeMetadata(
            name=spec.id, retries=core.RetryStrategy(retries=spec.retries), timeout=_duration(spec.timeout_seconds)
        ),
        inputs=[bind("x", spec.source)],
        upstream_node_ids=list(spec.after),
        task_node=core.TaskNode(reference_id=reference),
    )


def _array_node(spec: ArraySpec, task: core.Identifier, inputs: Sequence[core.Binding]) -> core.ArrayNode:
    node = core.ArrayNode(
        node=core.Node(
            id="example.map_task-arraynode",
            metadata=core.NodeMetadata(
                name="element",
                retries=core.RetryStrategy(retries=spec.retries),
                timeout=_duration(spec.timeout_seconds),
            ),
            inputs=inputs,
            task_node=core.TaskNode(reference_id=task),
        ),
        data_mode=core.ArrayNode.INDIVIDUAL_INPUT_FILES if spec.own_files else core.ArrayNode.SINGLE_INPUT_FILE,
        bound_inputs=spec.bound,
        run_all_sub_nodes=spec.runs_all,
    )
    if spec.parallelism is not None:
        node.parallelism = spec.parallelism
    if isinstance(spec.required, int):
        node.min_successes = spec.required
    elif spec.required is not None:
        node.min_success_ratio = spec.required
    return node


def _duration(seconds: float) -> Duration:
    microseconds = round(seconds * 1_000_000)
    return Duration(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1_000)


def _connections(specs: Sequence[TaskNodeSpec], outputs: Mapping[str, str]) -> core.ConnectionSet:
    downstream: dict[str, list[str]] = {"start-node": []}
    for spec in specs:
        for source in dict.fromkeys((spec.source, *spec.after)):
            downstream.setdefault(source, []).append(spec.id)
    ends = [spec.id for spec in specs if spec.id not in downstream]
    for node_id in dict.fromkeys([*ends, *outputs.values()]):
        downstream.setdefault(node_id, []).append("end-node")
    connections = core.ConnectionSet()
    for source, targets in downstream.items():
        connections.downstream[source].ids.extend(targets)
        for target in targets:
            connections.upstream[target].ids.append(source)
    return connections
